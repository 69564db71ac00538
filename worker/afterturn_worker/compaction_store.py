"""Compactions as the flow sees them, on Postgres: each method one statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from afterturn_models.store import compaction_due, compaction_texts, compactions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from afterturn_models.db import Database
    from afterturn_models.policy.compaction import Line
    from afterturn_models.store.compaction_texts import Reach, Said
    from afterturn_models.store.compactions import CompactionClaim, Held, Summary


class PostgresCompactions:
    """`CompactionStore` for the worker called `owner`."""

    def __init__(self, database: Database, owner: str) -> None:
        self._database = database
        self._owner = owner

    def want(self, session_id: UUID) -> None:
        """Note that a compaction is due."""
        with self._database.statement() as connection:
            compaction_due.want(connection, session_id)

    def claim(self, session_id: UUID, *, lease: float, force: bool) -> CompactionClaim | None:
        """Take the lease."""
        with self._database.statement() as connection:
            return compactions.claim(
                connection, session_id, owner=self._owner, lease=lease, force=force
            )

    def held(self, session_id: UUID) -> Held:
        """Tell why it is not to be had."""
        with self._database.statement() as connection:
            return compactions.held(connection, session_id)

    def lines(self, session_id: UUID, *, after: int, limit: int) -> Sequence[Line]:
        """Read a page of rows without their text."""
        with self._database.statement() as connection:
            return compaction_texts.lines(connection, session_id, after=after, limit=limit)

    def said(self, session_id: UUID, *, after: int, upto: int, limit: int) -> Sequence[Said]:
        """Read a page of texts."""
        with self._database.statement() as connection:
            return compaction_texts.said(
                connection, session_id, after=after, upto=upto, limit=limit
            )

    def reach(self, session_id: UUID, *, after: int, upto: int) -> Reach:
        """Tell where their text has been."""
        with self._database.statement() as connection:
            return compaction_texts.reach(connection, session_id, after=after, upto=upto)

    def index_of(self, session_id: UUID, row: UUID) -> int | None:
        """Give the index of a row."""
        with self._database.statement() as connection:
            return compaction_texts.index_of(connection, session_id, row)

    def renew(self, claim: CompactionClaim, *, lease: float) -> bool:
        """Hold the lease."""
        with self._database.statement() as connection:
            return compactions.renew(connection, claim, lease=lease)

    def commit(self, claim: CompactionClaim, summary: Summary, *, after: int, lease: float) -> bool:
        """Store a summary."""
        with self._database.statement() as connection:
            return compactions.commit(connection, claim, summary, after=after, lease=lease)

    def cool(
        self, claim: CompactionClaim, kind: str, *, failures: int, seconds: float, error: str
    ) -> bool:
        """Leave a kind alone."""
        with self._database.statement() as connection:
            return compactions.cool(
                connection, claim, kind, failures=failures, seconds=seconds, error=error
            )

    def release(self, claim: CompactionClaim) -> bool:
        """Give the lease back."""
        with self._database.statement() as connection:
            return compactions.release(connection, claim)

    def postpone(self, claim: CompactionClaim, *, seconds: float, error: str | None) -> bool:
        """Give the lease back until later."""
        with self._database.statement() as connection:
            return compactions.postpone(connection, claim, seconds=seconds, error=error)
