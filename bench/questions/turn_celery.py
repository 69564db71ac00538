"""How much less does a turn's end cost than in a Celery app written the ordinary way?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bench import floors
from bench.answers import Answer, Bars, Row, milliseconds
from bench.counts import per_call
from bench.harness import Contestant, interleave, ratio
from bench.lab import said
from bench.questions.turn_end import end

if TYPE_CHECKING:
    from bench.lab import Lab

TITLE = "A turn's end, against an ordinary Celery app"
_OURS, _CELERY, _DRAMATIQ = "afterturn", "ordinary Celery app", "the same on dramatiq"


def run(lab: Lab) -> Answer:
    """Measure ours, the Celery app, the same on dramatiq, and the floor."""
    with lab.place() as place:
        os.environ.update(place.env())
        # Imported here: these apps read the environment, as they would in a process of their own.
        from bench.rivals.on_dramatiq import OnDramatiq
        from bench.rivals.ordinary import Ordinary, engine

        engine.cache_clear()
        ordinary, dramatiq = Ordinary(1), OnDramatiq(1)
        text, reply = said()[0]
        contestants = {
            _OURS: end(place.memory(), "bench-end"),
            _CELERY: Contestant(lambda: ordinary.end(0, text, reply), calls=5),
            _DRAMATIQ: Contestant(lambda: dramatiq.end(0, text, reply), calls=5),
            floors.INSERT: floors.insert(place.connection(), text, reply),
        }
        times = interleave(contestants, rounds=lab.rounds(100, 25), calls=5)
        counts = {
            name: per_call(one.run, redis_url=place.redis_url, prepare=one.prepare)
            for name, one in contestants.items()
            if name != floors.INSERT
        }
        engine().dispose()
    shown = milliseconds(times)
    row = Row(
        "turn end, less than the Celery app's",
        _CELERY,
        ratio(times[_CELERY], times[_OURS]),
        5,
        "at least",
    )
    plot = Bars("A turn's end, p50", "ms", {name: ms["p50"] for name, ms in shown.items()})
    return Answer([row], {"ms": shown, "one": counts}, plot)
