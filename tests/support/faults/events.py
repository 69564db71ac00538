"""What may happen in a schedule, drawn from a seed and carried out on a rig."""

from __future__ import annotations

import random
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from afterturn_models import signatures
from support.faults.lines import Shot, Trap
from support.faults.processes import Agent, Worker
from support.faults.rig import Rig

STEPS = ("claim", "peers", "intent", "post", "advance", "look-up", "postpone", "release")
_HONCHO_STEPS = {"post", "look-up", "peers"}
AFTER_UNKNOWN = {"look-up", "postpone"}  # steps that come of an answer that was lost
MESSAGES = r"/v3/workspaces/[^/]+/sessions/[^/]+/messages"
_LATEST = 1.0  # seconds: within the settling time of every rig, whatever else the machine does
# Lines that may fall silent. A worker gives Honcho up after its deadline, an agent anything after
# seconds; a worker's Redis takes up to 20 s to be found half-open, its Postgres 35: the long runs'.
_SILENT = {"agent.postgres", "agent.redis", "worker.honcho"}
_SILENT_FOR_LONG = {"worker.postgres", "worker.redis"}


@dataclass(frozen=True)
class Event:
    """Something that happens `at` so many seconds into a schedule."""

    at: float
    kind: str
    options: Mapping[str, Any]

    def __str__(self) -> str:
        """Say it in one line of a trace."""
        told = " ".join(f"{name}={value}" for name, value in self.options.items())
        return f"{self.at:6.2f} {self.kind} {told}"


_WEIGHTS = {
    "kill": 32,
    "fault": 34,
    "freeze": 7,
    "twins": 8,
    "drain": 10,
    "flush": 7,
    "line": 10,
    "kill-agent": 10,
    "restart": 6,
    "terminate": 2,
}


@dataclass(frozen=True)
class Shape:
    """How long a schedule is, how many events it has, and whether one may take a minute to mend."""

    seconds: float = 3.0
    events: int = 9
    deep: bool = False


def draw(seed: int, shape: Shape, lease: float) -> list[Event]:
    """Draw a schedule; the same seed gives the same one."""
    drawn = random.Random(seed)
    kinds = drawn.choices([*_WEIGHTS], [*_WEIGHTS.values()], k=shape.events)
    # A trap waits for its step, and a rule for its request: the last of it belongs to the agent.
    times = sorted(drawn.uniform(0.0, 0.75 * shape.seconds) for _ in kinds)
    return [
        Event(at, kind, _line(drawn, shape) if kind == "line" else _OPTIONS[kind](drawn, lease))
        for at, kind in zip(times, kinds, strict=True)
    ]


def _fault(drawn: random.Random, _lease: float) -> dict[str, Any]:
    fault = drawn.choice(
        ("lose_response", "late_commit", "reset_before", "reset_after", "hang", "drip", "status")
    )
    path = drawn.choices((MESSAGES, f"{MESSAGES}/list", "/v3/.*"), (6, 2, 2))[0]
    options: dict[str, Any] = {"fault": fault, "path": path, "count": drawn.randint(1, 3)}
    match fault:
        case "late_commit":
            options["seconds"] = round(drawn.uniform(0.1, _LATEST), 2)
            options["answer"] = drawn.choice(("late", "drop"))
        case "hang":
            options["commit"] = drawn.random() < 0.5
        case "drip":
            options |= {"seconds": 0.1, "chunk": 16}
        case "status":
            options["status"] = drawn.choice((429, 429, 500, 500, 503, 408))
            if options["status"] == 429:
                options["retry_after"] = drawn.choice((0.5, 1.0))
    return options


def _line(drawn: random.Random, shape: Shape) -> dict[str, Any]:
    who = drawn.choice(("worker", "worker", "agent"))
    which = drawn.choice(("postgres", "redis") + (("honcho",) if who == "worker" else ()))
    silent = _SILENT | _SILENT_FOR_LONG if shape.deep else _SILENT
    may_be = ("silence",) if f"{who}.{which}" in silent else ()
    how = drawn.choice(("hold", "cut", "refuse", *may_be))
    return {
        "who": who,
        "place": drawn.randrange(8),
        "which": which,
        "how": how,
        "seconds": round(drawn.uniform(0.2, 1.0), 2),
    }


_OPTIONS: dict[str, Callable[[random.Random, float], dict[str, Any]]] = {
    "kill": lambda drawn, _: {"step": drawn.choice(STEPS), "after": drawn.random() < 0.5},
    "fault": _fault,
    # Before its last look at the clock, which comes after the answer to the intent.
    "freeze": lambda drawn, lease: {
        "step": drawn.choice(("claim", "intent")),
        "after": drawn.random() < 0.5,
        "seconds": round(lease + drawn.uniform(0.3, 1.0), 2),
    },
    "twins": lambda _d, _l: {},
    "drain": lambda drawn, _: {"tasks": drawn.randint(1, 3)},
    "flush": lambda _d, _l: {},
    "kill-agent": lambda drawn, _: {
        "step": drawn.choice(("capture", "hint", "hint")),
        "after": drawn.random() < 0.5,
    },
    "restart": lambda drawn, _: {
        "server": drawn.choice(("valkey", "valkey", "postgres", "honcho")),
        "kill": drawn.random() < 0.5,
    },
    "terminate": lambda drawn, _: {"place": drawn.randrange(8)},
}


class Stage:
    """Carries events out on a rig, with an agent at work, and counts what came of them."""

    def __init__(self, rig: Rig, agent: Agent, workspace: str) -> None:
        self.rig = rig
        self.agent = agent
        self.workspace = workspace
        self.counts: Counter[str] = Counter()

    def carry_out(self, event: Event) -> None:
        """Carry out one event."""
        match event.kind:
            case "kill":
                if event.options["step"] in AFTER_UNKNOWN:
                    self.rig.honcho.control.add_rule("lose_response", path=MESSAGES, count=2)
                lay_kill(self.rig, self.counts, **event.options)
            case "freeze":
                lay_freeze(self.rig, self.counts, **event.options)
            case "fault":
                self.rig.honcho.control.add_rule(method="POST", **event.options)
            case "twins" | "drain" | "flush":
                self._tasks(event.kind, **event.options)
            case "line":
                self._line(**event.options)
            case "kill-agent":
                self._kill_agent(**event.options)
            case "restart":
                self._restart(**event.options)
            case _:
                self._terminate(**event.options)

    def _twins(self) -> None:
        """Send every task of every session again, twice."""
        found = self.rig.query(
            "SELECT s.id, s.turns FROM sessions s JOIN workspaces w ON w.id = s.workspace_id"
            " WHERE w.name = %(workspace)s",
            workspace=self.workspace,
        )
        with self.rig.publisher() as app:
            for session in found * 2:
                turn = {"session_id": str(session["id"]), "turn": session["turns"]}
                app.send_task(
                    signatures.SYNC_SESSION, kwargs={"session_id": str(session["id"])}, retry=False
                )
                for name in (signatures.PREFETCH_CONTEXT, signatures.PREFETCH_DIALECTIC):
                    app.send_task(name, kwargs=turn, retry=False)
                self.counts["twins"] += 3

    def _tasks(self, kind: str, tasks: int = 0) -> None:
        """Send tasks again, have what is due synced together, or lose all that were sent."""
        if kind == "twins":
            self._twins()
        elif kind == "drain":
            self._drain(tasks)
        else:
            self.rig.flush_redis()
            self.counts["flushes"] += 1

    def _drain(self, tasks: int) -> None:
        with self.rig.publisher() as app:
            for _ in range(tasks):
                app.send_task(signatures.DRAIN, retry=False)
                self.counts["drains"] += 1

    def _line(self, who: str, place: int, which: str, how: str, seconds: float) -> None:
        workers = self.rig.workers
        lines = self.rig.agent_lines if who == "agent" else workers[place % len(workers)].lines
        line = lines[which]
        getattr(line, how)()
        self.counts[f"lines {how}"] += 1
        if how == "silence":
            seconds *= 3
        self.rig.loop.later(seconds, partial(self._heal, line))

    def _heal(self, line: Any) -> None:
        self.rig.loop.spawn(line.healing())

    def _kill_agent(self, step: str, *, after: bool) -> None:
        def act() -> None:
            self.agent.kill()
            self.counts[f"agent killed {'after' if after else 'before'} {step}"] += 1

        line = self.rig.agent_lines["redis" if step == "hint" else "postgres"]
        line.set(Trap(frozenset({step}), after, act))

    def _restart(self, server: str, *, kill: bool) -> None:
        if server == "honcho":
            self.rig.honcho.kill()
            self.rig.honcho.start()
        else:
            self.rig.restart(getattr(self.rig, server), kill=kill)
        self.counts[f"{server} {'killed' if kill or server == 'honcho' else 'restarted'}"] += 1

    def _terminate(self, place: int) -> None:
        worker = self.rig.workers[place % len(self.rig.workers)]
        if not worker.frozen and worker.signal(signal.SIGTERM):
            self.counts["workers terminated"] += 1


def lay_kill(rig: Rig, counts: Counter[str], step: str, *, after: bool) -> Shot:
    """Have the first worker that comes to `step` killed there; the shot tells whether one did.

    `advance` is the statement that follows an answered POST: it settles the batch.
    """
    shot = Shot()
    name = f"killed {'after' if after else 'before'} {step}"
    for worker in rig.workers:
        act = partial(_kill, worker, counts, name)
        if step != "advance":
            _line_of(worker, step).set(Trap(frozenset({step}), after, act, shot=shot))
            continue
        inner = Trap(frozenset({"intent", "release"}), after, act)
        then = partial(worker.lines["postgres"].set, inner)
        _line_of(worker, "post").set(
            Trap(frozenset({"post"}), after=True, act=then, passes=True, shot=shot)
        )
    return shot


def lay_freeze(rig: Rig, counts: Counter[str], step: str, *, after: bool, seconds: float) -> Shot:
    """Have the first worker that comes to `step` stopped there for `seconds`."""
    shot = Shot()
    for worker in rig.workers:
        act = partial(freeze, rig, worker, counts, seconds)
        _line_of(worker, step).set(Trap(frozenset({step}), after, act, passes=True, shot=shot))
    return shot


def freeze(rig: Rig, worker: Worker, counts: Counter[str], seconds: float) -> None:
    """Stop a worker where it stands, and let it go on `seconds` later."""
    if not worker.signal(signal.SIGSTOP):
        return
    counts["frozen"] += 1
    worker.frozen += 1
    process = worker.process

    def thaw() -> None:
        worker.frozen -= 1
        if not worker.frozen and process.running():
            process.thaw()

    rig.loop.later(seconds, thaw)


def _kill(worker: Worker, counts: Counter[str], name: str) -> None:
    if worker.signal(signal.SIGKILL):
        counts[name] += 1


def _line_of(worker: Worker, step: str) -> Any:
    return worker.lines["honcho" if step in _HONCHO_STEPS else "postgres"]
