"""Sessions on real Postgres, a Honcho in memory, and the prefetches that run on them."""

from __future__ import annotations

import json
import uuid
from typing import Any

from sqlalchemy import text

from afterturn_models.db import Database
from afterturn_models.recall_settings import RecallSettings
from afterturn_models.signatures import Signature
from afterturn_models.store.facts import SessionFacts
from afterturn_worker.flows.dialectic import Consulted, consult
from afterturn_worker.flows.prefetch import due_fetches, prefetch_context, prefetch_dialectic
from afterturn_worker.flows.views import view_of
from afterturn_worker.stores import PostgresStore
from support.captured import Captures
from support.memory_recall import MemoryRecall

SECONDS = 9.0


class PrefetchWorld:
    """One workspace; `own` is the worker's word on settings."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.captures = Captures(database, "w")
        self.store = PostgresStore(database, "worker")
        self.honcho = MemoryRecall()
        self.own: dict[str, Any] = {}
        self.session = self.captures.open()

    def say(self, *said: str, settled: bool = True) -> int:
        """Capture a turn, and by default settle it; gives its number."""
        turn = self.captures.turn(self.session, *said)
        if settled:
            self.sql("UPDATE cursors SET last_saved_index = due_index")
        return turn

    def sql(self, statement: str, **parameters: Any) -> Any:
        """Run SQL and give its rows."""
        with self.database.statement() as connection:
            found = connection.execute(text(statement), parameters)
            return found.all() if found.returns_rows else found.rowcount

    def profile(self, **profile: Any) -> None:
        """Write the session's profile."""
        self.sql("UPDATE sessions SET details = CAST(:d AS jsonb)", d=json.dumps(profile))

    def facts(self) -> SessionFacts:
        """Read the session's facts."""
        found = self.store.session_facts(self.session)
        assert found is not None
        return found

    def fire(self) -> list[Signature]:
        """Give what is due."""
        return due_fetches(self.session, self.store, self.own)

    def fired(self) -> list[str]:
        """Give the kinds of what is due."""
        return [task.task_id.rpartition(".")[2] for task in self.fire() if task.task_id]

    def context(self, turn: int) -> dict[str, Any] | None:
        """Run the context's task."""
        return prefetch_context(
            self.session, turn, self.store, self.honcho, own=self.own, seconds=SECONDS
        )

    def dialectic(self, turn: int) -> dict[str, Any] | None:
        """Run the dialectic's task."""
        return prefetch_dialectic(
            self.session, turn, self.store, self.honcho, own=self.own, seconds=SECONDS
        )

    def consult(
        self, query: str = "Where?", *, deadline: float = SECONDS, **more: Any
    ) -> Consulted:
        """Put a question; settings by camelCase key, all else as `consult` takes it."""
        settings = RecallSettings.model_validate(
            {key: more.pop(key) for key in list(more) if not key.islower()}
        )
        facts, asked = self.facts(), more.get("asked", False)
        return consult(
            view_of(facts, settings, self.own, asked=asked, user=more.pop("user", None)),
            settings,
            query,
            workspace_id=facts.workspace_id,
            store=self.store,
            honcho=self.honcho,
            deadline=deadline,
            **more,
        )

    def outcomes(self) -> list[str]:
        """Give what the account says of each call, the first first."""
        rows = self.sql("SELECT outcome FROM dialectic_calls ORDER BY id")
        return [row.outcome for row in rows]

    def cursor(self) -> dict[str, Any]:
        """Read the session's cursor."""
        return self.captures.cursor(self.session)

    def gone(self) -> uuid.UUID:
        """Delete the session; gives its id."""
        self.sql("DELETE FROM sessions WHERE id = :s", s=self.session)
        return self.session
