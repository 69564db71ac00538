"""What is no query: local text, a machine's words and noise are asked about by nobody."""

from __future__ import annotations

import threading
import time

import pytest

from afterturn_models.asks import Answer
from support.ask_worker import AskWorker

LONG = 30.0  # seconds; no test waits that long


@pytest.fixture
def talk(open_memory):
    """Give a session that has had one turn."""
    session = open_memory().session(name="talk")
    session.begin_turn("hello").end("hello you")
    return session


def asks_nothing(session, redis_url, text="what do you know?", **more):
    """See that a turn asks nothing, and does not wait for what was not asked."""
    with AskWorker(redis_url, lambda op, arguments: Answer(None)) as worker:
        started = time.monotonic()
        turn = session.begin_turn(text, **more)
        took = time.monotonic() - started
        assert session._services.dispatcher.drain(20)
    assert worker.asks == []
    assert took < (1 if "wait" not in more else LONG / 2)
    return turn


@pytest.mark.parametrize("text", ["", " \n", "HEARTBEAT_OK", "Queued messages from Ann"])
def test_what_is_no_word_of_the_user_is_not_asked_about(open_memory, redis_url, text):
    asks_nothing(open_memory(recall_sync=True).session(name="talk"), redis_url, text)


@pytest.mark.parametrize("origin", ["cron", "flush", "subagent"])
def test_a_machines_words_are_not_asked_about(open_memory, redis_url, origin):
    asks_nothing(open_memory(recall_sync=True).session(name="talk"), redis_url, origin=origin)


@pytest.mark.parametrize(
    "settings",
    [
        {"user_memory_mode": "local"},
        {"memory_mode": "local"},
        {"save_messages": False},
        {"recall_mode": "tools"},
    ],
)
def test_text_that_stays_here_is_no_query(open_memory, redis_url, settings):
    session = open_memory(**settings, recall_sync=True).session(name="talk")
    asks_nothing(session, redis_url)


def set_mode(look, workspace, mode):
    look.query(
        "INSERT INTO settings (workspace_id, scope, subject, key, value)"
        " SELECT id, 'workspace', '', 'userMemoryMode', to_jsonb(%(mode)s::text) FROM workspaces"
        " WHERE name = %(workspace)s",
        mode=mode,
        workspace=workspace,
    )


def test_a_mode_that_postgres_knew_at_the_open_counts(
    talk, open_memory, look, workspace, redis_url
):
    set_mode(look, workspace, "local")
    asks_nothing(open_memory().session(name="talk"), redis_url, wait=0.3)


def test_a_mode_that_changed_counts_from_the_next_turn_on(talk, look, workspace, redis_url):
    set_mode(look, workspace, "local")
    talk.begin_turn("secret").end("hm")
    asks_nothing(talk, redis_url, wait=0.3)


def test_a_local_user_who_waits_waits_for_what_is_prefetched(open_memory, look, redis_url):
    session = open_memory(user_memory_mode="local").session(name="talk")
    session.begin_turn("hello").end("hello you")
    threading.Timer(0.3, look.put, ("talk", 1), {"context": "in time", "dialectic": "too"}).start()
    turn = asks_nothing(session, redis_url, wait=LONG)
    assert "in time" in turn.context


@pytest.mark.parametrize(("mode", "asked"), [("local", 0), ("hybrid", 2)])
def test_an_agent_that_speaks_in_the_users_place_is_asked_about_as_its_own_mode_says(
    open_memory, redis_url, mode, asked
):
    """In a subagent's session the parent's words are the agent's."""
    parent = open_memory(agent_memory_mode=mode).session(name="talk")
    child = parent.spawn("researcher", name="task")
    with AskWorker(redis_url, lambda op, arguments: Answer(None)) as worker:
        child.begin_turn("find out what she drinks", wait=1.0)
        assert child._services.dispatcher.drain(20)
    assert len(worker.asks) == asked
    assert {ask["user"] for ask in worker.asks} <= {"user"}  # about the human, not the parent
