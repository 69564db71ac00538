"""A run: a schedule from a seed, carried out on a rig, healed, settled and audited."""

from __future__ import annotations

import itertools
import os
import statistics
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from support.faults.agent import Plan
from support.faults.audit import Audit, audit, settle
from support.faults.events import Event, Shape, Stage, draw
from support.faults.lines import Line
from support.faults.processes import Agent
from support.faults.rig import Rig
from support.waiting import eventually

# What an agent's calls may take, in seconds: Postgres is given up after 5 s without a word, and a
# new connection to it after 3; Redis after a quarter. The rest is for a machine that is busy.
END_BOUND, BEGIN_BOUND, OPEN_BOUND = 12.0, 3.0, 12.0
MEDIAN_BOUND = 0.25
SHORT = Shape()
_UNKNOWN = ("lose_response", "late_commit", "reset_before", "reset_after", "hang", "drip")
_PATIENCE = 5.0
_count = itertools.count(1)


@dataclass
class Outcome:
    """What came of one run."""

    seed: int
    workers: int
    audit: Audit
    counts: Counter[str]
    seconds: float
    calls: dict[str, list[float]] = field(default_factory=dict)
    trace: list[str] = field(default_factory=list)

    def report(self) -> str:
        """Say what happened, for whoever has to find out why."""
        lines = "\n".join(self.trace)
        return f"seed {self.seed}, {self.workers} workers: {self.audit}\n{lines}\n{self.counts}"


def run(rig: Rig, seed: int, shape: Shape = SHORT, *, turns: int = 40) -> Outcome:
    """Carry out the schedule of `seed`; raises AssertionError where it never comes to rest."""
    began = time.monotonic()
    workspace = f"f{seed}-{os.getpid()}-{next(_count)}"
    sessions = [f"chat{n}" for n in range(4)] + ["quiet"]
    acks = rig.folder / f"{workspace}.acks"
    agent = rig.agent(workspace, Plan(str(acks), seed, sessions, turns, pace=shape.seconds / turns))
    schedule = draw(seed, shape, rig.timing.lease)
    trace = [str(event) for event in schedule]
    stage = Stage(rig, agent, workspace)
    faults = rig.honcho.fired()
    try:
        agent.start()
        _play(stage, schedule)
        _heal(rig, agent)
        settle(rig, workspace, within=90)
        outcome = Outcome(
            seed,
            len(rig.workers),
            audit(rig, workspace, agent),
            stage.counts + _fired(rig.honcho.fired() - faults),
            time.monotonic() - began,
            _calls(agent),
            trace,
        )
    except AssertionError as error:
        told = "\n".join([*trace, str(stage.counts)])
        raise AssertionError(f"seed {seed}, {len(rig.workers)} workers: {error}\n{told}") from error
    return outcome


def check(outcome: Outcome) -> None:
    """Check that all is as promised, and that no call of the agent's took longer than it may."""
    assert outcome.audit.sound, outcome.report()
    for name, bound in (("open", OPEN_BOUND), ("begin", BEGIN_BOUND), ("end", END_BOUND)):
        worst = max(outcome.calls[name])
        assert worst <= bound, f"{name} took {worst:.1f} s\n{outcome.report()}"
        assert statistics.median(outcome.calls[name]) <= MEDIAN_BOUND, outcome.report()


def _play(stage: Stage, schedule: Iterable[Event]) -> None:
    began = time.monotonic()
    for event in schedule:
        while time.monotonic() - began < event.at:
            stage.rig.tend()
            stage.agent.done()
            time.sleep(0.02)
        stage.carry_out(event)


def _heal(rig: Rig, agent: Agent) -> None:
    """Make everything well again, once the agent is through or has had its time.

    What is frozen is woken when its own time has come.
    """
    late = time.monotonic() + _PATIENCE
    while not agent.done() and time.monotonic() < late:
        rig.tend()
        time.sleep(0.05)
    eventually(lambda: not any(worker.frozen for worker in rig.workers), within=30)
    rig.each_line(Line.disarm)
    rig.each_line(Line.heal)
    rig.honcho.control.clear()

    def done() -> bool:
        rig.tend()
        return agent.done()

    eventually(done, within=60, every=0.05)


def _calls(agent: Agent) -> dict[str, list[float]]:
    seconds = [ack["seconds"] for ack in agent.acks()]
    return {name: [one[name] for one in seconds] for name in ("open", "begin", "end")}


def _fired(faults: Counter[str]) -> Counter[str]:
    told = Counter({f"fault {name}": count for name, count in faults.items()})
    told["unknown outcomes"] = sum(faults[name] for name in _UNKNOWN)
    return told
