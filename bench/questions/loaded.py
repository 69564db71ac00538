"""Does a turn cost the same where fifty conversations go on at once?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.answers import Answer, Bars, Row
from bench.harness import Ratio, Times, p50, p99, ratio
from bench.lab import LATENCY, said

if TYPE_CHECKING:
    from typing import Any

    from bench.child import Child
    from bench.lab import Lab

TITLE = "Fifty conversations, 33 turns a second"
_TALKS, _PACE = 50, 1.5
_PAUSE = 0.04


def run(lab: Lab) -> Answer:
    """Hold one conversation in one process and fifty in another, by turns, with Honcho at 200 ms."""
    alone, loaded = Times(), Times()
    ready = warm = 0
    with lab.place() as place:
        place.honcho(LATENCY)
        place.worker(threads=32)
        one, many = (place.child("bench.agent_process") for _ in range(2))
        one.ask("open", talks=1, texts=said())
        many.ask("open", talks=_TALKS, texts=said())
        _alone(one, 20)
        many.ask("talk", talks=_TALKS, turns=2, pace=_PACE)
        for _ in range(lab.rounds(3, 2)):
            alone.add(*_alone(one, lab.rounds(80, 25)))
            found = many.ask("talk", talks=_TALKS, turns=lab.rounds(10, 3), pace=_PACE)
            loaded.add(*_sums(found))
            ready, warm = ready + found["ready"], warm + found["warm"]
    rows = [
        Row("loaded: turn start + end (p50)", "unloaded", ratio(loaded, alone), 2.5),
        Row("loaded: turn start + end (p99)", "its p99", ratio(loaded, alone, p99), 5),
        Row(
            "loaded: prefetches ready at the next turn",
            "all",
            Ratio.exactly(ready / max(1, warm)),
            1,
            "at least",
        ),
    ]
    shown = {
        "turn unloaded, p50": p50(alone.values) * 1e3,
        "turn unloaded, p99": p99(alone.values) * 1e3,
        "turn loaded, p50": p50(loaded.values) * 1e3,
        "turn loaded, p99": p99(loaded.values) * 1e3,
    }
    plot = Bars("A turn's start and end, alone and at 33 turns a second", "ms", shown)
    figures = {"ms": shown, "ready": ready, "warm": warm, "turns": len(loaded.values)}
    return Answer(rows, figures, plot)


def _alone(agent: Child, count: int) -> list[float]:
    return _sums(agent.ask("turns", count=count, pause=_PAUSE))


def _sums(found: dict[str, Any]) -> list[float]:
    return [start + end for start, end in zip(found["starts"], found["ends"], strict=True)]
