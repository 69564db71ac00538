"""Recall on the current message: asked for at once, under one deadline, and never in the way."""

from __future__ import annotations

import threading

import pytest

from afterturn_models.asks import Answer, Failure
from afterturn_models.prefetched import context_payload
from afterturn_models.values import ContextResult
from support.ask_worker import QUEUE, AskWorker
from support.waiting import eventually, timed

LONG = 30.0  # seconds; no test waits that long


def knows(representation="likes tea", answer="offer tea"):
    """Make a worker's reply that knows these, and has no answer where one is None."""
    context = ContextResult(representation=representation or "")
    said = {
        "recall": context_payload(0, context, about="user"),
        "dialectic": {"answer": answer, "level": "low"},
    }
    return lambda op, arguments: Answer(said[op])


def fails(*ops, failure=Failure.OUTAGE):
    reply = knows()
    return lambda op, arguments: (
        Answer(failure=failure, sentence="because") if op in ops else reply(op, arguments)
    )


def silent(*ops):
    reply = knows()
    return lambda op, arguments: None if op in ops else reply(op, arguments)


@pytest.fixture
def talk(open_memory):
    """Give a session that has had one turn."""
    session = open_memory().session(name="talk")
    session.begin_turn("hello").end("hello you")
    return session


def test_what_came_in_time_is_used_and_what_was_prefetched_is_not(talk, look, redis_url):
    look.put("talk", 1, context="likes coffee", dialectic="offer coffee")
    with AskWorker(redis_url, knows()) as worker:
        turn = talk.begin_turn("I am thirsty", wait=LONG)
    assert (turn.recall.context.representation, turn.recall.dialectic) == ("likes tea", "offer tea")
    assert (turn.recall.current, turn.recall.context_turn, turn.recall.dialectic_turn) == (
        True,
        1,
        1,
    )
    assert "coffee" not in turn.context
    assert not look.redis.keys("*task-meta*")  # popped all the same
    assert sorted(worker.ops()) == ["dialectic", "recall"]
    for ask in worker.asks:
        assert (ask["arguments"]["query"], ask["user"]) == ("I am thirsty", "user")
        # By itself: with the reach of what is injected, and not of a tool.
        assert ask["arguments"].get("asked") is (False if ask["op"] == "dialectic" else None)
        assert 0 < ask["left"] <= LONG * 1000


def test_a_piece_that_did_not_come_is_the_prefetched_one(talk, look, redis_url):
    look.put("talk", 1, context="likes coffee", dialectic="offer coffee")
    with AskWorker(redis_url, fails("dialectic", failure=Failure.BUDGET)):
        turn = talk.begin_turn("I am thirsty", wait=LONG)
    assert turn.recall.context.representation == "likes tea"
    assert turn.recall.dialectic == "offer coffee"
    assert turn.recall.current


def test_where_nothing_comes_it_is_what_was_prefetched(talk, look, redis_url):
    look.put("talk", 1, context="likes coffee", dialectic="offer coffee")
    with AskWorker(redis_url, fails("recall", "dialectic")):
        turn, took = timed(lambda: talk.begin_turn("I am thirsty", wait=LONG))
    assert turn.recall.context.representation == "likes coffee"
    assert not turn.recall.current
    assert took < LONG / 2


def test_at_the_deadline_it_is_what_was_prefetched_else_cold(talk, look, redis_url):
    with AskWorker(redis_url, silent("recall", "dialectic")):
        look.put("talk", 1, context="likes coffee")
        turn, took = timed(lambda: talk.begin_turn("I am thirsty", wait=0.4))
        assert 0.4 <= took < 2
        assert "coffee" in turn.context
        turn, took = timed(lambda: talk.begin_turn("I am hungry", wait=0.4))
    assert (turn.recall, turn.context) == (None, "")
    assert took < 2


def test_both_are_waited_for_under_one_deadline(talk, redis_url):
    with AskWorker(redis_url, silent("dialectic")):
        turn, took = timed(lambda: talk.begin_turn("I am thirsty", wait=0.6))
    assert turn.recall.context.representation == "likes tea"
    assert turn.recall.dialectic is None
    assert 0.6 <= took < 1.1


def test_a_dialectic_that_knows_nothing_brings_back_no_older_one(talk, look, redis_url):
    """As users report of others: memory one topic behind."""
    look.put("talk", 1, dialectic="offer coffee")
    with AskWorker(redis_url, knows(answer=None)):
        turn = talk.begin_turn("What is the weather?", wait=LONG)
    assert turn.recall.dialectic == ""
    assert "coffee" not in turn.context


def test_a_context_that_knows_nothing_leaves_the_prefetched_one(talk, look, redis_url):
    look.put("talk", 1, context="likes coffee")
    with AskWorker(redis_url, knows(representation=None)):
        turn = talk.begin_turn("I am thirsty", wait=LONG)
    assert turn.recall.context.representation == "likes coffee"


def test_what_was_fetched_before_comes_no_more_behind_it(talk, look, redis_url):
    with AskWorker(redis_url, knows()):
        talk.begin_turn("I am thirsty", wait=LONG).end("tea?")
    look.put("talk", 1, context="late", dialectic="late")
    assert talk.begin_turn("yes").recall is None
    look.put("talk", 2, context="newer", dialectic="newer")
    assert talk.begin_turn("and now?").recall.dialectic == "newer"


def test_an_answer_is_cut_to_what_may_be_injected(open_memory, redis_url):
    session = open_memory(dialectic_max_chars=50).session(name="talk")
    with AskWorker(redis_url, knows(answer="word " * 100)):
        turn = session.begin_turn("I am thirsty", wait=LONG)
    assert len(turn.recall.dialectic) <= 50


def test_of_a_long_message_no_more_travels_than_is_asked(open_memory, redis_url):
    session = open_memory(dialectic_max_input_chars=200).session(name="talk")
    with AskWorker(redis_url, knows()) as worker:
        session.begin_turn("word " * 10_000, wait=LONG)
    assert {len(ask["arguments"]["query"]) for ask in worker.asks} == {200}


def test_memory_and_envelopes_are_no_part_of_the_query(talk, redis_url):
    with AskWorker(redis_url, knows()) as worker:
        talk.begin_turn("<afterturn-memory>old</afterturn-memory>\n\nthirsty again", wait=LONG)
    assert {ask["arguments"]["query"] for ask in worker.asks} == {"thirsty again"}


def test_recall_sync_asks_in_every_turn(open_memory, redis_url):
    session = open_memory(recall_sync=True, recall_sync_seconds=LONG).session(name="talk")
    with AskWorker(redis_url, knows()) as worker:
        for number in range(3):
            turn = session.begin_turn(f"thirst number {number}")
            assert turn.recall.current
            turn.end("tea?")
    assert len(worker.asks) == 6


def test_recall_sync_has_its_own_deadline(open_memory, redis_url):
    session = open_memory(recall_sync=True, recall_sync_seconds=0.3).session(name="talk")
    turn, took = timed(lambda: session.begin_turn("I am thirsty"))
    assert turn.recall is None
    assert 0.3 <= took < 2


@pytest.mark.parametrize("injection", ["first-turn", "frozen"])
def test_recall_sync_asks_for_nothing_that_would_not_be_injected(open_memory, redis_url, injection):
    settings = {"recall_sync": True, "recall_sync_seconds": LONG, "injection": injection}
    session = open_memory(**settings).session(name="talk")
    with AskWorker(redis_url, knows()) as worker:
        for number in range(3):
            session.begin_turn(f"thirst number {number}").end("tea?")
    assert len(worker.asks) == 2


@pytest.mark.parametrize("text", ["thanks!", "ok", "好的"])
def test_a_trivial_message_costs_no_dialectic(open_memory, redis_url, text):
    session = open_memory(recall_sync=True, recall_sync_seconds=LONG).session(name="talk")
    with AskWorker(redis_url, knows()) as worker:
        session.begin_turn(text)
    assert worker.ops() == ["recall"]


def test_without_a_dialectic_cadence_there_is_no_dialectic(open_memory, redis_url):
    session = open_memory(dialectic_cadence=0).session(name="talk")
    with AskWorker(redis_url, knows()) as worker:
        session.begin_turn("I am thirsty", wait=LONG)
    assert worker.ops() == ["recall"]


def test_what_is_about_another_speaker_is_asked_about_that_one(talk, redis_url):
    with AskWorker(redis_url, knows()) as worker:
        talk.begin_turn("I am thirsty", author="ann", wait=LONG)
    assert {ask["user"] for ask in worker.asks} == {"ann"}


@pytest.mark.parametrize(
    "value", [None, [], {}, {"context": 3}, {"context": {}}, {"answer": 3}, "text"], ids=str
)
def test_a_value_that_is_none_is_cold(talk, redis_url, value):
    with AskWorker(redis_url, lambda op, arguments: Answer(value)):
        turn, took = timed(lambda: talk.begin_turn("I am thirsty", wait=LONG))
    assert turn.context == ""
    assert took < LONG / 2


def test_without_redis_nobody_waits(talk, look, redis_url):
    talk._services.popper._breaker.trip()
    talk._services.popper._breaker._probe = lambda: 1 / 0  # away for as long as this test takes
    turn, took = timed(lambda: talk.begin_turn("I am thirsty", wait=LONG))
    assert turn.recall is None
    assert took < 1


def test_a_turn_that_waits_lets_another_end(talk, look, redis_url):
    go = threading.Event()
    turn = talk.begin_turn("two")
    begun = []

    def reply(op, arguments):
        assert go.wait(LONG)
        return knows()(op, arguments)

    with AskWorker(redis_url, reply):
        waiting = threading.Thread(
            target=lambda: begun.append(talk.begin_turn("I am thirsty", wait=LONG))
        )
        waiting.start()
        eventually(lambda: look.said("talk")[-1] == "two")  # interrupted: the other one is waiting
        turn.end("re two")
        assert not begun
        assert look.said("talk")[-1] == "re two"
        go.set()
        waiting.join()
    assert begun[0].recall.current


def test_queue_is_left_alone_where_nothing_is_asked(talk, look):
    talk.begin_turn("I am thirsty").end("tea?")
    assert talk._services.dispatcher.drain(20)
    assert look.redis.llen(QUEUE) == 0
