"""Write frequency: when captured messages become due for Honcho (spec: write frequency)."""

from __future__ import annotations

ASYNC = "async"
TURN = "turn"
SESSION = "session"
_NAMES = (ASYNC, TURN, SESSION)


def parse_frequency(value: object) -> str:
    """Give the canonical text of a write frequency: async, turn, session, or a count of turns.

    Raises ValueError with what is allowed for anything else.
    """
    if isinstance(value, str) and value.strip().lower() in _NAMES:
        return value.strip().lower()
    counts = isinstance(value, int) and not isinstance(value, bool)
    if counts or (isinstance(value, str) and value.strip().isdecimal() and len(value) <= 20):
        turns = int(str(value))
        if 1 <= turns <= 10_000:
            return str(turns)
    raise ValueError(_allowed(value))


def _allowed(value: object) -> str:
    return f"{value!r} is not a write frequency; use async, turn, session, or a number of turns from 1 to 10000"
