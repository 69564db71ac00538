"""Prewarm: fetched in the background when a session opens, and never for nothing."""

from __future__ import annotations

import base64
import json
import time

import pytest

from afterturn import Memory
from support.tcp_proxy import TcpProxy

QUEUE = "afterturn:prefetch"


@pytest.fixture
def sent(look):
    """Give a function that tells which prefetches wait in the queue: (kind, turn), oldest first."""

    def tell(memory):
        assert memory._services.dispatcher.drain(20)
        found = []
        for raw in reversed(look.redis.lrange(QUEUE, 0, -1)):
            envelope = json.loads(raw)
            kwargs = json.loads(base64.b64decode(envelope["body"]))[1]
            kind = envelope["headers"]["task"].removeprefix("afterturn.prefetch_")
            assert envelope["headers"]["id"] == f"{kwargs['session_id']}.{kwargs['turn']}.{kind}"
            assert envelope["headers"]["ignore_result"] is False
            found.append((kind, kwargs["turn"]))
        look.redis.delete(QUEUE)
        return found

    return tell


@pytest.fixture
def talked(agent_env):
    """Leave a session that has had one turn behind, by a process that has ended."""
    with Memory.open() as memory:
        memory.session(name="talk").begin_turn("hello").end("hello you")


def test_a_new_session_has_both_fetched_for_turn_0(memory, sent):
    memory.session(name="talk")
    assert sent(memory) == [("context", 0), ("dialectic", 0)]


def test_what_came_of_it_is_in_the_first_turn(memory, look):
    session = memory.session(name="talk")
    look.put("talk", 0, context="likes tea", dialectic="offer tea")
    turn = session.begin_turn("hello")
    assert "likes tea" in turn.context
    assert "offer tea" in turn.context
    assert (turn.recall.context_turn, turn.recall.dialectic_turn) == (0, 0)


def test_turn_0_and_turn_1_are_never_both_injected(memory, look):
    session = memory.session(name="talk")
    session.begin_turn("hello").end("hello you")
    look.put("talk", 0, context="zero", dialectic="zero")
    look.put("talk", 1, context="one", dialectic="one")
    turn = session.begin_turn("well?")
    assert "one" in turn.context
    assert "zero" not in turn.context


def test_a_session_is_prewarmed_once(memory, sent):
    session = memory.session(name="talk")
    sent(memory)
    assert memory.session(name="talk") is session
    session.begin_turn("hello").end("hello you")
    assert sent(memory) == []


def test_a_session_with_turns_has_its_context_fetched_and_no_dialectic_paid_for(
    agent_env, talked, look, sent
):
    look.redis.flushall()
    with Memory.open() as memory:
        session = memory.session(name="talk")
        assert sent(memory) == [("context", 1)]
        look.put("talk", 1, context="likes tea")
        assert "likes tea" in session.begin_turn("back").context


def test_what_still_waits_in_redis_is_not_fetched_again(agent_env, talked, look, sent):
    look.redis.delete(QUEUE)
    look.put("talk", 1, context="likes tea")
    with Memory.open() as memory:
        session = memory.session(name="talk")
        assert sent(memory) == []
        assert "likes tea" in session.begin_turn("back").context


def test_what_was_popped_meanwhile_is_not_fetched_again(agent_env, talked, look, sent, monkeypatch):
    monkeypatch.setattr("afterturn.popper._TIMEOUT", 5)  # a busy machine is no Redis that is away
    look.redis.delete(QUEUE)
    look.put("talk", 1, context="likes tea")
    with Memory.open() as memory:
        with memory._services.dispatcher._wake:
            session = memory.session(name="talk")  # the dispatcher waits
            session.begin_turn("back")
            memory._services.dispatcher._wake.notify_all()
        assert sent(memory) == []  # before the open turn is captured, whose context is awaited


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"recall_mode": "tools"}, []),
        ({"context_cadence": 0}, [("dialectic", 0)]),
        ({"dialectic_cadence": 0}, [("context", 0)]),
        ({"context_cadence": 0, "dialectic_cadence": 0}, []),
        ({"recall_mode": "context", "context_cadence": 7}, [("context", 0), ("dialectic", 0)]),
        ({"injection": "frozen"}, [("context", 0), ("dialectic", 0)]),
        ({"user_memory_mode": "local"}, [("context", 0)]),
        ({"save_messages": False}, [("context", 0)]),
    ],
)
def test_settings_say_what_is_fetched(agent_env, sent, settings, expected):
    with Memory.open(**settings) as memory:
        memory.session(name="talk")
        assert sent(memory) == expected


@pytest.mark.parametrize("injection", ["first-turn", "frozen"])
def test_what_would_be_injected_nowhere_is_not_fetched(agent_env, look, sent, injection):
    with Memory.open(injection=injection) as memory:
        memory.session(name="talk").begin_turn("hello").end("hello you")
    look.redis.flushall()
    with Memory.open(injection=injection) as memory:
        memory.session(name="talk")
        assert sent(memory) == []


def test_without_a_broker_a_session_opens_as_fast_as_ever(agent_env, redis_url):
    with TcpProxy(redis_url) as proxy:
        proxy.silent = True
        with Memory.open(redis_url=proxy.url) as memory:
            started = time.monotonic()
            for number in range(20):
                memory.session(name=f"s{number}")
            assert time.monotonic() - started < 1
            proxy.refuse()  # or the close would wait for what is being sent


def test_without_postgres_nothing_is_fetched(agent_env, sent, shared_database):
    with TcpProxy(shared_database) as proxy, Memory.open(database_url=proxy.url) as memory:
        proxy.refuse()
        memory.session(name="talk")
        assert sent(memory) == []
