"""The probe of a worker's container."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

from afterturn_models.store import workers
from afterturn_worker.healthy import unhealthy

if TYPE_CHECKING:
    from afterturn_models.db import Database


def _register(database: Database, name: str, *, beat: bool) -> None:
    with database.statement() as connection:
        workers.register(connection, name, pid=1, version="1")
        if beat:
            workers.beat(connection, name)


def _probe(**env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "afterturn_worker.healthy"],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_worker_that_tasks_reach_is_healthy(database: Database, database_url: str) -> None:
    _register(database, "afterturn-7@one", beat=True)
    assert unhealthy(database_url, "one") is None


def test_one_that_no_task_reached_is_not(database: Database, database_url: str) -> None:
    _register(database, "afterturn-7@one", beat=False)
    _register(database, "afterturn-7@another-one", beat=True)
    assert unhealthy(database_url, "one") == "no task has reached a worker on one yet"


def test_one_that_none_reaches_any_more_is_not(database: Database, database_url: str) -> None:
    _register(database, "afterturn-7@one", beat=True)
    assert "the last task reached" in str(unhealthy(database_url, "one", late=0))


def test_the_program_answers_by_its_exit_status(database: Database, database_url: str) -> None:
    _register(database, f"afterturn-7@{socket.gethostname()}", beat=True)
    healthy = _probe(AFTERTURN_DATABASE_URL=database_url)
    assert (healthy.returncode, healthy.stdout, healthy.stderr) == (0, "", "")


def test_what_is_wrong_is_one_sentence() -> None:
    away = _probe(AFTERTURN_DATABASE_URL="postgresql://u:secret@127.0.0.1:1/none")
    assert away.returncode == 1
    assert away.stderr.startswith("afterturn: Postgres: ")
    assert "secret" not in away.stderr
    assert _probe().stderr == "afterturn: no database: set AFTERTURN_DATABASE_URL\n"
