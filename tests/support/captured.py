"""Captures as an agent makes them, without an agent and without a hint."""

from __future__ import annotations

import uuid

from sqlalchemy import text

from afterturn_models.db import Database
from afterturn_models.store import capture, sessions
from afterturn_models.store.sessions import OpenSession, SessionSpec
from afterturn_models.values import NewMessage, Role


class Captures:
    """Sessions of one workspace in one database, and what was captured in each."""

    def __init__(self, database: Database, workspace: str) -> None:
        self.database = database
        self.workspace = workspace
        self.rows: dict[uuid.UUID, list[NewMessage]] = {}
        self._opened: dict[uuid.UUID, OpenSession] = {}

    def open(self, key: str | None = None) -> uuid.UUID:
        """Open a session."""
        spec = SessionSpec(self.workspace, key or f"s-{uuid.uuid4().hex}", "ann", "bot")
        with self.database.statement() as connection:
            opened = sessions.open_session(connection, spec)
        self._opened[opened.id] = opened
        self.rows.setdefault(opened.id, [])
        return opened.id

    def turn(self, session: uuid.UUID, *said: str) -> int:
        """Capture a turn, user first, and make it due; gives its number."""
        rows = [
            NewMessage(
                uuid.uuid4(),
                Role.ASSISTANT if place % 2 else Role.USER,
                "bot" if place % 2 else "ann",
                content,
            )
            for place, content in enumerate(said)
        ]
        with self.database.statement() as connection:
            done = capture.capture_turn(
                connection, self._opened[session], "bot", uuid.uuid4(), rows, capture.WritePolicy()
            )
        assert done is not None
        self.rows[session] += rows
        return done.turn

    def honcho_session(self, session: uuid.UUID) -> str:
        """Give the session's name at Honcho."""
        return self._opened[session].honcho_session

    def cursor(self, session: uuid.UUID) -> dict[str, object]:
        """Read a session's cursor."""
        with self.database.statement() as connection:
            found = connection.execute(
                text("SELECT * FROM cursors WHERE session_id = :id"), {"id": session}
            )
            return dict(found.mappings().one())

    def settled(self, session: uuid.UUID) -> bool:
        """Tell whether everything captured is settled, and no intent is left."""
        cursor = self.cursor(session)
        done = cursor["last_saved_index"] == len(self.rows[session])
        return done and cursor["intent_first"] is None
