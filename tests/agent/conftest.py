"""What tests of the agent share: a Postgres and a Valkey to talk to, and no worker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
import redis
from psycopg.rows import dict_row

from afterturn import Memory
from afterturn.cli import main
from afterturn_models.prefetched import (
    context_payload,
    context_task_id,
    dialectic_payload,
    dialectic_task_id,
    result_key,
)
from afterturn_models.values import ContextResult
from support import databases


@pytest.fixture(scope="session")
def shared_database(postgres: str) -> Iterator[str]:
    """Give one database for all of these tests: each has a workspace of its own in it."""
    with databases.shared_database(postgres, "agents") as url:
        yield url


@pytest.fixture
def agent_env(
    shared_database: str, redis_url: str, workspace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Point this process, and those it starts, at a Postgres and a Valkey of the test's own."""
    monkeypatch.setenv("AFTERTURN_DATABASE_URL", shared_database)
    monkeypatch.setenv("AFTERTURN_REDIS_URL", redis_url)
    monkeypatch.setenv("AFTERTURN_WORKSPACE", workspace)


@pytest.fixture
def memory(agent_env: None) -> Iterator[Memory]:
    """Give an open memory."""
    with Memory.open() as opened:
        yield opened


class Look:
    """A look into Postgres and Valkey, past everything that is tested."""

    def __init__(self, database_url: str, redis_url: str, workspace: str) -> None:
        self._database_url = database_url
        self._workspace = workspace
        self.redis = redis.Redis.from_url(redis_url)

    def query(self, statement: str, **parameters: Any) -> list[dict[str, Any]]:
        """Run a statement."""
        with psycopg.connect(self._database_url, autocommit=True, row_factory=dict_row) as there:
            cursor = there.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def rows(self, key: str) -> list[dict[str, Any]]:
        """Give a session's rows in order."""
        return self.query(
            "SELECT m.* FROM messages m WHERE m.session_id = %(id)s ORDER BY m.index",
            id=self.id(key),
        )

    def said(self, key: str) -> list[str]:
        """Give what was said in a session, in order."""
        return [row["content"] for row in self.rows(key)]

    def id(self, key: str) -> Any:
        """Give a session's id."""
        return self.session(key)["id"]

    def session(self, key: str) -> dict[str, Any]:
        """Give a session's row, with its cursor's `due_index`."""
        return self.query(
            "SELECT s.*, c.due_index FROM sessions s JOIN workspaces w ON w.id = s.workspace_id"
            " JOIN cursors c ON c.session_id = s.id"
            " WHERE s.key = %(key)s AND w.name = %(workspace)s",
            key=key,
            workspace=self._workspace,
        )[0]

    def put(
        self, key: str, turn: int, *, context: str | None = None, dialectic: str | None = None
    ) -> None:
        """Leave results about the session's user as Celery's backend does after a prefetch."""
        session, about = self.id(key), self.session(key)["user_peer"]
        if context is not None:
            payload = context_payload(turn, ContextResult(representation=context), about=about)
            self.put_raw(context_task_id(session, turn), payload)
        if dialectic is not None:
            payload = dialectic_payload(turn, dialectic, about=about)
            self.put_raw(dialectic_task_id(session, turn), payload)

    def put_raw(self, task_id: str, result: Any, status: str = "SUCCESS") -> None:
        """Leave one result."""
        meta = {"status": status, "result": result, "traceback": None, "children": []}
        self.redis.set(result_key(task_id), json.dumps({**meta, "task_id": task_id}))

    def hints(self) -> list[str]:
        """Give the session ids of the hints that wait in the queue's list."""
        envelopes = [json.loads(one) for one in self.redis.lrange("afterturn:sync", 0, -1)]
        assert all(e["headers"]["task"] == "afterturn.sync_session" for e in envelopes)
        return [e["headers"]["kwargsrepr"].split("'")[3] for e in envelopes]

    def close(self) -> None:
        """Close the connection to Valkey."""
        self.redis.close()


@pytest.fixture
def look(shared_database: str, redis_url: str, workspace: str) -> Iterator[Look]:
    """Give a look behind the scenes."""
    found = Look(shared_database, redis_url, workspace)
    yield found
    found.close()


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run() -> Run:
    """Give a function that runs a Python script, or `-m` module, in a process of its own."""

    def start(
        *arguments: str, env: dict[str, str] | None = None, timeout: float = 60, **more: Any
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            **more,
        )

    return start


@pytest.fixture
def afterturn(run: Run) -> Run:
    """Give a function that runs the command line."""
    return lambda *arguments, **more: run("-m", "afterturn", *arguments, **more)


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Give a function that does what the `afterturn` script does, in this process: a second less.

    For commands that end in it: `worker` and `flower` replace their process once they start.
    """

    def start(
        *arguments: str, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        for name, value in (env or {}).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["afterturn", *arguments])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capfd.readouterr()
        code = int(ended.value.code or 0)
        return subprocess.CompletedProcess(arguments, code, said.out, said.err)

    return start


@pytest.fixture
def open_memory(agent_env):
    """Give a function that opens a memory under some settings; all are closed after the test."""
    opened = []

    def start(**settings):
        opened.append(Memory.open(**settings))
        return opened[-1]

    yield start
    for memory in opened:
        memory.close()
