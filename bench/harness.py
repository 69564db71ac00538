"""The harness: contestants take turns, round after round, and only their ratios are believed."""

from __future__ import annotations

import random
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class Contestant:
    """Something to measure: `run` is timed, `prepare` before each of its calls is not."""

    run: Callable[[], object]
    prepare: Callable[[], object] = lambda: None


@dataclass(slots=True)
class Times:
    """Seconds of each call."""

    seconds: list[float] = field(default_factory=list)

    def quantile(self, share: float) -> float:
        """Give the time within which `share` of the calls were done."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]

    @property
    def p50(self) -> float:
        """The median, in seconds."""
        return statistics.median(self.seconds)

    @property
    def p99(self) -> float:
        """The time that one call in a hundred exceeds, in seconds."""
        return self.quantile(0.99)


def interleave(
    contestants: Mapping[str, Contestant], *, rounds: int, calls: int = 10, warm_up: int = 20
) -> dict[str, Times]:
    """Time every contestant `rounds` times `calls` times, in an order drawn anew each round.

    What else the machine does then falls on all of them alike. The warm-up is not counted.
    """
    times = {name: Times() for name in contestants}
    for contestant in contestants.values():
        for _ in range(warm_up):
            contestant.prepare()
            contestant.run()
    order = list(contestants)
    shuffled = random.Random(1)
    for _ in range(rounds):
        shuffled.shuffle(order)
        for name in order:
            contestant = contestants[name]
            for _ in range(calls):
                contestant.prepare()
                began = time.perf_counter()
                contestant.run()
                times[name].seconds.append(time.perf_counter() - began)
    return times


def ratio_interval(over: Times, under: Times, *, draws: int = 500) -> tuple[float, float]:
    """Give the 95% bootstrap interval of the ratio of two medians."""
    drawn = random.Random(1)
    ratios = sorted(
        statistics.median(drawn.choices(over.seconds, k=len(over.seconds)))
        / statistics.median(drawn.choices(under.seconds, k=len(under.seconds)))
        for _ in range(draws)
    )
    return ratios[int(draws * 0.025)], ratios[int(draws * 0.975)]
