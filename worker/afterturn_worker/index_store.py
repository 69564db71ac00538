"""The words of messages as the indexing flow sees them, on Postgres."""

from __future__ import annotations

from typing import TYPE_CHECKING

from afterturn_models.store import history_search

if TYPE_CHECKING:
    from uuid import UUID

    from afterturn_models.db import Database


class PostgresIndex:
    """`IndexStore`; each call is a statement that commits by itself."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin_index(self, session_id: UUID) -> None:
        """Make sure that it is known how far a session is indexed."""
        with self._database.statement() as connection:
            history_search.begin_index(connection, session_id)

    def index_messages(self, session_id: UUID, *, limit: int) -> int:
        """Index the next messages."""
        with self._database.statement() as connection:
            return history_search.index_messages(connection, session_id, limit=limit)
