"""Sessions: one a conversation, flushed, closed, named, and never more of them than are used."""

from __future__ import annotations

import gc
import threading
import time

import pytest

from afterturn import ConfigurationError, Memory
from afterturn_models.policy.ids import is_valid_id
from support.tcp_proxy import TcpProxy


def test_the_same_arguments_give_the_same_live_session(memory):
    one = memory.session(name="talk", user="ann")
    assert memory.session(name="talk", user="ann") is one
    assert memory.session(name="talk", user="bob") is not one
    assert memory.session(name="other", user="ann") is not one


def test_the_same_session_for_threads_that_ask_at_once(memory):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(memory.session(name="talk"))) for _ in range(8)
    ]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len({id(session) for session in found}) == 1


def test_sessions_that_are_let_go_of_are_freed(agent_env, shared_database):
    """Ten thousand, whose Postgres is away: opening costs nothing then."""
    with TcpProxy(shared_database) as proxy, Memory.open(database_url=proxy.url) as memory:
        proxy.refuse()
        memory.session(name="first")
        for number in range(10_000):
            memory.session(name=f"s{number}")
        gc.collect()
        assert len(memory._services.sessions) <= 1
        assert len(memory._services.unfinished) == 0
        assert len(memory._services.capturer._opened) <= 1024


def test_sessions_with_turns_are_freed_too(memory):
    for number in range(100):
        session = memory.session(name=f"s{number}")
        session.begin_turn("a").end("b")
    del session
    gc.collect()
    assert len(memory._services.sessions) == 0
    assert len(memory._services.unfinished) == 0


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"name": "talk"}, "talk"),
        ({"title": "Holiday"}, "Holiday"),
        ({"directory": "/home/ann/projects/foo"}, "foo"),
        ({"platform_key": "telegram-1"}, "telegram-1"),
        ({"user": "ann"}, "ann"),
        ({"title": "T", "directory": "/x/y", "platform_key": "p"}, "T"),
        ({"name": "N", "title": "T", "directory": "/x/y"}, "N"),
        ({"directory": "/mapped", "title": "T"}, "by-hand"),
        ({}, "default"),
    ],
)
def test_a_session_is_named_in_the_specs_order(agent_env, given, key):
    with Memory.open(sessions={"/mapped": "by-hand"}) as memory:
        assert memory.session(**given).key == key


@pytest.mark.parametrize(
    "name", ["../../workspaces/other", "a b", "é" * 50, "x" * 300, "\x00", "\udcff", "名前"]
)
def test_any_name_becomes_an_id_that_honcho_takes(memory, look, name):
    session = memory.session(name=name, title=name, directory=name, platform_key=name)
    assert is_valid_id(session.key)
    session.begin_turn("a").end("b")
    assert look.said(session.key) == ["a", "b"]


def test_peers_of_a_session_are_its_own(memory, look):
    session = memory.session(name="talk", user="ann", agent="Ada")
    session.begin_turn("hello").end("hello Ann")
    assert [row["peer"] for row in look.rows("talk")] == ["ann", "agent-Ada"]
    assert session.agent_peer == "agent-Ada"
    assert "You are agent-Ada." in session.system


def test_a_flush_makes_everything_due_hints_and_gives_up_at_its_deadline(agent_env, look):
    with Memory.open(write_frequency="session") as memory:
        session = memory.session(name="talk")
        session.begin_turn("a").end("b")
        assert memory._services.dispatcher.drain(30)
        before = len(look.hints())
        started = time.monotonic()
        assert session.flush(0.3) is False
        assert 0.3 <= time.monotonic() - started < 3
        assert look.session("talk")["due_index"] == 2
        assert memory._services.dispatcher.drain(30)
        assert len(look.hints()) == before + 1


def test_a_flush_is_true_once_all_is_settled(memory, look):
    session = memory.session(name="talk")
    assert session.flush(5) is True  # nothing to settle
    session.begin_turn("a").end("b")
    look.query(
        "UPDATE cursors SET last_saved_index = 2 WHERE session_id = %(i)s", i=look.id("talk")
    )
    assert session.flush(5) is True


def test_a_close_is_noted_and_a_turn_after_it_opens_again(memory, look):
    session = memory.session(name="talk")
    session.begin_turn("a").end("b")
    session.close()
    session.close()
    assert look.session("talk")["closed_at"] is not None
    session.begin_turn("c").end("d")
    assert look.session("talk")["closed_at"] is None
    assert look.said("talk") == ["a", "b", "c", "d"]


def test_no_honcho_is_asked_for_anything(agent_env):
    """Start-up was blocked elsewhere by a Honcho that was dead: here none is ever connected to."""
    started = time.monotonic()
    with Memory.open(honcho_url="http://127.0.0.1:9") as memory:
        turn = memory.session(name="talk").begin_turn("a")
        assert turn.context == ""
        turn.end("b")
        assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"database_url": ""}, "no database: set AFTERTURN_DATABASE_URL, or start everything"),
        ({"redis_url": ""}, "no Redis: set AFTERTURN_REDIS_URL, or start everything with"),
        ({"database_url": "mysql://x/y"}, "the database URL is for mysql"),
        ({"database_url": "nonsense"}, "the database URL cannot be read"),
        ({"memory_mode": "sometimes"}, "keyword arguments: memoryMode: .*'hybrid'"),
        ({"write_frequency": "often"}, "keyword arguments: writeFrequency: .*async, turn, session"),
        ({"context_tokens": 3}, "keyword arguments: contextTokens: .*100"),
        ({"colour": "red"}, "there is no setting called 'colour'"),
        ({"lease_seconds": 5}, r"leaseSeconds \(5\) must exceed requestSeconds"),
    ],
)
def test_a_wrong_setting_is_said_so_by_name(agent_env, given, sentence):
    with pytest.raises(ConfigurationError, match=sentence):
        Memory.open(**given)


def test_without_any_configuration_it_says_what_to_do():
    with pytest.raises(ConfigurationError, match="afterturn up"):
        Memory.open()


@pytest.mark.parametrize("url", ["mysql://u:hunter2@h/x", "postgresql//u:hunter2@h:1/x"])
def test_a_password_is_in_no_error(agent_env, url):
    with pytest.raises(ConfigurationError) as refused:
        Memory.open(database_url=url)
    assert "hunter2" not in str(refused.value)
