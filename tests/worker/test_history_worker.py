"""Histories with a real worker: indexed without a hint, deleted at Honcho by those who hold its key."""

from __future__ import annotations

import os
import sys

import httpx
import psycopg
import pytest
from honcho import Honcho

from afterturn import Memory
from afterturn.cli import main
from support.databases import shared_database
from support.waiting import eventually
from support.workers import WorkerProcess


@pytest.fixture(scope="module")
def shared(postgres, valkey, honcho_process, tmp_path_factory):
    """Start one worker for these tests; gives what a process needs to be part of it."""
    folder, name = tmp_path_factory.mktemp("histories"), f"histories{os.getpid()}"
    with shared_database(postgres, name) as database_url:
        env = {
            "HOME": str(folder),
            "AFTERTURN_HOME": str(folder / ".afterturn"),
            "AFTERTURN_DATABASE_URL": database_url,
            "AFTERTURN_REDIS_URL": valkey,
            "HONCHO_URL": honcho_process.url,
            "AFTERTURN_RELAY_SECONDS": "0.3",
            "AFTERTURN_IDLE_SECONDS": "0.5",
        }
        worker = WorkerProcess(
            name, env, folder / "worker.log", "--loglevel", "INFO", concurrency=4
        )
        try:
            yield {**env, "worker": worker.ready()}
        finally:
            worker.stop()


@pytest.fixture
def env(shared, honcho, workspace, monkeypatch):
    """Point this process, and what it starts, at the worker's servers."""
    told = {name: value for name, value in shared.items() if name != "worker"}
    for name, value in {**told, "AFTERTURN_WORKSPACE": workspace}.items():
        monkeypatch.setenv(name, value)
    return shared


@pytest.fixture
def memory(env):
    with Memory.open() as opened:
        yield opened


def rows(env, query, *parameters):
    with psycopg.connect(env["AFTERTURN_DATABASE_URL"], autocommit=True) as connection:
        return connection.execute(query, parameters).fetchall()


def talk(memory, name, turns=2):
    session = memory.session(name=name)
    for number in range(turns):
        session.begin_turn(f"hello {number}, I like figs").end("Noted.")
    assert session.flush(30)
    return session


@pytest.fixture
def called(monkeypatch, capfd):
    """Give a function that does what the `afterturn` script does, in this process."""

    def start(*words):
        monkeypatch.setattr(sys, "argv", ["afterturn", *words])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capfd.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return start


@pytest.fixture
def reader(honcho, workspace):
    with httpx.Client() as http:
        yield Honcho(base_url=honcho.url, workspace_id=workspace, http_client=http)


def test_a_quiet_session_is_indexed_by_itself(env, memory):
    """No hint is sent for it, so that none can be lost: the relay goes round."""
    session = talk(memory, "figs", turns=3)
    count = "SELECT count(*) FROM message_texts t JOIN sessions s ON s.id = t.session_id WHERE s.id = %s"
    eventually(lambda: rows(env, count, session.opened().id) == [(6,)], within=30)
    assert len(session.search("figs")) == 3


def test_a_session_is_deleted_here_and_at_honcho_and_begins_anew(env, memory, reader, called):
    kept, gone = talk(memory, "kept"), talk(memory, "gone")
    assert {one.id for one in reader.sessions()} == {"kept", "gone"}
    status, said, _ = called("session", "delete", "gone", "--honcho", "--yes")
    assert status == 0
    assert "Honcho deletes gone" in said
    eventually(lambda: {one.id for one in reader.sessions()} == {"kept"}, within=10)
    assert rows(env, "SELECT FROM sessions WHERE id = %s", gone.opened().id) == []
    assert gone.history() == []  # a new one, of which Honcho knows nothing
    assert len(kept.history()) == 4
    status, said, _ = called("session", "delete", "gone", "--honcho", "--yes")
    assert (status, "Honcho had no session gone" in said) == (0, True)


def test_what_is_being_sent_is_not_deleted(env, memory, called):
    session = talk(memory, "busy")
    hold = "UPDATE cursors SET lease_until = now() + interval '1 min' WHERE session_id = %s RETURNING 1"
    assert rows(env, hold, session.opened().id) == [(1,)]
    for more in ((), ("--honcho",)):
        status, _, error = called("session", "delete", "busy", "--yes", *more)
        assert status == 1
        assert "being sent just now" in error
    assert len(session.history()) == 4
