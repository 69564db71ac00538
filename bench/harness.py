"""The harness: contestants take turns, round after round, and only their ratios are believed."""

from __future__ import annotations

import math
import random
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Statistic = Callable[[Sequence[float]], float]

_DRAWS = 400


@dataclass(frozen=True, slots=True)
class Contestant:
    """Something to measure: `run` is timed, `prepare` before each of its calls is not."""

    run: Callable[[], object]
    prepare: Callable[[], object] = lambda: None
    calls: int | None = None  # calls a round, where it is too slow for as many as the others


@dataclass(slots=True)
class Times:
    """What was measured, round by round: seconds of calls, or one figure a round."""

    rounds: list[list[float]] = field(default_factory=list)

    @property
    def values(self) -> list[float]:
        """Every figure of every round."""
        return [value for found in self.rounds for value in found]

    @property
    def p50(self) -> float:
        """The median."""
        return p50(self.values)

    @property
    def p99(self) -> float:
        """The figure that one in a hundred exceeds."""
        return p99(self.values)

    def add(self, *values: float) -> None:
        """Note a round."""
        self.rounds.append([*values])


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio, and the 95% interval that resampled rounds give it."""

    value: float
    low: float
    high: float

    @classmethod
    def exactly(cls, value: float) -> Ratio:
        """Give a ratio of counts, which has no spread."""
        return cls(value, value, value)


def p50(values: Sequence[float]) -> float:
    """Give the median."""
    return statistics.median(values)


def p99(values: Sequence[float]) -> float:
    """Give the figure that one in a hundred exceeds."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(len(ordered) * 0.99) - 1)]


def interleave(
    contestants: Mapping[str, Contestant], *, rounds: int, calls: int = 10, warm_up: int = 20
) -> dict[str, Times]:
    """Time every contestant `rounds` times `calls` times, in an order drawn anew each round.

    What else the machine does then falls on all of them alike. The warm-up is not counted; who is
    too slow for as many calls warms up with as many as it has in a round.
    """
    for contestant in contestants.values():
        for _ in range(contestant.calls or warm_up):
            contestant.prepare()
            contestant.run()
    times = {name: Times() for name in contestants}
    order = list(contestants)
    shuffled = random.Random(1)
    for _ in range(rounds):
        shuffled.shuffle(order)
        for name in order:
            contestant = contestants[name]
            times[name].add(*(_timed(contestant) for _ in range(contestant.calls or calls)))
    return times


def _timed(contestant: Contestant) -> float:
    contestant.prepare()
    began = time.perf_counter()
    contestant.run()
    return time.perf_counter() - began


def ratio(over: Times, under: Times, statistic: Statistic = p50, *, draws: int = _DRAWS) -> Ratio:
    """Give the ratio of a statistic, with its 95% bootstrap interval.

    Whole rounds are drawn, the same ones for both: calls of one round share what the machine was
    doing then, and counting each as independent would make the interval too narrow.
    """
    value = statistic(over.values) / statistic(under.values)
    both = min(len(over.rounds), len(under.rounds))
    if both < 2:
        return Ratio(value, math.nan, math.nan)
    drawn = random.Random(1)
    found = sorted(_resampled(over, under, statistic, both, drawn) for _ in range(draws))
    return Ratio(value, found[int(draws * 0.025)], found[int(draws * 0.975)])


def _resampled(
    over: Times, under: Times, statistic: Statistic, both: int, drawn: random.Random
) -> float:
    chosen = drawn.choices(range(both), k=both)
    return statistic([value for n in chosen for value in over.rounds[n]]) / statistic(
        [value for n in chosen for value in under.rounds[n]]
    )


def together(*parts: Times) -> Times:
    """Add up the n-th calls of several contestants: what they cost one after the other."""
    rounds = zip(*(part.rounds for part in parts), strict=True)
    return Times([[sum(calls) for calls in zip(*found, strict=True)] for found in rounds])
