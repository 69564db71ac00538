"""The two stores that keep the sync's contract, and what happens around each."""

from __future__ import annotations

import uuid
from typing import Protocol

from sqlalchemy import text

from afterturn_models.db import Database
from afterturn_models.store import capture, cursors, late, sessions
from afterturn_models.store.sessions import OpenSession, SessionSpec
from afterturn_models.values import (
    Claim,
    NewMessage,
    Role,
)
from afterturn_worker.flows.ports import SyncStore
from afterturn_worker.stores import PostgresStore
from support.memory_ports import Clock, MemoryStore

LEASE = 20.0


class World(Protocol):
    """A store, and what happens around it."""

    store: SyncStore

    def open(self) -> uuid.UUID: ...
    def capture(self, session: uuid.UUID, deliveries: str, *, due: bool = True) -> None: ...
    def pass_(self, seconds: float) -> None: ...
    def unpark(self, session: uuid.UUID) -> None: ...
    def retry(self, session: uuid.UUID, rows: list[uuid.UUID]) -> None: ...
    def drop(self, session: uuid.UUID, rows: list[uuid.UUID]) -> None: ...
    def repair(self, session: uuid.UUID, rows: list[uuid.UUID]) -> None: ...


class InMemory:
    def __init__(self) -> None:
        self.clock = Clock()
        self.store = MemoryStore(self.clock)

    def open(self) -> uuid.UUID:
        return self.store.open()

    def capture(self, session: uuid.UUID, deliveries: str, *, due: bool = True) -> None:
        self.store.capture(session, deliveries, due=due)

    def pass_(self, seconds: float) -> None:
        self.clock.pass_(seconds)

    def unpark(self, session: uuid.UUID) -> None:
        self.store.unpark(session)

    def retry(self, session: uuid.UUID, rows: list[uuid.UUID]) -> None:
        self.store.retry_quarantined(session, rows)

    def drop(self, session: uuid.UUID, rows: list[uuid.UUID]) -> None:
        self.store.drop_quarantined(session, rows)

    def repair(self, session: uuid.UUID, rows: list[uuid.UUID]) -> None:
        self.store.send_late(session, rows)


class OnPostgres:
    def __init__(self, database: Database) -> None:
        self._database = database
        self.store = PostgresStore(database, "worker-1")
        self._opened: dict[uuid.UUID, OpenSession] = {}

    def open(self) -> uuid.UUID:
        spec = SessionSpec("w", uuid.uuid4().hex, user_peer="ann", agent_peer="bot")
        with self._database.statement() as connection:
            opened = sessions.open_session(connection, spec)
        self._opened[opened.id] = opened
        return opened.id

    def capture(self, session: uuid.UUID, deliveries: str, *, due: bool = True) -> None:
        rows = [
            NewMessage(
                id=uuid.uuid4(),
                role=Role.ASSISTANT if kind == "a" else Role.USER,
                peer="bot" if kind == "a" else "ann",
                content="said",
                local="noise" if kind == "l" else None,
            )
            for kind in deliveries
        ]
        policy = capture.WritePolicy(given=(("writeFrequency", "async" if due else "session"),))
        with self._database.statement() as connection:
            opened = self._opened[session]
            assert capture.capture_turn(connection, opened, "bot", uuid.uuid4(), rows, policy)

    def pass_(self, seconds: float) -> None:
        """Move every time that was written down into the past: the clock is Postgres' own."""
        columns = ("lease_until", "run_at", "settle_at", "relayed_at")
        moved = ", ".join(f"{c} = {c} - make_interval(secs => :by)" for c in columns)
        with self._database.statement() as connection:
            connection.execute(text(f"UPDATE cursors SET {moved}"), {"by": seconds})

    def unpark(self, session: uuid.UUID) -> None:
        with self._database.statement() as connection:
            cursors.unpark(connection, "w")

    def retry(self, session: uuid.UUID, rows: list[uuid.UUID]) -> None:
        with self._database.statement() as connection:
            late.retry_quarantined(connection, rows)

    def drop(self, session: uuid.UUID, rows: list[uuid.UUID]) -> None:
        with self._database.statement() as connection:
            late.drop_quarantined(connection, rows)

    def repair(self, session: uuid.UUID, rows: list[uuid.UUID]) -> None:
        with self._database.statement() as connection:
            late.send_late(connection, session, rows)


def claimed(world: World, session: uuid.UUID) -> Claim:
    """Take the lease."""
    claim = world.store.claim(session, lease=LEASE)
    assert claim is not None
    return claim
