"""How fast is one task that drains many sessions by asynchronous requests, over the threads?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from afterturn_models import signatures
from bench import floors
from bench.answers import Answer, Bars, Row
from bench.backlog import conversations, drain, fill
from bench.counts import cpu_of
from bench.harness import Times, ratio
from bench.lab import LATENCY, said

if TYPE_CHECKING:
    from afterturn_models.signatures import Signature
    from bench.lab import Lab, Place

TITLE = "A bulk re-sync"
_THREADS, _SESSIONS = 32, 256
_ENV = {
    # Nothing but the two ways themselves: the relay would send the one after the other.
    "AFTERTURN_RELAY_SECONDS": "60",
    "AFTERTURN_MAX_IN_FLIGHT": "128",
}
_THREADED, _ASYNCHRONOUS = "a task a session, 32 threads", "one task, asynchronous requests"


def run(lab: Lab) -> Answer:
    """Drain the same sessions both ways, by turns, with Honcho at 200 ms."""
    ways = _ways()
    with lab.place() as place:
        place.honcho(LATENCY)
        connection = place.connection()
        sessions = conversations(place.memory(), connection, _SESSIONS)
        worker = place.worker(threads=_THREADS, **_ENV)
        drain(place, connection, fill(connection, sessions, 100))
        rates = {name: Times() for name in ways}
        cpu = {name: Times() for name in ways}
        for _ in range(lab.rounds(3, 2)):
            for name, task in ways.items():
                waiting = fill(connection, sessions, lab.rounds(400, 100))
                before = cpu_of(worker.pid)
                rates[name].add(waiting.total / drain(place, connection, waiting, task=task))
                cpu[name].add((cpu_of(worker.pid) - before) / waiting.total * 1e6)
        alone = _stand_in(place)
    shown = {name: found.p50 for name, found in rates.items()}
    figures = {
        "messages_per_second": {name: round(rate) for name, rate in shown.items()},
        "worker_cpu_us_a_message": {name: round(found.p50, 1) for name, found in cpu.items()},
        "stand_in_alone_messages_per_second": round(alone),
    }
    plot = Bars("A bulk re-sync, Honcho at 200 ms", "messages a second", shown)
    return Answer([_row(rates)], figures, plot)


def _row(rates: dict[str, Times]) -> Row:
    what = "bulk re-sync: messages a second, asynchronous"
    if _ASYNCHRONOUS not in rates:
        return Row(what, _THREADED, None, 2, "at least", "there is no such task in this version")
    found = ratio(rates[_ASYNCHRONOUS], rates[_THREADED])
    return Row(what, _THREADED, found, 2, "at least")


def _ways() -> dict[str, Signature | None]:
    """Give the ways that this version has, with the task that starts each (None: a hint each)."""
    drain_many = getattr(signatures, "drain", None)
    return {_THREADED: None, **({_ASYNCHRONOUS: drain_many()} if drain_many else {})}


def _stand_in(place: Place) -> float:
    """Give what the stand-in takes at most, from a bare client: no way can be faster."""
    return floors.bare_rate(place.stand_in(), "bare", said(), 100)
