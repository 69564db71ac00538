"""Recall: one round trip, destructive, never stale, and never in the way of a turn."""

from __future__ import annotations

import json
import socket
import threading
from uuid import uuid4

import pytest

from afterturn import ConfigurationError, Memory, Recall
from afterturn.awaited import Awaited
from afterturn.popper import Popper
from afterturn_models.prefetched import (
    context_payload,
    context_task_id,
    dialectic_payload,
    dialectic_task_id,
    result_key,
)
from afterturn_models.values import ContextResult
from support.statements import counted
from support.tcp_proxy import TcpProxy


@pytest.fixture
def talk(memory):
    """Give a session that has had one turn."""
    session = memory.session(name="talk")
    session.begin_turn("hello").end("hello you")
    return session


@pytest.fixture
def redis_proxy(redis_url):
    with TcpProxy(redis_url) as proxy:
        yield proxy


@pytest.fixture
def database_proxy(shared_database):
    with TcpProxy(shared_database) as proxy:
        yield proxy


def test_a_cold_turn_has_no_context_and_no_recall(memory):
    turn = memory.session(name="talk").begin_turn("hello")
    assert (turn.context, turn.recall) == ("", None)


def test_what_was_prefetched_is_in_the_next_turn(talk, look):
    look.put("talk", 1, context="likes tea", dialectic="offer tea")
    turn = talk.begin_turn("thirsty")
    assert turn.recall.context.representation == "likes tea"
    assert turn.recall.dialectic == "offer tea"
    assert (turn.recall.context_turn, turn.recall.dialectic_turn) == (1, 1)
    assert "likes tea" in turn.context
    assert "offer tea" in turn.context


def test_a_pop_is_destructive(talk, look):
    look.put("talk", 1, context="likes tea", dialectic="offer tea")
    talk.begin_turn("one").end("one")
    assert not look.redis.keys("afterturn:celery-task-meta-*")
    assert talk.begin_turn("two").recall is None


def test_a_result_comes_later_than_its_turn_and_is_still_new(talk, look):
    assert talk.begin_turn("two").recall is None
    talk.begin_turn("three").end("three")
    look.put("talk", 1, context="late")
    assert talk.begin_turn("four").recall.context.representation == "late"


def test_of_two_late_results_only_the_newer_is_ever_seen(talk, look):
    talk.begin_turn("two").end("two")
    look.put("talk", 1, context="first", dialectic="first")
    look.put("talk", 2, context="second", dialectic="second")
    recall = talk.begin_turn("three").recall
    assert (recall.context.representation, recall.dialectic) == ("second", "second")
    assert talk.begin_turn("four").recall is None
    assert not look.redis.keys("afterturn:celery-task-meta-*")


def test_what_is_not_newer_than_the_last_is_dropped(talk, look):
    talk.begin_turn("two").end("two")
    look.put("talk", 2, context="second")
    assert talk.begin_turn("three").recall.context_turn == 2
    look.put("talk", 1, context="first")
    assert talk.begin_turn("four").recall is None


def test_context_and_dialectic_come_each_in_their_time(talk, look):
    look.put("talk", 1, context="facts")
    first = talk.begin_turn("two").recall
    assert (first.dialectic, first.dialectic_turn) == (None, 0)
    look.put("talk", 1, dialectic="insight")
    second = talk.begin_turn("three").recall
    assert (second.context, second.dialectic, second.dialectic_turn) == (None, "insight", 1)


def test_at_most_three_turns_are_awaited(talk, look):
    for number in range(2, 5):
        talk.begin_turn(str(number)).end(str(number))
    look.put("talk", 1, context="stale", dialectic="stale")
    look.put("talk", 2, dialectic="not stale")
    recall = talk.begin_turn("five").recall
    assert (recall.context, recall.dialectic_turn) == (None, 2)


def test_at_open_the_last_turn_of_the_session_is_awaited(talk, look):
    look.put("talk", 1, context="from before")
    with Memory.open() as another:
        assert another.session(name="talk").begin_turn("back").context.count("from before") == 1


def test_what_was_fetched_about_one_speaker_reaches_no_turn_of_another(talk, look):
    """As users report of others: one user's profile leaks to another in a shared chat."""
    known = ContextResult(representation="Ann lives in Porto")
    for number, (author, recalled) in enumerate([("bob", False), ("ann", True)], start=1):
        session = look.id("talk")
        turn = look.session("talk")["turns"]
        look.put_raw(context_task_id(session, turn), context_payload(turn, known, about="ann"))
        look.put_raw(
            dialectic_task_id(session, turn), dialectic_payload(turn, "Porto", about="ann")
        )
        spoken = talk.begin_turn(f"number {number}", author=author)
        assert ("Porto" in spoken.context) is recalled
        assert (spoken.recall is not None) is recalled
        spoken.end("said")
        assert look.redis.keys("*.context") == []


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe",
        b"[1, 2]",
        b"17",
        b'{"status": "SUCCESS"}',
        b'{"status": "FAILURE", "result": {"exc_type": "KeyError", "exc_message": ["x"]}}',
        b'{"status": "SUCCESS", "result": null}',
        b'{"status": "SUCCESS", "result": "text"}',
        b'{"status": "SUCCESS", "result": {"turn": true, "context": {}}}',
        b'{"status": "SUCCESS", "result": {"turn": 1, "context": {"representation": 3}}}',
        b"[" * 100_000,
        json.dumps({"status": "SUCCESS", "result": {"turn": 10**9, "dialectic": "x"}}).encode(),
    ],
)
def test_a_result_that_is_none_is_cold_and_does_not_stop_what_follows(redis_url, look, raw):
    session, popper, awaited = uuid4(), Popper(redis_url), Awaited()
    awaited.expect(1)
    look.redis.set(result_key(context_task_id(session, 1)), raw)
    look.redis.set(result_key(dialectic_task_id(session, 1)), raw)
    assert awaited.pop(popper, session) is None
    awaited.expect(2)
    look.put_raw(dialectic_task_id(session, 2), {"turn": 2, "dialectic": "good"})
    assert awaited.pop(popper, session) == Recall(dialectic="good", dialectic_turn=2)
    popper.close()


def test_a_key_of_another_kind_is_cold(talk, look):
    look.redis.hset(result_key(context_task_id(look.id("talk"), 1)), "a", "b")
    turn = talk.begin_turn("two")
    assert (turn.recall, turn.context) == (None, "")


def test_a_warm_pop_is_one_round_trip_and_nothing_else(
    agent_env, look, redis_proxy, database_proxy, monkeypatch
):
    sends, connects = [], []
    with Memory.open(redis_url=redis_proxy.url, database_url=database_proxy.url) as memory:
        session = memory.session(name="talk")
        session.begin_turn("warm up").end("yes")
        session.begin_turn("warm up").end("yes")
        assert memory._services.dispatcher.drain(20)
        look.put("talk", 1, context="one", dialectic="one")
        look.put("talk", 2, context="two", dialectic="two")
        before = redis_proxy.requests, database_proxy.requests
        here = threading.get_ident()
        send, connect = socket.socket.sendall, socket.socket.connect

        def counted(self, *data):
            if threading.get_ident() == here:
                sends.append(data)
            return send(self, *data)

        def connected(self, address):
            connects.append(address)
            return connect(self, address)

        monkeypatch.setattr(socket.socket, "sendall", counted)
        monkeypatch.setattr(socket.socket, "connect", connected)
        turn = session.begin_turn("now")
        monkeypatch.undo()
        after = redis_proxy.requests, database_proxy.requests
        assert turn.recall.context_turn == 2
        assert len(sends) == 1
        assert connects == []
        assert (after[0] - before[0], after[1] - before[1]) == (1, 0)


def test_a_warm_turn_is_one_batch_of_getdels_and_no_statement(memory, look):
    """Counted by Redis itself, and in psycopg: whatever connections they come over."""
    session = memory.session(name="talk")
    session.begin_turn("one").end("re one")
    session.begin_turn("two").end("re two")
    assert memory._services.dispatcher.drain(20)
    look.put("talk", 2, context="likes tea", dialectic="offer tea")
    look.redis.config_resetstat()
    with counted() as statements:
        turn = session.begin_turn("three")
        stats = look.redis.info("commandstats")
    assert "likes tea" in turn.context
    calls = {name: one["calls"] for name, one in stats.items()}
    ours = {"cmdstat_config|resetstat", "cmdstat_info"}
    asked = {name: n for name, n in calls.items() if name not in ours}
    assert asked == {"cmdstat_get": 1, "cmdstat_getdel": 6}
    assert statements == []


@pytest.mark.parametrize("url", ["nonsense", "redis://host:port/0", "http://127.0.0.1/"])
def test_a_redis_url_that_is_none_is_said_so(agent_env, url):
    with pytest.raises(ConfigurationError, match="Redis URL cannot be read"):
        Memory.open(redis_url=url)
