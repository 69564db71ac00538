"""Recall while Redis is away: one turn pays a moment, none waits, and it heals by itself."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from afterturn import Memory
from afterturn_models.prefetched import context_task_id, result_key
from support.tcp_proxy import TcpProxy
from support.waiting import eventually


@pytest.fixture(autouse=True)
def probes_are_quick(monkeypatch):
    monkeypatch.setattr("afterturn.breaker._EVERY", 0.2)


@pytest.fixture
def redis_proxy(redis_url):
    with TcpProxy(redis_url) as proxy:
        yield proxy


def warm(redis_proxy, look):
    memory = Memory.open(redis_url=redis_proxy.url)
    session = memory.session(name="talk")
    for text in ("one", "two"):
        session.begin_turn(text).end(text)
    return memory, session


def assert_heals(session, look):
    """See that results reach the session again, by themselves."""
    eventually(lambda: not session._services.popper._breaker.open)
    look.put("talk", len({row["turn"] for row in look.rows("talk")}), context="healed")
    assert "healed" in session.begin_turn("now?").context


def test_a_black_hole_costs_one_turn_a_moment_and_heals(agent_env, look, redis_proxy):
    memory, session = warm(redis_proxy, look)
    with memory:
        redis_proxy.silent = True
        took = []
        for number in range(4):
            started = time.monotonic()
            session.begin_turn(str(number)).end(str(number))
            took.append(time.monotonic() - started)
        assert took[0] < 2
        assert max(took[1:]) < 0.25
        redis_proxy.silent = False
        assert_heals(session, look)


def test_a_refused_connection_costs_next_to_nothing_and_heals(agent_env, look, redis_proxy):
    memory, session = warm(redis_proxy, look)
    with memory:
        redis_proxy.refuse()
        for number in range(4):
            started = time.monotonic()
            session.begin_turn(str(number)).end(str(number))
            assert time.monotonic() - started < 1
        redis_proxy.accept()
        assert_heals(session, look)


def test_a_connection_that_was_closed_while_idle_is_no_cold_turn(agent_env, look, redis_proxy):
    memory, session = warm(redis_proxy, look)
    with memory:
        session.begin_turn("three").end("three")
        redis_proxy.cut()
        look.put("talk", 3, context="still warm")
        assert "still warm" in session.begin_turn("four").context


def test_a_socket_that_listens_and_never_answers(agent_env):
    with socket.create_server(("127.0.0.1", 0)) as hole:
        url = f"redis://127.0.0.1:{hole.getsockname()[1]}/0"
        started = time.monotonic()
        with Memory.open(redis_url=url) as memory:
            session = memory.session(name="talk")
            for number in range(5):
                assert not session.begin_turn(str(number)).end(str(number)).spooled
            assert time.monotonic() - started < 4
        assert time.monotonic() - started < 8  # the close is bounded too


def test_an_answer_that_comes_too_late_is_never_taken_for_another(agent_env, look, redis_url):
    class Late(TcpProxy):
        def _pump(self, source, sink, who, last):
            while True:
                try:
                    data = source.recv(65536)
                    if not data:
                        return sink.shutdown(socket.SHUT_WR)
                    if who == "server" and self.silent:
                        time.sleep(0.6)
                    sink.sendall(data)
                except OSError:
                    return None

    with Late(redis_url) as proxy, Memory.open(redis_url=proxy.url) as memory:
        one, two = memory.session(name="one"), memory.session(name="two")
        for session in (one, two):
            session.begin_turn("a").end("a")
        look.put("one", 1, context="secret of one")
        look.put("two", 1, context="secret of two")
        proxy.silent = True
        assert one.begin_turn("b").context == ""
        proxy.silent = False
        eventually(lambda: not memory._services.popper._breaker.open)
        context = two.begin_turn("b").context
        assert "secret of two" in context
        assert "secret of one" not in context


@pytest.mark.parametrize("how", ["refused", "silent"])
def test_recall_on_the_current_message_waits_for_no_redis(agent_env, redis_proxy, how):
    """Nobody could answer: the turn begins cold at once, and so does every one after it."""
    settings = {"recall_sync": True, "recall_sync_seconds": 30, "first_turn_base_wait": 30}
    with Memory.open(redis_url=redis_proxy.url, **settings) as memory:
        session = memory.session(name="talk")
        redis_proxy.silent = how == "silent"
        if how == "refused":
            redis_proxy.refuse()
        took = []
        for number in range(4):
            started = time.monotonic()
            turn = session.begin_turn(f"what about number {number}?", wait=number * 10)
            took.append(time.monotonic() - started)
            assert (turn.recall, turn.context) == (None, "")
            turn.end("I do not know")
        assert took[0] < 2
        assert max(took[1:]) < 0.5
        redis_proxy.refuse()  # or the close would wait for a hint that is being sent


def test_a_redis_that_goes_while_it_is_waited_for_ends_the_wait(agent_env, look, redis_proxy):
    memory, session = warm(redis_proxy, look)
    with memory:
        threading.Timer(0.3, lambda: setattr(redis_proxy, "silent", True)).start()
        started = time.monotonic()
        assert session.begin_turn("what do you know?", wait=30).recall is None
        assert 0.3 <= time.monotonic() - started < 3
        redis_proxy.refuse()


def test_an_answer_that_was_cut_off_is_never_taken_for_the_next_one(agent_env, look, redis_proxy):
    """What a batch left unread on its connection would be the answer to another session's."""
    memory, session = warm(redis_proxy, look)
    with memory:
        other = memory.session(name="other")
        other.begin_turn("a").end("b")
        look.redis.hset(
            result_key(context_task_id(look.id("talk"), 2)), "a", "b"
        )  # of a wrong kind
        look.put("talk", 2, dialectic="secret of talk")
        look.put("other", 1, context="of other")
        assert session.begin_turn("three").context == ""
        eventually(lambda: not memory._services.popper.away)
        context = other.begin_turn("c").context
        assert "of other" in context
        assert "secret" not in context
