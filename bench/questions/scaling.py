"""Do two workers do twice the work of one, and four four times?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.answers import Answer, Lines, Row
from bench.backlog import conversations, drain, fill
from bench.counts import cpu_of
from bench.harness import Times, ratio
from bench.lab import LATENCY

if TYPE_CHECKING:
    import psycopg

    from bench.backlog import Backlog
    from bench.lab import Lab, Place
    from bench.workers import Worker

TITLE = "Workers side by side"
_THREADS, _SESSIONS = 8, 64
_AIMS = {2: 1.9, 4: 3.5}
# Threads alone: the relay would have one worker drain all of it by asynchronous requests.
_ENV = {"AFTERTURN_RELAY_SECONDS": "60"}


def run(lab: Lab) -> Answer:
    """Drain the same backlog with 1, 2 and 4 workers of 8 threads, up and down again."""
    order = (1, 2, 4, 4, 2, 1) if not lab.short else (1, 2, 4)
    with lab.place() as place:
        place.honcho(LATENCY)
        connection = place.connection()
        sessions = conversations(place.memory(), connection, _SESSIONS)
        workers: list[Worker] = [_start(place, 0)]
        drain(place, connection, fill(connection, sessions, 100))
        rates = {count: Times() for count in (1, 2, 4)}
        busy: dict[int, float] = {}
        for count in order:
            _adjust(place, workers, count)
            waiting = fill(connection, sessions, lab.rounds(800, 200))
            rate, busy[count] = _drained(place, connection, waiting, workers)
            rates[count].add(rate)
    rows = [
        Row(
            f"messages a second with {count} workers of 8 threads",
            "one",
            ratio(rates[count], rates[1]),
            aim,
            "at least",
        )
        for count, aim in _AIMS.items()
    ]
    shown = {count: found.p50 for count, found in rates.items()}
    figures = {
        "messages_per_second": {count: round(rate) for count, rate in shown.items()},
        "cores_busy_with_workers": {count: round(share, 2) for count, share in busy.items()},
    }
    plot = Lines(
        "Workers of 8 threads, Honcho at 200 ms",
        "workers",
        "messages a second",
        [*shown],
        {"afterturn": [*shown.values()], "in proportion": [shown[1] * n for n in shown]},
    )
    return Answer(rows, figures, plot)


def _start(place: Place, number: int) -> Worker:
    return place.worker(f"w{number}", threads=_THREADS, **_ENV)


def _adjust(place: Place, workers: list[Worker], count: int) -> None:
    while len(workers) > count:
        workers.pop().stop()
    while len(workers) < count:
        workers.append(_start(place, len(workers)))


def _drained(
    place: Place, connection: psycopg.Connection, waiting: Backlog, workers: list[Worker]
) -> tuple[float, float]:
    """Drain; gives messages a second, and how many cores the workers used."""
    pids = [worker.pid for worker in workers]
    before = cpu_of(*pids)
    took = drain(place, connection, waiting)
    return waiting.total / took, (cpu_of(*pids) - before) / took
