"""What the tests of setup and doctor share: a Honcho that wants a key, our file, ports that are quiet."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from afterturn_models.db import Database
from afterturn_models.sources import home
from afterturn_models.store.sessions import SessionSpec, open_session
from support.waiting import eventually

KEY = "hch-s3cret-of-ann"


@pytest.fixture(scope="session")
def keyed_honcho(tmp_path_factory):
    """Run a stand-in for Honcho that wants KEY; gives its URL."""
    folder = tmp_path_factory.mktemp("keyed")
    ready = folder / "ready.json"
    words = ["--port", "0", "--data", str(folder / "data"), "--ready-file", str(ready)]
    process = subprocess.Popen(
        [sys.executable, "-m", "afterturn_sandbox.honcho", *words],
        env={**os.environ, "AFTERTURN_SANDBOX_HONCHO_KEY": KEY},
    )
    try:
        eventually(lambda: ready.exists() or process.poll() is not None, within=30)
        yield json.loads(ready.read_text())["url"]
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def config(empty_environment) -> Path:
    """Give where our file is."""
    return empty_environment / "config.json"


@pytest.fixture
def quiet_ports():
    """Give ports on which nothing listens, in place of those where servers usually do."""
    with closing(socket.socket()) as held:
        held.bind(("127.0.0.1", 0))  # bound, so that nobody else gets it, and listened to by nobody
        port = held.getsockname()[1]
        yield {"database_url": port, "redis_url": port, "honcho_url": port}


@pytest.fixture
def quiet(quiet_ports, monkeypatch):
    """Have this process look for servers where none listen."""
    from afterturn.setup import servers

    monkeypatch.setattr(servers, "PORTS", quiet_ports)


@pytest.fixture
def write():
    """Give a function that writes a file and the folders that it is in."""

    def put(path: Path, content, mode: int = 0o600) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        path.chmod(mode)
        return path

    return put


@pytest.fixture
def file(empty_environment) -> Path:
    """Give where our file is; `config`'s other name, where it is about what it says."""
    return home() / "config.json"


@pytest.fixture
def configured_database(database_url, monkeypatch) -> str:
    """Give a migrated database that this process is pointed at."""
    monkeypatch.setenv("AFTERTURN_DATABASE_URL", database_url)
    return database_url


@pytest.fixture
def room(configured_database, workspace, monkeypatch) -> str:
    """Give the workspace of this process, in which `ada` has opened the session `talk`."""
    monkeypatch.setenv("AFTERTURN_WORKSPACE", workspace)
    database = Database(configured_database)
    with database.statement() as connection:
        spec = SessionSpec(workspace=workspace, key="talk", user_peer="ann", agent_peer="ada")
        open_session(connection, spec)
    database.close()
    return workspace


@pytest.fixture
def done(called):
    """Give a function that runs `afterturn config …`, which is to work, and gives what it says."""

    def run(*words: str, env: dict[str, str] | None = None) -> str:
        found = called("config", *words, env=env)
        assert (found.returncode, found.stderr) == (0, "")
        return found.stdout

    return run


@pytest.fixture
def refused(called):
    """Give a function that runs `afterturn config …`, which is refused, and gives why."""

    def run(*words: str, status: int = 2) -> str:
        found = called("config", *words)
        assert (found.returncode, found.stdout) == (status, "")
        return found.stderr.removeprefix("afterturn: ")

    return run
