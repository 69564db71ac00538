"""A first turn: it waits for what was pre-warmed only where it was told to, and only so long."""

from __future__ import annotations

import threading
import time

import pytest

from afterturn import Memory
from afterturn_models.prefetched import context_task_id, dialectic_task_id

LONG = 30.0  # seconds; no test waits that long


@pytest.fixture
def first_turn(agent_env):
    """Give a function that begins a first turn under some settings: the turn, how long it took."""
    opened = []

    def begin(meanwhile=None, **settings):
        memory = Memory.open(**settings)
        opened.append(memory)
        session = memory.session(name="talk")
        if meanwhile:
            threading.Timer(0.2, meanwhile).start()
        started = time.monotonic()
        return session.begin_turn("hello"), time.monotonic() - started

    yield begin
    for memory in opened:
        memory.close()


def test_by_default_it_does_not_wait(first_turn):
    turn, took = first_turn()
    assert turn.recall is None
    assert took < 0.25


def test_it_waits_for_context_as_long_as_it_was_told(first_turn, look):
    turn, took = first_turn(
        lambda: look.put("talk", 0, context="likes tea"), first_turn_base_wait=LONG
    )
    assert "likes tea" in turn.context
    assert took < LONG / 2


def test_it_waits_for_the_dialectic_as_long_as_it_was_told(first_turn, look):
    turn, took = first_turn(
        lambda: look.put("talk", 0, dialectic="offer tea"), first_turn_dialectic_wait=LONG
    )
    assert "offer tea" in turn.context
    assert took < LONG / 2


def test_each_has_a_deadline_of_its_own(first_turn, look):
    turn, took = first_turn(
        lambda: look.put("talk", 0, context="likes tea"),
        first_turn_base_wait=LONG,
        first_turn_dialectic_wait=0.6,
    )
    assert "likes tea" in turn.context
    assert 0.6 <= took < 2


def test_at_its_deadline_it_is_cold(first_turn):
    turn, took = first_turn(first_turn_base_wait=0.4, first_turn_dialectic_wait=0.2)
    assert turn.recall is None
    assert 0.4 <= took < 2


def test_a_fetch_that_came_to_nothing_ends_the_wait(first_turn, look):
    def fail():
        session = look.id("talk")
        for task_id in (context_task_id(session, 0), dialectic_task_id(session, 0)):
            look.put_raw(task_id, {"exc_type": "X", "exc_message": []}, status="FAILURE")

    turn, took = first_turn(fail, first_turn_base_wait=LONG, first_turn_dialectic_wait=LONG)
    assert turn.recall is None
    assert took < LONG / 2


@pytest.mark.parametrize(
    "settings",
    [
        {"context_cadence": 0, "dialectic_cadence": 0},
        {"recall_mode": "tools"},
        {"first_turn_base_wait": 0.0, "dialectic_cadence": 0},
    ],
)
def test_what_is_not_fetched_is_not_waited_for(first_turn, settings):
    waits = {"first_turn_base_wait": LONG, "first_turn_dialectic_wait": LONG} | settings
    turn, took = first_turn(**waits)
    assert turn.recall is None
    assert took < LONG / 2


def test_the_second_turn_waits_for_nothing(first_turn):
    turn, _ = first_turn(first_turn_base_wait=0.3)
    turn.end("hello you")
    started = time.monotonic()
    turn._session.begin_turn("well?")
    assert time.monotonic() - started < 0.25


def test_a_conversation_that_goes_on_waits_for_context_and_for_no_dialectic(first_turn, look):
    first_turn()[0].end("hello you")
    look.redis.flushall()
    turn, took = first_turn(
        lambda: look.put("talk", 1, context="likes tea"),
        first_turn_base_wait=LONG,
        first_turn_dialectic_wait=LONG,
    )
    assert "likes tea" in turn.context
    assert took < LONG / 2
