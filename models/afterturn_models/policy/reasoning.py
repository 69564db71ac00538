"""The dialectic's reasoning level, scaled to the message (spec: dynamic reasoning level)."""

from __future__ import annotations

LEVELS = ("minimal", "low", "medium", "high", "max")
_ONE_UP = 120
_TWO_UP = 400


def dynamic_reasoning_level(query: str, floor: str = "low", cap: str = "high") -> str:
    """Choose the level for `query`: the floor, +1 from 120 characters, +2 from 400.

    Never above `cap`, which automatic selection may not raise to `max` unless it is said so.
    An unknown floor counts as the lowest level, as in the spec.
    """
    base = max(0, LEVELS.index(floor)) if floor in LEVELS else 0
    bump = 0 if len(query) < _ONE_UP else 1 if len(query) < _TWO_UP else 2
    return LEVELS[min(base + bump, LEVELS.index(cap))]
