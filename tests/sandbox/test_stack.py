"""The stack as a Python object: what it trusts, what it hides, and what a failed start leaves."""

import json
import os
import socket
import sys
import time

import pytest

from afterturn_models.store import workers
from afterturn_sandbox.announcement import announced_by, prepare
from afterturn_sandbox.errors import SandboxError
from afterturn_sandbox.processes import EventKind, Supervised, Supervisor
from afterturn_sandbox.stack import Stack, StackOptions, state_path


@pytest.fixture
def options(tmp_path, database_url, redis_url, honcho):
    return StackOptions(
        home=tmp_path / "stack",
        database_url=database_url,
        redis_url=redis_url,
        honcho_url=honcho.url,
        flower=False,
        concurrency=2,
    )


def announce(home, pid):
    prepare(home)
    (home / "stack.json").write_text(json.dumps({"pid": pid, "redisUrl": "redis://127.0.0.1:9/0"}))


def replaced(options, **changes):
    return StackOptions(
        **{name: getattr(options, name) for name in StackOptions.__slots__} | changes
    )


def test_a_row_that_a_killed_worker_left_is_not_taken_for_the_new_one(options, database):
    node = f"worker1@{socket.gethostname()}"
    with database.statement() as connection:
        workers.register(connection, node, pid=1, version="0")
        workers.beat(connection, node)
    events = []
    stack = Stack(options, events.append)
    try:
        stack.start()
        with database.statement() as connection:
            (found,) = workers.workers(connection)
        assert found.pid != 1
        assert found.beat_age is not None
        assert [event.kind for event in events] == [EventKind.STARTING, EventKind.READY]
        password = options.database_url.split("@")[0].rpartition(":")[2]
        assert not any(password in f"{part}" for part in stack.parts)
        assert announced_by(options.home / "stack.json") == os.getpid()
    finally:
        stack.stop()
    assert not (options.home / "stack.json").exists()
    with database.statement() as connection:
        assert not workers.workers(connection)


def test_a_start_that_is_refused_leaves_the_other_s_announcement(options):
    other = Stack(options, lambda _: None)
    prepare(options.home)
    other._supervisor.open()
    try:
        announce(options.home, 1)
        with pytest.raises(SandboxError, match="already runs"):
            Stack(options, lambda _: None).start()
        assert announced_by(options.home / "stack.json") == 1
    finally:
        other.stop()


def test_a_start_that_fails_takes_back_what_a_killed_stack_announced(options):
    announce(options.home, 1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        broken = replaced(options, flower=True, flower_port=port)
        with pytest.raises(SandboxError, match=f"127.0.0.1:{port}"):
            Stack(broken, lambda _: None).start()
    assert not (options.home / "stack.json").exists()
    assert json.loads(state_path(options.home).read_text())["processes"] == []


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"pid": null}'])
def test_a_broken_announcement_is_none(tmp_path, text):
    path = tmp_path / "stack.json"
    assert announced_by(path) is None
    path.write_text(text)
    assert announced_by(path) is None


# Ends only once its companion was asked to end as well.
COMPANION = """
import pathlib, signal, sys, time
mine, other = map(pathlib.Path, sys.argv[1:])
asked = mine.with_suffix(".asked")
signal.signal(signal.SIGTERM, lambda *_: asked.touch())
mine.touch()
while not (asked.exists() and other.with_suffix(".asked").exists()): time.sleep(0.01)
"""


def companion(folder, name, other, program=COMPANION):
    argv = [sys.executable, "-c", program, str(folder / name), str(folder / other)]
    up = folder / name
    return Supervised(name, argv, folder / f"{name}.log", up.exists, grace=20)


def test_processes_that_are_started_together_are_asked_to_end_together(tmp_path):
    with Supervisor(tmp_path / "state") as supervisor:
        supervisor.start(companion(tmp_path, "a", "b"), companion(tmp_path, "b", "a"))
        assert sorted(supervisor.pids()) == ["a", "b"]
        began = time.monotonic()
    assert time.monotonic() - began < 20  # neither needed its grace, nor force


def test_where_one_of_them_does_not_start_none_stays(tmp_path):
    with Supervisor(tmp_path / "state") as supervisor:
        broken = companion(tmp_path, "b", "a", "raise SystemExit('no luck')")
        with pytest.raises(SandboxError, match="no luck"):
            supervisor.start(companion(tmp_path, "a", "a"), broken)
        assert supervisor.pids() == {}
        assert json.loads((tmp_path / "state").read_text())["processes"] == []
