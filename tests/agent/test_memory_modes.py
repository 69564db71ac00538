"""Memory modes from an agent to Honcho, with a real worker and the stand-in's own counters."""

from __future__ import annotations

import pytest
import redis

from afterturn import Memory
from afterturn_models.prefetched import context_task_id, dialectic_task_id, result_key
from support.waiting import eventually

SECRET = "I keep my savings in a hollow oak"


def speak(session, *texts):
    """Have a conversation, and wait until nothing of it is left to do."""
    for text in texts:
        session.begin_turn(text).end(f"re {text}")
    assert eventually(lambda: session.flush(10))


def prefetched(look_at, session, turn, *, asked=False):
    """Wait until the prefetches of a turn have run, without taking what they found."""
    opened = session.opened()
    made = [context_task_id] + ([dialectic_task_id] if asked else [])
    keys = [result_key(make(opened.id, turn)) for make in made]
    eventually(lambda: look_at.exists(*keys) == len(keys))


@pytest.fixture
def backend(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield client


QUIET = {"modes": {"memory_mode": "local"}, "save": {"save_messages": False}}


def see_that_what_is_to_stay_here_is_neither_sent_nor_asked_about(backend, honcho, workspace):
    for name, given in QUIET.items():
        with Memory.open(**given) as memory:
            session = memory.session(name=name)
            speak(session, SECRET, "and the key under the mat", "ask nobody about it")
            prefetched(backend, session, 3)
        assert honcho.control.messages(workspace, name) == []
    counters = honcho.control.counters()
    assert counters["message_posts"] == 0
    assert not [route for route in counters["requests"] if "chat" in route or "search" in route]
    kept = [backend.get(key) for key in backend.keys("*") if backend.type(key) == b"string"]
    assert kept  # the prefetches' results
    assert b"hollow oak" not in b"".join(kept)


BOTH, USER, AGENT = ["a", "re a"], ["a"], ["re a"]
CASES = {
    "hybrid": ({}, BOTH, True),
    "honcho": ({"memory_mode": "honcho"}, BOTH, True),
    "user-local": ({"user_memory_mode": "local"}, AGENT, False),
    "agent-local": ({"agent_memory_mode": "local"}, USER, True),
    "shorthand-overruled": ({"memory_mode": "local", "agent_memory_mode": "hybrid"}, AGENT, False),
    "user-honcho": ({"user_memory_mode": "honcho", "agent_memory_mode": "local"}, USER, True),
}


def test_each_peers_mode_decides_what_of_it_reaches_honcho(
    start_worker, backend, honcho, workspace
):
    """As users report of others: with saveMessages=false messages are saved all the same.

    A user whose memory is local is never quoted in a query either: no chat is asked for.
    """
    start_worker().ready()
    see_that_what_is_to_stay_here_is_neither_sent_nor_asked_about(backend, honcho, workspace)
    for name, (given, sent, asked) in CASES.items():
        before = chat_calls(honcho)
        with Memory.open(**given) as memory:
            session = memory.session(name=name)
            speak(session, "a")
            prefetched(backend, session, 1, asked=asked)
        stored = [message["content"] for message in honcho.control.messages(workspace, name)]
        assert (name, stored) == (name, sent)
        # One about the turn, and one before it where a worker was quick: the session was new.
        assert (name, chat_calls(honcho) > before) == (name, asked)


def chat_calls(honcho):
    requests = honcho.control.counters()["requests"]
    return sum(count for route, count in requests.items() if "chat" in route)
