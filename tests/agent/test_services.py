"""What a process shares: over forks, at exit, under signals, and what an import costs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import psycopg
import pytest

from afterturn import ConfigurationError, Memory
from support.waiting import eventually


def test_an_import_loads_nothing_that_a_turn_does_not_need(run):
    script = """
import sys, afterturn
heavy = {"celery", "kombu", "honcho", "httpx", "flower", "aiohttp", "typer", "rich", "alembic"}
print(sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
"""
    assert run("-c", script).stdout.strip() == "[]"


def test_a_child_goes_on_and_leaves_the_parents_open_turn_alone(agent_env, run, look):
    """A turn that is open at a fork is the parent's; the child has its own connections."""
    script = """
import os, sys
from afterturn import Memory
memory = Memory.open()
session = memory.session(name="talk")
session.begin_turn("before").end("the fork")
session.begin_turn("warm").end("pool")
memory._services.dispatcher.drain(30)
open_turn = session.begin_turn("asked before the fork")
pid = os.fork()
if pid == 0:
    assert len(session.history()) == 4
    session.begin_turn("the child").end("speaks")
    memory.session(name="childs own").begin_turn("left open by the child")
    sys.exit(0)  # with what Python does at an exit
_, status = os.waitpid(pid, 0)
assert status == 0, status
open_turn.end("answered after it")
assert len(session.history()) == 8, [m.content for m in session.history()]
memory.close()
"""
    done = run("-W", "ignore", "-c", script)
    assert done.returncode == 0, done.stderr
    assert look.said("talk") == [
        "before", "the fork", "warm", "pool", "the child", "speaks",
        "asked before the fork", "answered after it",
    ]  # fmt: skip
    (key,) = [
        row["key"] for row in look.query("SELECT key FROM sessions WHERE key LIKE 'childs%%'", x=1)
    ]
    assert look.said(key) == ["left open by the child"]
    assert look.hints().count(str(look.id("talk"))) >= 3


def test_a_fork_while_locks_are_held_is_no_deadlock(agent_env, run):
    script = """
import os, sys, threading, time
from afterturn import Memory
memory = Memory.open()
session = memory.session(name="talk")
session.begin_turn("a").end("b")
held, done = threading.Event(), threading.Event()
def hold():
    s, recollection = memory._services, session._recollection
    with memory._lock, session._lock, recollection._reading, s.dispatcher._wake, \\
            recollection._recaller._awaited._lock, s.capturer._opened._lock, \\
            s.histories._lock, s.histories._cache._lock:
        held.set()
        done.wait(60)
threading.Thread(target=hold, daemon=True).start()
assert held.wait(30)
pid = os.fork()
if pid == 0:
    memory.session(name="talk").begin_turn("c").end("d")
    session.begin_turn("e").end("f")
    assert len(session.history()) == 6
    memory.close()
    os._exit(0)
deadline = time.monotonic() + 20
while (found := os.waitpid(pid, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
    time.sleep(0.02)
if found == (0, 0):
    os.kill(pid, 9)
    found = os.waitpid(pid, 0)
done.set()
print(found[1])
"""
    done = run("-W", "ignore", "-c", script)
    assert (done.stdout.strip(), done.returncode) == ("0", 0), done.stderr


def test_what_is_open_at_the_end_of_the_interpreter_is_captured(agent_env, run, look):
    """As users report of others: what was said last is lost at exit, interrupted turns are never saved."""
    script = """
from afterturn import Memory
memory = Memory.open(write_frequency="session")
session = memory.session(name="talk")
session.begin_turn("a").end("b")
turn = session.begin_turn("interrupted")
turn.add("tool", "half")
raise SystemExit(3)
"""
    done = run("-c", script)
    assert (done.returncode, done.stderr) == (3, "")
    assert look.said("talk") == ["a", "b", "interrupted", "half"]
    assert look.session("talk")["due_index"] == 4
    assert str(look.id("talk")) in look.hints()


def test_what_is_open_at_the_end_is_spooled_where_postgres_is_away(agent_env, run, look):
    script = """
from afterturn import Memory
memory = Memory.open(database_url="postgresql://u:p@127.0.0.1:1/x")
memory.session(name="talk").begin_turn("interrupted")
"""
    done = run("-c", script)
    assert done.returncode == 0, done.stderr
    with Memory.open() as memory:
        memory.session(name="talk").begin_turn("a").end("b")
    assert look.said("talk") == ["interrupted", "a", "b"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_kill_loses_only_the_turn_that_had_not_ended(agent_env, look, number):
    """As users report of others: turns are lost at SIGTERM.

    The library installs no handlers: an ended turn is in Postgres, where the relay finds it.

    What was said in a turn that was open is nowhere: captured means that `end` returned.
    """
    script = """
from afterturn import Memory
memory = Memory.open()
session = memory.session(name="talk")
session.begin_turn("a").end("b")
session.begin_turn("never ended")
print("ready", flush=True)
import time
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        os.kill(process.pid, number)
        assert process.wait(10) == -number
    assert look.said("talk") == ["a", "b"]
    assert look.session("talk")["due_index"] == 2


def test_a_hosts_signal_handler_may_close_in_the_middle_of_a_turn(agent_env, run, look):
    script = """
import os, signal, sys
from afterturn import Memory
memory = Memory.open()
session = memory.session(name="talk")
def stop(*_):
    memory.close()
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
session.begin_turn("a").end("b")
turn = session.begin_turn("in the middle")
os.kill(os.getpid(), signal.SIGTERM)
turn.end("never")
"""
    done = run("-c", script)
    assert done.returncode == 0, done.stderr
    assert look.said("talk") == ["a", "b", "in the middle"]


def test_the_library_installs_no_signal_handlers(memory):
    memory.session(name="talk").begin_turn("a").end("b")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_close_is_bounded_where_everything_is_away(agent_env):
    memory = Memory.open(
        database_url="postgresql://u:p@127.0.0.1:1/x", redis_url="redis://127.0.0.1:1/0"
    )
    for number in range(20):
        memory.session(name=f"s{number}").begin_turn("left open")
    started = time.monotonic()
    memory.close()
    assert time.monotonic() - started < 4


def test_a_closed_memory_leaves_no_connection_and_no_thread(agent_env, shared_database):
    """As users report of others: threads outlive the shutdown, and abort the interpreter."""

    def connections():
        with psycopg.connect(shared_database) as there:
            return there.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name = 'afterturn-agent'"
            ).fetchone()[0]

    before = connections()
    memory = Memory.open()
    session = memory.session(name="talk")
    session.begin_turn("a").end("b")
    thread = memory._services.dispatcher._thread
    assert connections() > before
    memory._services.dispatcher.drain(30)
    memory.close()
    assert eventually(lambda: connections() == before)
    eventually(lambda: not thread.is_alive())
    assert thread not in threading.enumerate()


def test_nothing_is_connected_to_at_open(agent_env):
    started = time.monotonic()
    Memory.open(database_url="postgresql://192.0.2.1/x", redis_url="redis://192.0.2.1/0").close()
    assert time.monotonic() - started < 1


def test_a_configuration_file_that_cannot_be_read_is_named(agent_env, empty_environment):
    empty_environment.mkdir(parents=True, exist_ok=True)
    (empty_environment / "config.json").write_text("{nonsense")
    with pytest.raises(ConfigurationError, match=r"config\.json is not JSON"):
        Memory.open()
