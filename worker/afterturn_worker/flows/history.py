"""Indexing a history: the words of what was captured, in batches, so that it can be searched."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from afterturn_models.values import Standing

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

_BATCH = 200  # messages a statement


class IndexStore(Protocol):
    """What indexing needs of Postgres."""

    def begin_index(self, session_id: UUID) -> None:
        """Make sure that it is known how far a session is indexed."""
        ...

    def index_messages(self, session_id: UUID, *, limit: int) -> int:
        """Index the next messages; gives how many: 0 where none is left, or another is at it."""
        ...


def index_history(
    session_id: UUID,
    store: IndexStore,
    *,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> Standing:
    """Index a session for `seconds` at most: SYNCED where nothing was left, else MORE.

    Safe to run twice, late, or beside its twin: each batch is one statement, which one of them has.
    Raises StoreUnavailableError; what was done stays done.
    """
    until = clock() + seconds
    store.begin_index(session_id)
    while clock() < until:
        if store.index_messages(session_id, limit=_BATCH) < _BATCH:
            return Standing.SYNCED
    return Standing.MORE
