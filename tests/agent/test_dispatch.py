"""Hints: in the background, coalesced, dropped where the broker is away, and never in the way."""

from __future__ import annotations

import socket
import threading
import time
from uuid import uuid4

import pytest

from afterturn.dispatch import Dispatcher
from support.waiting import eventually


@pytest.fixture
def dispatcher(redis_url):
    found = Dispatcher(redis_url)
    yield found
    found.close()


def test_no_hint_is_lost_while_the_broker_lives(dispatcher, look):
    sessions = [uuid4() for _ in range(300)]
    for session in sessions:
        dispatcher.hint(session)
    assert dispatcher.drain(30)
    assert (dispatcher.sent, dispatcher.dropped) == (300, 0)
    assert sorted(look.hints()) == sorted(str(session) for session in sessions)


def test_hints_of_one_session_that_wait_are_one(dispatcher, look):
    one, two = uuid4(), uuid4()
    with dispatcher._wake:  # nothing is sent meanwhile
        for _ in range(100):
            dispatcher.hint(one)
            dispatcher.hint(two)
    assert dispatcher.drain(30)
    assert sorted(look.hints()) == sorted([str(one), str(two)])


def test_a_hint_after_one_that_was_sent_is_sent_too(dispatcher, look):
    session = uuid4()
    for _ in range(3):
        dispatcher.hint(session)
        assert dispatcher.drain(30)
    assert look.hints() == [str(session)] * 3


def test_a_turn_sends_one_hint_and_reads_no_result(memory, look):
    session = memory.session(name="talk")
    session.begin_turn("a").end("b")
    assert memory._services.dispatcher.drain(30)
    assert look.hints() == [str(look.id("talk"))]
    assert not [key for key in look.redis.keys("*") if b"task-meta" in key]


def test_hints_from_many_threads(dispatcher, look):
    sessions = [uuid4() for _ in range(200)]
    threads = [
        threading.Thread(target=lambda part=sessions[n::4]: [dispatcher.hint(s) for s in part])
        for n in range(4)
    ]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert dispatcher.drain(30)
    assert set(look.hints()) == {str(session) for session in sessions}


def test_a_broker_that_never_answers_costs_the_caller_nothing():
    with socket.create_server(("127.0.0.1", 0)) as server:
        dispatcher = Dispatcher(f"redis://127.0.0.1:{server.getsockname()[1]}/0")
        started = time.monotonic()
        for _ in range(200):
            dispatcher.hint(uuid4())
        assert time.monotonic() - started < 0.5
        started = time.monotonic()
        dispatcher.close()
        assert time.monotonic() - started < 3


def test_what_cannot_be_sent_is_dropped_and_later_hints_go_through(dispatcher, look, monkeypatch):
    monkeypatch.setattr("afterturn.dispatch._PAUSE", 0.3)
    look.redis.config_set("maxmemory", 1)  # a broker that is full
    try:
        dispatcher.hint(uuid4())
        eventually(lambda: dispatcher.dropped)
        assert dispatcher.drain(5)  # nothing waits for a broker that takes nothing
    finally:
        look.redis.config_set("maxmemory", 0)
    session = uuid4()
    assert eventually(lambda: dispatcher.hint(session) or str(session) in look.hints())


def test_what_waits_is_bounded(redis_url):
    dispatcher = Dispatcher(redis_url)
    with dispatcher._wake:
        for _ in range(10_050):
            dispatcher.hint(uuid4())
        assert (len(dispatcher._waiting), dispatcher.dropped) == (10_000, 50)
        dispatcher._waiting.clear()
    dispatcher.close()


def test_a_url_that_celery_cannot_read_ends_no_thread():
    dispatcher = Dispatcher("nonsense://nowhere")
    dispatcher.hint(uuid4())
    eventually(lambda: dispatcher.dropped)
    started = time.monotonic()
    dispatcher.close()
    assert time.monotonic() - started < 1


def test_a_close_without_a_hint_starts_nothing(redis_url):
    before = threading.active_count()
    Dispatcher(redis_url).close()
    assert threading.active_count() == before


def test_no_thread_outlives_the_close(redis_url):
    dispatcher = Dispatcher(redis_url)
    dispatcher.hint(uuid4())
    dispatcher.close(30)
    assert dispatcher.sent == 1
    assert not dispatcher._thread.is_alive()


def test_celery_is_imported_in_the_background(agent_env, run):
    script = """
import sys, threading
who = []
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "celery":
            who.append(threading.current_thread().name)
sys.meta_path.insert(0, Watch())
from afterturn import Memory
with Memory.open() as memory:
    memory.session(name="talk").begin_turn("a").end("b")
    memory._services.dispatcher.drain(30)
print(who)
"""
    done = run("-c", script)
    assert done.stdout.strip() == "['afterturn-dispatch']", done.stderr
