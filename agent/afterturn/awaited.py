"""Awaited: the prefetched results that one session waits for, and what of them is new."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from afterturn.commands import getdel
from afterturn.recall import Recall
from afterturn_models.prefetched import context_task_id, decode, dialectic_task_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from afterturn.popper import Popper
    from afterturn_models.prefetched import Prefetched

_TURNS = 3  # turns whose results are still waited for: older ones would be stale


class Wanted(NamedTuple):
    """What Redis is asked for: after which turns each kind was fetched, their ids, the commands."""

    session: UUID
    contexts: list[int]
    dialectics: list[int]
    ids: list[str]
    commands: bytes


class Awaited:
    """The results that one session still waits for, and the newest that it had.

    Stale is what is not newer than what was popped before, what was fetched more than `_TURNS`
    captured turns ago, and what lay in Redis longer than `broker.RESULT_EXPIRES`: that age is the
    backend's own expiry, on Redis' clock, so that no machine's clock is compared with another's.

    Its lock is its own, and never held while Redis is waited for: a turn that ends in one thread
    does not wait for another thread's turn that begins. Its lists are replaced, never changed.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._contexts: list[int] = []
        self._dialectics: list[int] = []
        self._context_turn = self._dialectic_turn = -1  # a new session's first are of turn 0
        self._last = 0
        self._session: UUID | None = None
        self._wanted: Wanted | None = None

    def expect(self, turn: int) -> None:
        """Wait for what is fetched after `turn`; 0 is what is fetched before the first one."""
        with self._lock:
            self._contexts = sorted({*self._contexts, turn})[-_TURNS:]
            self._dialectics = sorted({*self._dialectics, turn})[-_TURNS:]
            self._last = max(self._last, turn)
            self._wanted = None
            if self._session is not None:
                self.wanted(self._session)  # made here, where a turn ends: none that begins waits

    def wanted(self, session_id: UUID) -> Wanted:
        """Give what to ask Redis for now."""
        with self._lock:
            found = self._wanted
            if found is None or session_id != self._session:
                self._session = session_id
                found = self._wanted = _wanted(session_id, self._contexts, self._dialectics)
            return found

    def pop(self, popper: Popper, session_id: UUID, *, about: str | None = None) -> Recall | None:
        """Look what has come, and take it (see `take`): a round trip of its own."""
        return self._pop(popper, session_id, about)

    def _pop(self, popper: Popper, session_id: UUID, about: str | None) -> Recall | None:
        wanted = self.wanted(session_id)
        return self.take(wanted, popper.pop(wanted.ids), about=about)

    def take(
        self, wanted: Wanted, found: Sequence[bytes | None], *, about: str | None
    ) -> Recall | None:
        """Take what Redis `found` of what was `wanted`; None where nothing newer has come.

        In a shared chat the one who speaks now may not be the one who spoke last: what was
        fetched about another peer than `about` is dropped, and reaches nobody's prompt.
        """
        count = len(wanted.contexts)
        contexts, dialectics = found[:count], found[count:]
        with self._lock:
            if wanted.session != self._session:
                return None  # a new one of its name began meanwhile, and counts from 1 again
            context = _newest(wanted.contexts, contexts, self._context_turn, about)
            dialectic = _newest(wanted.dialectics, dialectics, self._dialectic_turn, about)
            self._contexts = _still_awaited(self._contexts, wanted.contexts, contexts)
            self._dialectics = _still_awaited(self._dialectics, wanted.dialectics, dialectics)
            self._wanted = None
            if context is not None:
                self._context_turn = context.turn
            if dialectic is not None:
                self._dialectic_turn = dialectic.turn
        return _as_recall(context, dialectic)

    def supersede(self, *, context: bool, dialectic: bool) -> int:
        """Drop what still comes of either: it was just recalled anew, for the message of now.

        Gives the last turn that is known, after which that was.
        """
        with self._lock:
            if context:
                self._contexts, self._context_turn = [], self._last
            if dialectic:
                self._dialectics, self._dialectic_turn = [], self._last
            self._wanted = None
            return self._last

    def forked(self) -> None:
        """Let a forked child go on, whatever thread of its parent held the lock."""
        self._lock = threading.RLock()

    @property
    def waiting(self) -> tuple[bool, bool]:
        """Tell whether a context may still come, and whether a dialectic may."""
        return bool(self._contexts), bool(self._dialectics)


def _wanted(session_id: UUID, contexts: list[int], dialectics: list[int]) -> Wanted:
    session = str(session_id)
    ids = [context_task_id(session, turn) for turn in contexts]
    ids += [dialectic_task_id(session, turn) for turn in dialectics]
    return Wanted(
        session_id, contexts, dialectics, ids, b"".join([getdel(task_id) for task_id in ids])
    )


def _as_recall(context: Prefetched | None, dialectic: Prefetched | None) -> Recall | None:
    if context is None:
        if dialectic is None:
            return None
        return Recall(None, dialectic.dialectic, 0, dialectic.turn, dialectic.counts)
    if dialectic is None:
        return Recall(context.context, None, context.turn, 0, context.counts)
    counts = {**context.counts, **dialectic.counts}
    return Recall(context.context, dialectic.dialectic, context.turn, dialectic.turn, counts)


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


def _still_awaited(
    awaited: list[int], asked: list[int], found: Sequence[bytes | None]
) -> list[int]:
    """Keep the turns newer than the newest that has come, whatever it had to say."""
    come = [turn for turn, raw in zip(asked, found, strict=True) if raw is not None]
    return [turn for turn in awaited if turn > come[-1]] if come else awaited
