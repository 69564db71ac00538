"""The identity ledger as the seeding flow sees it, on Postgres."""

from __future__ import annotations

from typing import TYPE_CHECKING

from afterturn_models.store import identity

if TYPE_CHECKING:
    from uuid import UUID

    from afterturn_models.db import Database
    from afterturn_models.store.identity import Seed


class PostgresSeeds:
    """`SeedStore`; owns the transactions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, seed_id: int, *, lease: float) -> Seed | None:
        """Take a seed up for `lease` seconds; None where there is nothing to do now."""
        with self._database.statement() as connection:
            return identity.claim(connection, seed_id, lease=lease)

    def capture(self, seed: Seed) -> UUID | None:
        """Capture a seed, all of it or nothing; gives its session, None where it stays undone."""
        # On its own: it locks rows that every agent of the workspace opens its sessions by.
        with self._database.statement() as connection:
            session = identity.open_identity(connection, seed.pair, seed.peer, seed.profile)
        try:
            with self._database.transaction() as connection:
                done = identity.capture_seed(connection, seed, session)
        except identity.KeptHereError:
            self.withdraw(seed.id)
            return None
        return session.id if done else None

    def finish(self, seed_id: int) -> None:
        """Close a seed for ever."""
        with self._database.statement() as connection:
            identity.finish(connection, seed_id)

    def withdraw(self, seed_id: int) -> None:
        """Forget a seed that a setting keeps here."""
        with self._database.statement() as connection:
            identity.withdraw(connection, seed_id)

    def failed(self, seed_id: int, error: str) -> None:
        """Note why a try failed."""
        with self._database.statement() as connection:
            identity.failed(connection, seed_id, error)
