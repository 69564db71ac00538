"""How fast does a backlog get to Honcho, and by how many requests?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench import floors
from bench.answers import Answer, Bars, Row
from bench.backlog import conversations, drain, fill
from bench.counts import cpu_of
from bench.harness import Ratio, Times, ratio
from bench.lab import LATENCY, said, until
from bench.worker_profile import drained_here

if TYPE_CHECKING:
    from redis import Redis

    from afterturn_sandbox.honcho.control import Control
    from bench.lab import Lab, Place

TITLE = "A backlog"
_THREADS = 32
_ALLOWED = _THREADS * 100 / LATENCY  # messages a second, if requests cost nothing but latency


def run(lab: Lab) -> Answer:
    """Drain one with 32 threads at 200 ms; then the Hermes provider's and the Celery app's."""
    ours = _ours(lab)
    rate: Times = ours.pop("rate")
    shown = {"afterturn": rate.p50}
    rows = [
        Row(
            "backlog: HTTP requests for 100 messages",
            "1",
            Ratio.exactly(100 * ours["writes"] / ours["messages"]),
            1.05,
            note="the reads for the next turn's memory, three a session however long, are not in it",
        ),
        Row(
            "backlog: messages a second, 32 threads at 200 ms",
            f"what latency allows ({_ALLOWED:,.0f})",
            ratio(rate, Times([[_ALLOWED] for _ in rate.rounds])),
            0.75,
            "at least",
        ),
    ]
    for name, drained in (("Hermes provider", _hermes), ("ordinary Celery app", _ordinary)):
        what = "backlog: messages a second"
        try:
            found = drained(lab)
        except RuntimeError as error:  # a rival that is not there leaves the others their rows
            rows.append(Row(what, name, None, 20, "at least", f"not measured: {error}"))
            continue
        shown[name] = found.p50
        rows.append(Row(what, name, ratio(rate, found), 20, "at least"))
    ours["messages_per_second"] = {name: round(value, 1) for name, value in shown.items()}
    plot = Bars("A backlog, 32 threads, Honcho at 200 ms", "messages a second", shown, log=True)
    answer = Answer(rows, ours, plot)
    if answer.missed:
        answer.profile = drained_here(lab)
    return answer


def _ours(lab: Lab) -> dict[str, Any]:
    """Drain the same conversations a few times; in the first round Honcho learns of their peers."""
    with lab.place() as place:
        control = place.honcho(LATENCY)
        memory, connection, redis = place.memory(), place.connection(), place.redis()
        sessions = conversations(memory, connection, _THREADS)
        worker = place.worker(threads=_THREADS)
        rate, messages, writes, reads = Times(), 0, 0, 0
        drain(place, connection, fill(connection, sessions, 200))
        stand_in = [_bare(place)]
        used = 0.0
        for _ in range(lab.rounds(3, 2)):
            before, cpu = _requests(control), cpu_of(worker.pid)
            waiting = fill(connection, sessions, lab.rounds(4_000, 600))
            rate.add(waiting.total / drain(place, connection, waiting))
            until(lambda: _quiet(redis), within=30)
            used += cpu_of(worker.pid) - cpu
            after = _requests(control)
            writes, reads = writes + after[0] - before[0], reads + after[1] - before[1]
            messages += waiting.total
        stand_in.append(_bare(place))
    return {
        "rate": rate,
        "rounds": [round(value) for value in rate.values],
        "writes": writes,
        "reads": reads,
        "messages": messages,
        "worker_cpu_us_a_message": round(used / messages * 1e6, 1),
        "stand_in_alone_messages_per_second": [round(value) for value in stand_in],
    }


def _requests(control: Control) -> tuple[int, int]:
    """Count the requests that bring messages to Honcho, and those that fetch what it knows."""
    routes = control.counters()["requests"]
    reads = sum(count for route, count in routes.items() if route.endswith(("/context", "/chat")))
    return sum(routes.values()) - reads, reads


def _bare(place: Place) -> float:
    """Give what the stand-in itself takes at most, without latency, from one bare client."""
    return floors.bare_rate(place.stand_in(), "bare", said(), 100)


def _quiet(redis: Redis) -> bool:
    """Tell whether no queue holds a task, and no worker has one in hand."""
    keys = [f"afterturn:{name}" for name in ("sync", "prefetch")]
    return not any(redis.llen(key) for key in keys) and not redis.hlen("afterturn:unacked")


def _hermes(lab: Lab) -> Times:
    with lab.place() as place:
        place.honcho(LATENCY)
        rate = Times()
        for _ in range(2):
            turns = lab.rounds(12, 4)
            done = place.hermes().ask("drain", talks=_THREADS, turns=turns, texts=said())
            rate.add(done["messages"] / done["seconds"])
    return rate


def _ordinary(lab: Lab) -> Times:
    with lab.place() as place:
        control = place.honcho(LATENCY)
        talker = place.child("bench.rivals.ordinary")
        talker.ask("open", talks=_THREADS, texts=said())
        rate = Times()
        place.rival_worker("bench.rivals.ordinary", threads=_THREADS)
        for _ in range(2):
            before = control.counters()["messages_stored"]
            done = talker.ask("backlog", talks=_THREADS, turns=lab.rounds(6, 2), texts=said())
            assert control.counters()["messages_stored"] - before == done["messages"]
            rate.add(done["messages"] / done["seconds"])
    return rate
