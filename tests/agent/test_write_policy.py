"""What a turn's end decides: by modes what goes to Honcho, by write frequency when."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from afterturn import Memory
from afterturn_models.db import Database
from afterturn_models.store.settings import set_setting
from afterturn_models.values import Scope
from support.tcp_proxy import TcpProxy


@pytest.fixture
def proxy(shared_database):
    with TcpProxy(shared_database) as found:
        yield found


def talk(session, *texts):
    return [session.begin_turn(text).end(f"re {text}").spooled for text in texts]


MODES = [
    ({"memory_mode": "local"}, {}, ("local", "local")),
    ({"memory_mode": "local", "agent_memory_mode": "hybrid"}, {}, ("local", "send")),
    ({}, {"AFTERTURN_USER_MEMORY_MODE": "local"}, ("local", "send")),
    ({}, {"AFTERTURN_MEMORY_MODE": "local", "AFTERTURN_USER_MEMORY_MODE": "honcho"}, ("send", "local")),
    ({"user_memory_mode": "hybrid"}, {"AFTERTURN_MEMORY_MODE": "local"}, ("send", "local")),
    ({"save_messages": False}, {}, ("local", "local")),
]  # fmt: skip


@pytest.mark.parametrize(("given", "env", "delivery"), MODES)
def test_modes_by_keyword_and_by_environment(agent_env, look, monkeypatch, given, env, delivery):
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with Memory.open(**given) as memory:
        talk(memory.session(name="talk"), "a")
    assert tuple(row["delivery"] for row in look.rows("talk")) == delivery


def test_a_mode_set_in_postgres_holds_from_the_next_turn(memory, look):
    session = memory.session(name="talk")
    talk(session, "a")
    look.query(
        "INSERT INTO settings (workspace_id, scope, subject, key, value) VALUES"
        " (%(workspace)s, 'session', %(id)s, 'memoryMode', '\"local\"')",
        workspace=look.session("talk")["workspace_id"],
        id=str(look.id("talk")),
    )
    talk(session, "b")
    assert [r["delivery"] for r in look.rows("talk")] == ["send", "send", "local", "local"]


@pytest.mark.parametrize(
    ("given", "env", "due"),
    [
        ({}, {}, [2, 4, 6, 8]),
        ({"write_frequency": "async"}, {}, [2, 4, 6, 8]),
        ({"write_frequency": "session"}, {}, [0, 0, 0, 0]),
        ({"write_frequency": 3}, {}, [0, 0, 6, 6]),
        ({}, {"AFTERTURN_WRITE_FREQUENCY": "2"}, [0, 4, 4, 8]),
        ({"write_frequency": "async"}, {"AFTERTURN_WRITE_FREQUENCY": "session"}, [2, 4, 6, 8]),
    ],
)
def test_write_frequency_by_keyword_and_by_environment(
    agent_env, look, monkeypatch, given, env, due
):
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    seen = []
    with Memory.open(**given) as memory:
        session = memory.session(name="talk")
        for text in "abcd":
            talk(session, text)
            seen.append(look.session("talk")["due_index"])
    assert seen == due
    assert look.session("talk")["due_index"] == 8  # the close makes the rest due


def test_the_frequency_turn_waits_for_honcho_and_gives_up(agent_env, look):
    with Memory.open(write_frequency="turn", turn_sync_seconds=0.5) as memory:
        session = memory.session(name="talk")
        started = time.monotonic()
        result = session.begin_turn("a").end("b")
        assert (result.synced, result.spooled) == (False, False)
        assert 0.5 <= time.monotonic() - started < 3
        turn = session.begin_turn("c")
        saver = threading.Timer(0.2, _save, (look, 4))
        saver.start()
        assert turn.end("d").synced
        saver.join()
        started = time.monotonic()
        session.begin_turn("left open")
        session.begin_turn("does not wait for the one left open")
        assert time.monotonic() - started < 0.4


def _save(look, index):
    look.query(
        "UPDATE cursors SET last_saved_index = %(index)s WHERE session_id = %(id)s",
        index=index,
        id=look.id("talk"),
    )


def test_the_frequency_turn_survives_a_postgres_that_goes_while_it_waits(agent_env, proxy, look):
    with Memory.open(database_url=proxy.url, write_frequency="turn", turn_sync_seconds=5) as memory:
        turn = memory.session(name="talk").begin_turn("a")
        cut = threading.Timer(0.5, proxy.refuse)
        cut.start()
        result = turn.end("b")
        cut.join()
        assert (result.synced, result.spooled) == (False, False)
    assert look.said("talk") == ["a", "b"]


SPEAKER = """
import sys
from afterturn import Memory
with Memory.open() as memory:
    session = memory.session(name="talk")
    for line in sys.stdin:
        session.begin_turn(line.strip()).end("re " + line.strip())
        print("said", flush=True)
"""


def test_what_is_set_in_postgres_holds_from_the_next_turn_in_every_process(
    memory, look, shared_database
):
    """As users report of others: the write frequency is ignored, saveMessages=false still saves."""
    session = memory.session(name="talk")
    talk(session, "a")
    workspace, due = look.session("talk")["workspace_id"], []
    database = Database(shared_database)

    def say(scope, subject, key, value):
        with database.statement() as connection:
            set_setting(connection, workspace, scope, subject, key, value)

    with subprocess.Popen(
        [sys.executable, "-c", SPEAKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:

        def both(text):
            talk(session, f"here {text}")
            other.stdin.write(f"there {text}\n")
            other.stdin.flush()
            assert other.stdout.readline() == "said\n"
            due.append(look.session("talk")["due_index"])

        both("at first")
        say(Scope.WORKSPACE, "", "writeFrequency", "session")
        both("held back")
        say(Scope.WORKSPACE, "", "writeFrequency", 4)
        both("four by now")
        say(Scope.AGENT, "agent", "userMemoryMode", "local")
        both("half")
        say(Scope.SESSION, str(look.id("talk")), "saveMessages", value=False)
        both("nothing")
        other.stdin.close()
    database.close()
    assert due == [6, 6, 14, 14, 22]
    reasons = [row["reason"] for row in look.rows("talk")]
    assert reasons == [None] * 14 + ["mode", None] * 2 + ["saveMessages"] * 4
    assert look.session("talk")["due_index"] == 22


def test_what_a_number_of_turns_holds_back_is_due_at_close(agent_env, look):
    with Memory.open(write_frequency=3) as memory:
        session = memory.session(name="talk")
        talk(session, *"abcd")
        assert look.session("talk")["due_index"] == 6
        session.close()
        assert look.session("talk")["due_index"] == 8
        assert memory._services.dispatcher.drain(20)
        assert look.hints().count(str(look.id("talk"))) >= 1
