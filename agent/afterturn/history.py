"""Histories: recent messages of many sessions, kept within bounds and never behind Postgres."""

from __future__ import annotations

from typing import TYPE_CHECKING

from afterturn_models.errors import StoreUnavailableError
from afterturn_models.lru import Lru
from afterturn_models.store.messages import frozen_block, last_turns, page_after, page_before

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from afterturn_models.db import Database
    from afterturn_models.values import Message

_KEPT = 200  # messages a session
_KEPT_CHARACTERS = 500_000  # a session: what was sent has memory in it, and a message may be long


class Histories:
    """A cache of the last messages of at most `entries` sessions.

    Rows never change once captured, so what is cached is right; what other processes added since
    is read behind it, at the cost of one small query.
    """

    def __init__(self, database: Database, entries: int) -> None:
        self._database = database
        self._cache: Lru[UUID, tuple[Message, ...]] = Lru(entries)

    def page(self, session_id: UUID, limit: int, before: int | None) -> list[Message]:
        """Give up to `limit` messages before index `before` (None: the last ones), oldest first."""
        kept = self._cache.get(session_id) or ()
        if before is None and kept:
            kept = self._with_newer(session_id, kept)
        known = [message for message in kept if before is None or message.index < before]
        reaches = bool(known) and (before is None or known[-1].index == before - 1)
        if reaches and (len(known) >= limit or known[0].index == 1):
            return known[-limit:]
        with self._database.statement() as connection:
            found = page_before(connection, session_id, before=before, limit=limit)
        if before is None:
            self._cache.put(session_id, _kept(found))
        return found

    def replay(self, session_id: UUID, turns: int, *, tools: bool) -> list[Message]:
        """Give what was said in up to so many last turns, oldest first: read anew each time."""
        with self._database.statement() as connection:
            return last_turns(connection, session_id, limit=turns, tools=tools)

    def frozen(self, session_id: UUID) -> tuple[str, str] | None:
        """Give the block of memory that a session froze, and whose turn it was in.

        None where it has none, or none is known.
        """
        try:
            with self._database.statement() as connection:
                return frozen_block(connection, session_id)
        except StoreUnavailableError:
            return None

    def forked(self) -> None:
        """Go on in a forked child."""
        self._cache.forked()

    def __len__(self) -> int:
        """Tell how many sessions are cached."""
        return len(self._cache)

    def _with_newer(self, session_id: UUID, kept: tuple[Message, ...]) -> tuple[Message, ...]:
        with self._database.statement() as connection:
            newer = page_after(connection, session_id, after=kept[-1].index, limit=_KEPT + 1)
        if len(newer) > _KEPT:
            return ()  # so far behind that reading anew is one query too
        kept = _kept([*kept, *newer])
        self._cache.put(session_id, kept)
        return kept


def _kept(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Give the last of `messages` that are worth their room, one at least."""
    first, room = len(messages), _KEPT_CHARACTERS
    while first > max(0, len(messages) - _KEPT) and room > 0:
        first -= 1
        room -= len(messages[first].content) + len(messages[first].sent)
    return tuple(messages[first:])
