"""Histograms of durations in fixed buckets: of bounded size, merged by adding, read as quantiles.

The bounds are ten to a decade, from a microsecond to a thousand seconds, in preferred numbers: a
quantile is off by less than a third of itself, and whoever wants fewer buckets leaves some out.
Every process counts in the same ones, so that those of a fleet add up.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_STEPS = (100, 125, 160, 200, 250, 315, 400, 500, 630, 800)  # the preferred numbers of R10
_FIRST = 1_000  # nanoseconds
_DECADES = 9
# Upper bounds in nanoseconds, each within its bucket; behind the last one everything is one more.
BOUNDS: tuple[int, ...] = (
    *(_FIRST * 10**decade * step // 100 for decade in range(_DECADES) for step in _STEPS),
    _FIRST * 10**_DECADES,
)
_SECOND = 1e9


@dataclass(frozen=True, slots=True)
class Summary:
    """One stage for people and for JSON; all but `count` are seconds, 0 where nothing was counted."""

    count: int
    sum: float
    p50: float
    p90: float
    p99: float


class Histogram:
    """How often which duration was measured; not safe between threads by itself."""

    __slots__ = ("buckets", "total")

    def __init__(self, buckets: Mapping[int, int] | None = None, total: int = 0) -> None:
        """`buckets` are counts by a bucket's place in `BOUNDS`, `total` the sum in nanoseconds."""
        self.buckets: dict[int, int] = dict(buckets or {})
        self.total = total

    def add(self, duration: int) -> None:
        """Count one duration in nanoseconds; a clock that went back gives 0."""
        duration = max(0, duration)
        place = bisect_left(BOUNDS, duration)
        self.buckets[place] = self.buckets.get(place, 0) + 1
        self.total += duration

    def merge(self, other: Histogram) -> None:
        """Add what another one counted."""
        for place, count in other.buckets.items():
            self.buckets[place] = self.buckets.get(place, 0) + count
        self.total += other.total

    def copy(self) -> Histogram:
        """Give one of its own with the same counts."""
        return Histogram(self.buckets, self.total)

    @property
    def count(self) -> int:
        """Tell how many durations were counted."""
        return sum(self.buckets.values())

    def quantile(self, share: float) -> float:
        """Give the duration in seconds that `share` (0 to 1) of all were within; 0 for none.

        It lies in the bucket of the one that is asked for, by its place among those in it; of what
        lies behind the last bound it is that bound.
        """
        wanted = max(1.0, share * self.count)
        before = 0
        for place in sorted(self.buckets):
            count = self.buckets[place]
            if before + count >= wanted:
                low, high = _between(place)
                return (low + (high - low) * (wanted - before) / count) / _SECOND
            before += count
        return 0.0

    def summary(self) -> Summary:
        """Give count, sum and quantiles."""
        quantiles = (self.quantile(share) for share in (0.5, 0.9, 0.99))
        return Summary(self.count, self.total / _SECOND, *quantiles)

    def cumulative(self, bounds: Iterable[int]) -> list[tuple[float, int]]:
        """Give for each of some `BOUNDS` in order, in seconds, how many were within it."""
        places = sorted(self.buckets)
        found, count, at = [], 0, 0
        for bound in bounds:
            last = bisect_left(BOUNDS, bound)
            while at < len(places) and places[at] <= last:
                count += self.buckets[places[at]]
                at += 1
            found.append((bound / _SECOND, count))
        return found

    def __eq__(self, other: object) -> bool:
        """Tell whether both counted the same."""
        if not isinstance(other, Histogram):
            return NotImplemented
        return (self.buckets, self.total) == (other.buckets, other.total)

    __hash__ = None  # type: ignore[assignment]  # it changes


def _between(place: int) -> tuple[int, int]:
    """Give the bounds of a bucket in nanoseconds."""
    if place >= len(BOUNDS):
        return BOUNDS[-1], BOUNDS[-1]
    return (BOUNDS[place - 1] if place > 0 else 0), BOUNDS[place]


def coarse() -> tuple[int, ...]:
    """Give the bounds that Prometheus is told: three to a decade, from a microsecond to 100 s."""
    return tuple(bound for bound in BOUNDS if bound <= 10**11 and str(bound).strip("0") in _ROUND)


_ROUND = frozenset({"1", "25", "5"})
