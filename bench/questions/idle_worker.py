"""What memory does a worker hold that does nothing?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench.answers import Answer, Bars, Row
from bench.counts import Usage
from bench.harness import Times, ratio
from bench.workers import Worker

if TYPE_CHECKING:
    from bench.lab import Lab, Place

TITLE = "An idle worker's memory"
_THREADS = 32
_SETTLED = 4.0  # seconds: a relay's look and a heartbeat


def run(lab: Lab) -> Answer:
    """Start both a few times, and read them when they have settled."""
    ours, bare = Times(), Times()
    own: dict[str, list[float]] = {"afterturn's worker": [], "bare worker": []}
    for _ in range(lab.rounds(3, 1)):
        with lab.place() as place:
            place.honcho()
            started = {
                "afterturn's worker": place.worker(threads=_THREADS),
                "bare worker": _bare(place),
            }
            time.sleep(_SETTLED)
            used = {name: Usage.of(worker.pid) for name, worker in started.items()}
        ours.add(used["afterturn's worker"].rss)
        bare.add(used["bare worker"].rss)
        for name, found in used.items():
            own[name].append(found.uss)
    shown = {"afterturn's worker": ours.p50, "bare worker": bare.p50}
    row = Row(
        "idle worker with 32 threads, RSS",
        "a bare worker",
        ratio(ours, bare),
        1.2,
        note="the bare worker only imports celery, SQLAlchemy's ORM and honcho-ai",
    )
    figures = {
        "rss_mib": {name: round(mib, 1) for name, mib in shown.items()},
        "uss_mib": {name: round(min(found), 1) for name, found in own.items()},
    }
    return Answer([row], figures, Bars("An idle worker with 32 threads, RSS", "MiB", shown))


def _bare(place: Place) -> Worker:
    worker = Worker("bench.rivals.bare_worker", "bare", place.env(), place.folder, _THREADS)
    place.opened.callback(worker.stop)
    worker.wait_for_ping(place.redis_url)
    return worker
