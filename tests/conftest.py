"""Fixtures for every test: an empty environment, and real servers started once a run."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from afterturn_models.db import Database
from afterturn_models.migrate import migrate
from afterturn_sandbox.honcho.control import Control
from afterturn_sandbox.postgres import EmbeddedPostgres
from afterturn_sandbox.valkey import EmbeddedValkey
from support.waiting import eventually
from support.workers import WorkerProcess

_count = itertools.count(1)


@pytest.fixture(autouse=True)
def empty_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a HOME of its own, and no setting from outside; gives its AFTERTURN_HOME."""
    for name in list(os.environ):
        if name.startswith(("AFTERTURN_", "HONCHO_", "CELERY_")) and name != "HONCHO_CONTRACT_URL":
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("AFTERTURN_HOME", str(home / ".afterturn"))
    return home / ".afterturn"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run one Postgres, with a migrated database called `template`; gives its URL."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres") / "data", durable=False) as server:
        _execute(server.url, "CREATE DATABASE template")
        migrate(_named(server.url, "template"))
        yield server.url


@pytest.fixture
def database_url(postgres: str) -> Iterator[str]:
    """Give a database of the test's own, migrated."""
    name = f"t{next(_count)}"
    _execute(postgres, f"CREATE DATABASE {name} TEMPLATE template")
    yield _named(postgres, name)
    _execute(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def empty_database_url(postgres: str) -> Iterator[str]:
    """Give a database of the test's own, without a schema."""
    name = f"e{next(_count)}"
    _execute(postgres, f"CREATE DATABASE {name}")
    yield _named(postgres, name)
    _execute(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Give an open `Database` on the test's own."""
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run one Valkey; gives its URL."""
    with EmbeddedValkey(tmp_path_factory.mktemp("valkey") / "data") as server:
        yield server.url


@pytest.fixture
def redis_url(valkey: str) -> str:
    """Give the Valkey, emptied."""
    with redis.Redis.from_url(valkey) as client:
        client.flushall()
    return valkey


class HonchoServer:
    """The stand-in in a process of its own, and its control."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.control = Control(url)


@pytest.fixture(scope="session")
def honcho_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HonchoServer]:
    """Run one stand-in for Honcho."""
    import json

    folder = tmp_path_factory.mktemp("honcho")
    ready = folder / "ready.json"
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "afterturn_sandbox.honcho",
            "--port",
            "0",
            "--data",
            str(folder / "data"),
            "--ready-file",
            str(ready),
        ],
    )
    try:
        eventually(lambda: ready.exists() or process.poll() is not None, within=30)
        yield HonchoServer(json.loads(ready.read_text())["url"])
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def honcho(honcho_process: HonchoServer) -> HonchoServer:
    """Give the stand-in, without faults and with its counters at 0."""
    honcho_process.control.clear()
    honcho_process.control.reset_counters()
    return honcho_process


@pytest.fixture
def workspace() -> str:
    """Name a workspace that no other test uses."""
    return f"w{next(_count)}-{os.getpid()}"


@pytest.fixture
def stack_env(
    database_url: str,
    redis_url: str,
    honcho: HonchoServer,
    workspace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, str]:
    """Point this process, and those it starts, at the test's own stack."""
    env = {
        "AFTERTURN_DATABASE_URL": database_url,
        "AFTERTURN_REDIS_URL": redis_url,
        "AFTERTURN_WORKSPACE": workspace,
        "HONCHO_URL": honcho.url,
        # Short, so that what has to wait is seen to wait and the suite does not.
        "AFTERTURN_LEASE_SECONDS": "4",
        "AFTERTURN_REQUEST_SECONDS": "2",
        "AFTERTURN_SETTLING_SECONDS": "2",
        "AFTERTURN_RELAY_SECONDS": "0.5",
    }
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return env


@pytest.fixture
def start_worker(
    stack_env: Mapping[str, str], tmp_path: Path
) -> Iterator[Callable[..., WorkerProcess]]:
    """Give a function that starts a real worker on the test's stack; all are ended after it."""
    started: list[WorkerProcess] = []

    def start(name: str = "w1", *options: str, **more: Any) -> WorkerProcess:
        env = {**stack_env, **more.pop("env", {})}
        worker = WorkerProcess(name, env, tmp_path / f"{name}.log", *options, **more)
        started.append(worker)
        return worker

    yield start
    for worker in started:
        worker.stop()


def _named(url: str, name: str) -> str:
    return url.rpartition("/")[0] + f"/{name}"


def _execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)
