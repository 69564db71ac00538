"""Histories: recent messages of many sessions, kept within bounds and never behind Postgres."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from sys import getsizeof
from typing import TYPE_CHECKING

from afterturn_models.errors import StoreUnavailableError
from afterturn_models.lru import Lru
from afterturn_models.store.history import (
    frozen_block,
    last_turns,
    newer,
    page_after,
    page_before,
    session_info,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from afterturn_models.db import Database
    from afterturn_models.store.history import SessionInfo
    from afterturn_models.values import Message

_KEPT = 200  # messages a session
_SHARE = 4  # of the whole cache, one session takes a quarter at most
_AROUND = 600  # bytes of a message beside its texts: the object, ids, names, instants


class SessionGoneError(LookupError):
    """The session was deleted; its name may mean a new one by now."""


@dataclass(frozen=True, slots=True)
class CacheCounters:
    """What the cache of histories did since the process began, and what it holds now.

    `hits` are pages that came out of it, whether or not something newer was read behind it;
    `evictions` sessions that were pushed out by others.
    """

    hits: int
    misses: int
    evictions: int
    sessions: int
    bytes: int


class Histories:
    """A cache of the last messages of at most `entries` sessions, of `room` bytes in all.

    Rows never change once captured, so what is cached is right, and every page shares it; what
    other processes added since is read behind it, at the cost of one small query.
    """

    def __init__(self, database: Database, entries: int, room: int) -> None:
        self._database = database
        self._share = room // _SHARE
        self._cache: Lru[UUID, tuple[Message, ...]] = Lru(entries, room=room, weigh=_weight)
        self._hits = 0
        self._misses = 0
        self._lock = threading.RLock()  # a signal handler of the host may come in between

    def page(
        self, session_id: UUID, limit: int, *, before: int | None = None, after: int | None = None
    ) -> list[Message]:
        """Give up to `limit` messages, oldest first: the last ones, or those next to an index.

        Those `before` it are the nearest ones, and so are those `after` it. Raises
        SessionGoneError where the session was deleted, as far as Postgres was asked.
        """
        kept = self._cache.get(session_id) or ()
        if before is None and kept:
            kept = self._with_newer(session_id, kept)
        found = _page_of(kept, limit, before, after)
        self._count(hit=found is not None)
        return self._read(session_id, limit, before, after) if found is None else found

    def info(self, session_id: UUID) -> SessionInfo:
        """Give what is known of a session, read anew. Raises SessionGoneError."""
        with self._database.statement() as connection:
            found = session_info(connection, session_id)
        if found is None:
            raise self._gone(session_id)
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

    def counters(self) -> CacheCounters:
        """Tell how the cache does."""
        cache = self._cache
        return CacheCounters(self._hits, self._misses, cache.evictions, len(cache), cache.weight)

    def forked(self) -> None:
        """Go on in a forked child."""
        self._lock = threading.RLock()
        self._cache.forked()

    def __len__(self) -> int:
        """Tell how many sessions are cached."""
        return len(self._cache)

    def _read(
        self, session_id: UUID, limit: int, before: int | None, after: int | None
    ) -> list[Message]:
        with self._database.statement() as connection:
            if after is not None:
                return page_after(connection, session_id, after=after, limit=limit)
            found = page_before(connection, session_id, before=before, limit=limit)
            if not found and before is None and session_info(connection, session_id) is None:
                raise self._gone(session_id)
        if before is None:
            self._cache.put(session_id, self._worth(found))
        return found

    def _with_newer(self, session_id: UUID, kept: tuple[Message, ...]) -> tuple[Message, ...]:
        with self._database.statement() as connection:
            found = newer(connection, session_id, after=kept[-1].index, limit=_KEPT + 1)
        if found is None:
            raise self._gone(session_id)
        if len(found) > _KEPT:
            return ()  # so far behind that reading anew is one query too
        if found:
            kept = self._worth([*kept, *found])
            self._cache.put(session_id, kept)
        return kept

    def _worth(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """Give the last of `messages` that are worth their room, one at least."""
        first, room = len(messages), self._share
        while first > max(0, len(messages) - _KEPT) and room > 0:
            first -= 1
            room -= _bytes(messages[first])
        return tuple(messages[first:])

    def _gone(self, session_id: UUID) -> SessionGoneError:
        self._cache.drop(session_id)
        return SessionGoneError(session_id)

    def _count(self, *, hit: bool) -> None:
        with self._lock:
            self._hits += hit
            self._misses += not hit


def _page_of(
    kept: tuple[Message, ...], limit: int, before: int | None, after: int | None
) -> list[Message] | None:
    """Give a page out of what is kept; None where it reaches beyond that."""
    if after is not None:
        covered = bool(kept) and kept[0].index <= max(0, after) + 1
        known = [message for message in kept if message.index > after]
        return known[:limit] if covered else None
    known = [message for message in kept if before is None or message.index < before]
    reaches = bool(known) and (before is None or known[-1].index == before - 1)
    if reaches and (len(known) >= limit or known[0].index == 1):
        return known[-limit:]
    return None


def _weight(messages: tuple[Message, ...]) -> int:
    return sum(_bytes(message) for message in messages)


def _bytes(message: Message) -> int:
    """Tell about how much memory a message takes; texts that are equal are one."""
    sent = 0 if message.sent is message.content else getsizeof(message.sent)
    call = 0 if message.call is None else getsizeof(message.call.arguments)
    return _AROUND + getsizeof(message.content) + sent + call
