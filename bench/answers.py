"""What a question answers: rows for the table, figures for the JSON, a plot, a profile."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.harness import Ratio, Times

Sense = Literal["at most", "at least", "less than"]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a ratio and what it is to be.

    `what` is measured over `over`. No `ratio`: it could not be measured, and `note` says why.
    """

    what: str
    over: str
    ratio: Ratio | None
    aim: float
    sense: Sense = "at most"
    note: str = ""

    @property
    def met(self) -> bool:
        """Tell whether the ratio is what it is to be."""
        if self.ratio is None or math.isnan(self.ratio.value):
            return False
        # The table shows two decimals, and nobody is to see 1.30 fail 1.30.
        value = round(self.ratio.value, 2) if self.ratio.value < 10 else self.ratio.value
        if self.sense == "at least":
            return value >= self.aim
        return value < self.aim if self.sense == "less than" else value <= self.aim

    def as_json(self) -> dict[str, Any]:
        """Give the row for the JSON."""
        return {**asdict(self), "ratio": _ratio(self.ratio), "met": self.met}


@dataclass(frozen=True, slots=True)
class Bars:
    """A plot of one bar a contestant."""

    title: str
    unit: str
    values: Mapping[str, float]
    log: bool = False


@dataclass(frozen=True, slots=True)
class Lines:
    """A plot of one line a contestant over `x`."""

    title: str
    x_label: str
    unit: str
    x: Sequence[float]
    lines: Mapping[str, Sequence[float]]
    log: bool = False


@dataclass(slots=True)
class Answer:
    """All that came of one question. `profile` shows where the time goes, where a row is not met."""

    rows: list[Row]
    figures: dict[str, Any] = field(default_factory=dict)
    plot: Bars | Lines | None = None
    profile: str = ""

    @property
    def missed(self) -> bool:
        """Tell whether any row is not met."""
        return not all(row.met for row in self.rows)

    def as_json(self) -> dict[str, Any]:
        """Give everything for the JSON."""
        return {
            "rows": [row.as_json() for row in self.rows],
            "figures": self.figures,
            "plot": {"kind": type(self.plot).__name__, **asdict(self.plot)} if self.plot else None,
            "profile": self.profile,
        }


def milliseconds(times: Mapping[str, Times]) -> dict[str, dict[str, float]]:
    """Give p50 and p99 of each contestant, of this run and machine."""
    return {
        name: {"p50": round(found.p50 * 1e3, 4), "p99": round(found.p99 * 1e3, 4)}
        for name, found in times.items()
    }


def _ratio(found: Ratio | None) -> dict[str, float | None] | None:
    if found is None:
        return None
    return {
        name: None if math.isnan(value) else round(value, 4)
        for name, value in asdict(found).items()
    }
