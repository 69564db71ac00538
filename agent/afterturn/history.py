"""Histories: recent messages of many sessions, kept within bounds and never behind Postgres."""

from __future__ import annotations

from typing import TYPE_CHECKING

from afterturn_models.lru import Lru
from afterturn_models.store.messages import page_after, page_before

if TYPE_CHECKING:
    from uuid import UUID

    from afterturn_models.db import Database
    from afterturn_models.values import Message

_KEPT = 200  # messages a session


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
            self._cache.put(session_id, tuple(found[-_KEPT:]))
        return found

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
        kept = (*kept, *newer)[-_KEPT:]
        self._cache.put(session_id, kept)
        return kept
