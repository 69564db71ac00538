"""No turn waits: not for a slow Honcho, one that fails, or workers that are gone."""

from __future__ import annotations

import time

import pytest

from afterturn import Memory
from afterturn.prompt import FENCE

QUICK = 0.5  # seconds; a turn takes some thousandths, and the machine may be busy
CHAT = ".*/chat"


RULES = [
    {"fault": "latency", "path": CHAT, "seconds": 30},
    {"fault": "status", "path": CHAT, "status": 500},
    {"fault": "latency", "path": ".*", "seconds": 30},
    {"fault": "status", "path": ".*", "status": 500},
    {"fault": "hang", "path": ".*"},
]


@pytest.fixture
def worker(start_worker):
    started = start_worker().ready()
    yield started
    started.kill()  # a stop would wait for the chats that take long


@pytest.fixture
def memory(worker):
    """Give a memory with a worker behind it, and a user of whom something is known."""
    with Memory.open() as opened:
        earlier = opened.session(name="earlier")
        earlier.begin_turn("My name is Ann. I like tea. I live in Porto.").end("Hello Ann.")
        assert earlier.flush(20)
        yield opened


def turns(session, count=6, **options):
    """Have some turns; gives the longest time that one took to begin, and to end."""
    took = []
    for number in range(count):
        started = time.monotonic()
        turn = session.begin_turn(f"I like thing {number}. What do you think of it?", **options)
        begun = time.monotonic()
        turn.end(f"Thing {number} is fine.")
        took.append((begun - started, time.monotonic() - begun))
    return max(begin for begin, _ in took), max(end for _, end in took)


def test_a_honcho_that_is_slow_or_fails_keeps_no_turn_waiting(memory, honcho):
    for place, rule in enumerate(RULES):
        session = memory.session(name=f"talk{place}")
        number = honcho.control.add_rule(**rule)
        assert max(turns(session)) < QUICK, rule
        honcho.control.clear(number)
        assert [message.content for message in session.history(2)] == [
            "I like thing 5. What do you think of it?",
            "Thing 5 is fine.",
        ]


def test_recall_on_the_current_message_is_waited_for_no_longer_than_was_said(memory, honcho):
    session = memory.session(name="talk")
    turn = session.begin_turn("What do I like to drink?", wait=10)
    assert turn.recall.current
    assert turn.recall.dialectic
    assert "tea" in turn.context
    assert FENCE in turn.sent
    turn.end("Tea.")
    honcho.control.add_rule("latency", path=CHAT, seconds=30)
    started = time.monotonic()
    turn = session.begin_turn("And what else do I like, as far as you know?", wait=1.0)
    took = time.monotonic() - started
    assert turn.recall.current  # the context came in time
    assert "tea" in turn.context
    assert 0.9 < took < 1.0 + QUICK


def test_a_honcho_that_fails_ends_the_wait_and_one_without_workers_has_its_deadline(
    memory, honcho, worker
):
    session = memory.session(name="talk")
    for path in (CHAT, ".*"):
        number = honcho.control.add_rule("status", path=path, status=500)
        begin, _ = turns(session, 2, wait=20)
        assert begin < 10  # each failed at once; nothing was waited for
        honcho.control.clear(number)
    worker.kill()
    assert max(turns(session)) < QUICK
    begin, end = turns(session, 2, wait=0.5)
    assert 0.5 <= begin < 0.5 + QUICK
    assert end < QUICK


def test_a_first_turn_has_what_was_pre_warmed(memory):
    """A new conversation with a known user is not cold, where a second is given to it."""
    with Memory.open(first_turn_base_wait=20, first_turn_dialectic_wait=20) as another:
        turn = another.session(name="new").begin_turn("hello")
    assert "tea" in turn.context
    assert turn.recall.context_turn == turn.recall.dialectic_turn == 0
    assert turn.recall.dialectic
