"""Deleting a session as an ask sees it, on Postgres."""

from __future__ import annotations

from typing import TYPE_CHECKING

from afterturn_models.store import deleting

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from afterturn_models.db import Database
    from afterturn_models.store.deleting import Deletion, Place


class PostgresDeleting:
    """`DeleteStore`, for the worker called `owner`."""

    def __init__(self, database: Database, owner: str) -> None:
        self._database = database
        self._owner = owner

    def hold(self, session_id: UUID, *, lease: float) -> int | Deletion:
        """Take the session's lease, so that nobody sends."""
        with self._database.statement() as connection:
            return deleting.hold(connection, session_id, owner=self._owner, lease=lease)

    def let_go(self, session_id: UUID, epoch: int) -> None:
        """Give the lease back."""
        with self._database.statement() as connection:
            deleting.let_go(connection, session_id, epoch)

    def places(self, session_id: UUID) -> list[Place]:
        """Name the sessions of Honcho that its messages went to."""
        with self._database.statement() as connection:
            return deleting.places(connection, session_id)

    def delete_held(self, session_id: UUID, epoch: int, *, gone: Sequence[str]) -> int | None:
        """Delete the session here."""
        with self._database.statement() as connection:
            return deleting.delete_held(connection, session_id, epoch, gone=gone)
