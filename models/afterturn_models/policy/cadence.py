"""Cadence: after which turns context is fetched and the dialectic asked, decided from numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["context", "dialectic"]
NEVER = -1  # no fetch yet, not even before the first turn
_WIDEST = 8  # times its cadence: so rarely a dialectic that never has anything to say is asked


@dataclass(frozen=True, slots=True)
class Fetched:
    """A session's last turn, and after which turns what was fetched for it (0: before the first).

    `empty_dialectics` is how many answers of the dialectic in a row had nothing to say, `uncovered`
    how many tokens of the session no compaction covers.
    """

    turn: int
    context_turn: int = NEVER
    dialectic_turn: int = NEVER
    empty_dialectics: int = 0
    uncovered: int = 0


@dataclass(frozen=True, slots=True)
class Cadence:
    """What is fetched by itself, with so many turns between two fetches (0: never).

    `once`: what is fetched is injected at the start only, so nothing is fetched any more after the
    first turn for which something was.
    """

    context: int = 1
    dialectic: int = 1
    once: bool = False

    @classmethod
    def of(cls, recall_mode: str, injection: str, context: int, dialectic: int) -> Cadence:
        """Make it from settings; in the recall mode `tools` nothing is fetched by itself."""
        if recall_mode == "tools":
            return cls(0, 0)
        return cls(context, dialectic, once=injection != "every-turn")

    def context_due(self, last: Fetched) -> bool:
        """Tell whether context is to be fetched after the last turn."""
        return self._due(self.context, last.context_turn, last.turn)

    def dialectic_due(self, last: Fetched) -> bool:
        """Tell whether the dialectic is to be asked after the last turn."""
        cadence = widened(self.dialectic, last.empty_dialectics)
        return self._due(cadence, last.dialectic_turn, last.turn)

    def _due(self, cadence: int, last: int, turn: int) -> bool:
        """Tell whether a fetch is due; the first turn's always is, whatever came before it."""
        if not cadence or turn <= last:
            return False
        return last < 1 or (not self.once and turn - last >= cadence)


def widened(cadence: int, empty: int) -> int:
    """Give a dialectic's cadence after `empty` answers in a row that had nothing to say.

    A turn more for each of them, and never more than 8 times the cadence: one that has something
    to say again is found within that. Failures and refusals are no answers.
    """
    return min(cadence + max(0, empty), _WIDEST * cadence)
