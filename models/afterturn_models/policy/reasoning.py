"""The dialectic's reasoning level, scaled to the message (spec: dynamic reasoning level)."""

from __future__ import annotations

LEVELS = ("minimal", "low", "medium", "high", "max")
# What a call counts for in a budget of weights: a convention of ours, each level double the one
# below it. Honcho's own LLM calls a level (at most 2, 6, 3, 5, 11) say nothing of their length.
WEIGHTS = {level: 1 << place for place, level in enumerate(LEVELS)}
_ONE_UP = 120
_TWO_UP = 400


def dynamic_reasoning_level(query: str, floor: str = "low", cap: str = "high") -> str:
    """Choose the level for `query`: the floor, +1 from 120 characters, +2 from 400.

    Never above `cap`, which automatic selection may not raise to `max` unless it is said so: a
    floor above the cap gives the cap, as in the spec. An unknown floor counts as the lowest level.
    """
    base = max(0, LEVELS.index(floor)) if floor in LEVELS else 0
    bump = 0 if len(query) < _ONE_UP else 1 if len(query) < _TWO_UP else 2
    return LEVELS[min(base + bump, LEVELS.index(cap))]


def capped(level: str, cap: str) -> str:
    """Give `level`, or `cap` where that is lower."""
    return min(level, cap, key=LEVELS.index)


def chosen_level(
    said: str, *, floor: str, cap: str = "high", heuristic: bool = True, wanted: str | None = None
) -> str:
    """Choose the level of a question: what the asker `wanted`, else by the length of `said`.

    Without the heuristic it is the floor. Nothing is ever above `cap`.
    """
    if wanted in LEVELS:
        return capped(wanted, cap)
    return dynamic_reasoning_level(said, floor, cap) if heuristic else capped(floor, cap)


def pass_levels(
    level: str, depth: int, named: tuple[str, ...] = (), *, cap: str = "high"
) -> tuple[str, ...]:
    """Give the level of each of `depth` passes; those that are `named` are as named.

    By default a first of several passes is a quick look that may be enough, the second thinks at
    `level`, and a third, which only weighs what the two have found, needs no more than `low`.
    """
    usual = (level,) if depth == 1 else ("minimal", level, capped("low", level))[:depth]
    return tuple(capped(one, cap) for one in (*named, *usual[len(named) :]))[:depth]
