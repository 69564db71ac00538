"""A short way to say what a store test is about: sessions, turns, settings, on real Postgres."""

from __future__ import annotations

import itertools
import json
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import Connection, text

from afterturn_models.db import Database
from afterturn_models.store.capture import WritePolicy, capture_turn
from afterturn_models.store.cursors import claim
from afterturn_models.store.sessions import OpenSession, SessionSpec, open_session
from afterturn_models.values import Captured, Claim, NewMessage, Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_count = itertools.count(1)


def message(role: str = "user", content: str = "hello", **more: Any) -> NewMessage:
    """Make a row to capture."""
    peer = more.pop("peer", "ann" if role == "user" else "bot")
    return NewMessage(more.pop("id", uuid.uuid4()), Role(role), peer, content, **more)


class Desk:
    """The store of one test's database, each call a statement that commits by itself."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def run(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function of the store with a connection."""
        with self.database.statement() as connection:
            return call(connection, *args, **kwargs)

    def sql(self, statement: str, **parameters: Any) -> Any:
        """Run SQL and give its rows, or how many it changed."""
        with self.database.statement() as connection:
            found = connection.execute(text(statement), parameters)
            return found.all() if found.returns_rows else found.rowcount

    def open(self, key: str | None = None, **more: Any) -> OpenSession:
        """Open a session, a new one where no key is given."""
        spec = {"workspace": "w", "user_peer": "ann", "agent_peer": "bot", **more}
        return self.run(open_session, SessionSpec(key=key or f"s{next(_count)}", **spec))

    def capture(
        self,
        session: OpenSession,
        rows: Sequence[NewMessage] | None = None,
        *,
        turn_id: uuid.UUID | None = None,
        given: dict[str, str] | None = None,
        fallback: dict[str, str] | None = None,
    ) -> Captured | None:
        """Capture a turn: by default one message of each peer."""
        policy = WritePolicy(tuple((given or {}).items()), tuple((fallback or {}).items()))
        rows = rows if rows is not None else [message("user"), message("assistant", "hi")]
        return self.run(capture_turn, session, "bot", turn_id or uuid.uuid4(), rows, policy)

    def set(self, session: OpenSession, scope: str, key: str, value: Any) -> None:
        """Write a setting at a scope."""
        subject = {"workspace": "", "agent": "bot", "session": str(session.id)}[scope]
        self.sql(
            "INSERT INTO settings (workspace_id, scope, subject, key, value)"
            " VALUES (:w, :scope, :subject, :key, CAST(:value AS jsonb))"
            " ON CONFLICT (workspace_id, scope, subject, key) DO UPDATE SET value = excluded.value",
            w=session.workspace_id, scope=scope, subject=subject, key=key, value=json.dumps(value),
        )  # fmt: skip

    def claim(self, session: OpenSession, *, owner: str = "a", lease: float = 20) -> Claim | None:
        """Claim a session's cursor."""
        return self.run(claim, session.id, owner=owner, lease=lease)

    def cursor(self, session: OpenSession) -> Any:
        """Read a cursor's row."""
        return self.sql("SELECT * FROM cursors WHERE session_id = :s", s=session.id)[0]

    def rows(self, session: OpenSession) -> Any:
        """Read a session's messages."""
        return self.sql("SELECT * FROM messages WHERE session_id = :s ORDER BY index", s=session.id)

    @contextmanager
    def holding(self, session: OpenSession) -> Iterator[Connection]:
        """Hold the cursor's row lock, as another transaction does."""
        with self.database.transaction() as connection:
            connection.execute(
                text("SELECT FROM cursors WHERE session_id = :s FOR UPDATE"), {"s": session.id}
            )
            yield connection


@pytest.fixture(scope="session")
def store_database(postgres: str) -> Iterator[Database]:
    """Open one migrated database for every store test, with connections for 20 threads."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE store TEMPLATE template")
    database = Database(postgres.rpartition("/")[0] + "/store", pool_size=12)
    yield database
    database.close()


@pytest.fixture
def desk(store_database: Database) -> Desk:
    """Give the store, emptied: that takes a tenth of what a database of its own takes."""
    desk = Desk(store_database)
    desk.sql("DELETE FROM workspaces")  # and all that hangs on them
    desk.sql("DELETE FROM workers")
    return desk


@pytest.fixture
def together() -> Callable[..., list[Any]]:
    """Give a function that calls another in threads which all begin at the same moment."""

    def run(call: Callable[[int], Any], times: int) -> list[Any]:
        barrier = threading.Barrier(times)

        def one(place: int) -> Any:
            barrier.wait(10)
            return call(place)

        with ThreadPoolExecutor(times) as pool:
            return list(pool.map(one, range(times)))

    return run


@pytest.fixture
def said() -> Callable[..., NewMessage]:
    """Give the function that makes rows."""
    return message
