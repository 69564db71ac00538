"""Awaited: the prefetched results that one session waits for, and what of them is new."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from afterturn.recall import Recall
from afterturn_models.prefetched import context_task_id, decode, dialectic_task_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from afterturn.popper import Popper
    from afterturn_models.prefetched import Prefetched

_TURNS = 3  # turns whose results are still waited for: older ones would be stale


class Awaited:
    """The results that one session still waits for, and the newest that it had.

    Stale is what is not newer than what was popped before, what was fetched more than `_TURNS`
    captured turns ago, and what lay in Redis longer than `broker.RESULT_EXPIRES`: that age is the
    backend's own expiry, on Redis' clock, so that no machine's clock is compared with another's.

    Its lock is its own, and held for a round trip at most: a turn that ends in one thread does
    not wait for another thread's turn that begins, and may wait for its recall.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._contexts: list[int] = []
        self._dialectics: list[int] = []
        self._context_turn = self._dialectic_turn = -1  # a new session's first are of turn 0
        self._last = 0

    def expect(self, turn: int) -> None:
        """Wait for what is fetched after `turn`; 0 is what is fetched before the first one."""
        with self._lock:
            self._contexts = sorted({*self._contexts, turn})[-_TURNS:]
            self._dialectics = sorted({*self._dialectics, turn})[-_TURNS:]
            self._last = max(self._last, turn)

    def pop(self, popper: Popper, session_id: UUID, *, about: str | None = None) -> Recall | None:
        """Take what has come; None where nothing newer than before has.

        In a shared chat the one who speaks now may not be the one who spoke last: what was
        fetched about another peer than `about` is dropped, and reaches nobody's prompt.
        """
        with self._lock:
            return self._pop(popper, session_id, about)

    def _pop(self, popper: Popper, session_id: UUID, about: str | None) -> Recall | None:
        session = str(session_id)
        ids = [context_task_id(session, turn) for turn in self._contexts]
        count = len(ids)
        ids += [dialectic_task_id(session, turn) for turn in self._dialectics]
        found = popper.pop(ids)
        contexts, dialectics = found[:count], found[count:]
        context = _newest(self._contexts, contexts, self._context_turn, about)
        dialectic = _newest(self._dialectics, dialectics, self._dialectic_turn, about)
        self._contexts = _still_awaited(self._contexts, contexts)
        self._dialectics = _still_awaited(self._dialectics, dialectics)
        if context is None and dialectic is None:
            return None
        self._context_turn = context.turn if context else self._context_turn
        self._dialectic_turn = dialectic.turn if dialectic else self._dialectic_turn
        return Recall(
            context=context.context if context else None,
            dialectic=dialectic.dialectic if dialectic else None,
            context_turn=context.turn if context else 0,
            dialectic_turn=dialectic.turn if dialectic else 0,
            counts={
                **(context.counts if context else {}),
                **(dialectic.counts if dialectic else {}),
            },
        )

    def supersede(self, *, context: bool, dialectic: bool) -> int:
        """Drop what still comes of either: it was just recalled anew, for the message of now.

        Gives the last turn that is known, after which that was.
        """
        with self._lock:
            if context:
                self._contexts, self._context_turn = [], self._last
            if dialectic:
                self._dialectics, self._dialectic_turn = [], self._last
            return self._last

    def forked(self) -> None:
        """Let a forked child go on, whatever thread of its parent held the lock."""
        self._lock = threading.RLock()

    @property
    def waiting(self) -> tuple[bool, bool]:
        """Tell whether a context may still come, and whether a dialectic may."""
        return bool(self._contexts), bool(self._dialectics)


def _newest(
    turns: list[int], found: Sequence[bytes | None], after: int, about: str | None
) -> Prefetched | None:
    """Give the newest result about this peer that says something and is newer than turn `after`."""
    for turn, raw in zip(reversed(turns), reversed(found), strict=True):
        if raw is None or turn <= after:
            continue
        result = decode(raw)
        # One that names another turn than its key does is no result of ours.
        if result is not None and result.turn == turn and about in (None, result.about):
            return result
    return None


def _still_awaited(turns: list[int], found: Sequence[bytes | None]) -> list[int]:
    """Keep the turns newer than the newest that has come, whatever it had to say."""
    come = [place for place, raw in enumerate(found, 1) if raw is not None]
    return turns[come[-1] :] if come else turns
