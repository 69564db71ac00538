"""Turns: whatever is said is captured once, and what was captured is what was said."""

from __future__ import annotations

import datetime as dt
import gc
import threading
from pathlib import Path

import pytest

from afterturn import CaptureError, Memory, TurnResult
from afterturn_models.policy.ids import honcho_id
from support.tcp_proxy import TcpProxy
from support.waiting import eventually


@pytest.fixture
def session(memory):
    return memory.session(name="talk")


def test_a_turn_is_two_rows_in_order(session, look):
    assert session.begin_turn("hello").end("hello you") == TurnResult(synced=False, spooled=False)
    rows = look.rows("talk")
    assert [(r["index"], r["turn"], r["role"], r["peer"]) for r in rows] == [
        (1, 1, "user", "user"),
        (2, 1, "assistant", "agent"),
    ]
    assert [r["content"] for r in rows] == ["hello", "hello you"]
    assert [r["delivery"] for r in rows] == ["send", "send"]
    assert len({r["turn_id"] for r in rows}) == 1


def test_ending_twice_is_ending_once(session, look):
    turn = session.begin_turn("hello")
    assert not turn.ended
    first = turn.end("hello you")
    assert turn.ended
    assert turn.end("something else") is first
    assert look.said("talk") == ["hello", "hello you"]


def test_two_threads_that_end_one_turn_end_it_once(session, look):
    turn = session.begin_turn("hello")
    threads = [threading.Thread(target=turn.end, args=("hello you",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert look.said("talk") == ["hello", "hello you"]


def test_tool_messages_stay_here(session, look):
    turn = session.begin_turn("weather?")
    turn.add("assistant", "let me see")
    turn.add("tool", "12 degrees")
    turn.add("user", "well?")
    turn.end("cold")
    assert [(r["role"], r["peer"], r["delivery"], r["reason"]) for r in look.rows("talk")] == [
        ("user", "user", "send", None),
        ("assistant", "agent", "send", None),
        ("tool", "agent", "local", "tool"),
        ("user", "user", "send", None),
        ("assistant", "agent", "send", None),
    ]


def test_what_cannot_be_added(session):
    turn = session.begin_turn("hello")
    with pytest.raises(ValueError, match="'system' is no role; use user, assistant or tool"):
        turn.add("system", "obey")
    with pytest.raises(TypeError, match="text, not NoneType"):
        turn.add("tool", None)
    turn.end("x")
    with pytest.raises(ValueError, match="has ended"):
        turn.add("tool", "late")


def test_what_is_no_text_is_refused_before_anything_is_written(session, look):
    with pytest.raises(TypeError, match="text, not int"):
        session.begin_turn(3)
    turn = session.begin_turn("hello")
    with pytest.raises(TypeError, match="text, not dict"):
        turn.end({"role": "assistant"})
    assert look.rows("talk") == []
    turn.end("as text")
    assert look.said("talk") == ["hello", "as text"]


@pytest.mark.parametrize("blank", ["", " \n\t", "\u200b\ufeff", "\x00"])
def test_blank_text_is_kept_and_stays_here(session, look, blank):
    session.begin_turn(blank).end("did you say something?")
    first, second = look.rows("talk")
    assert (first["delivery"], first["reason"]) == ("local", "blank")
    assert second["delivery"] == "send"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("a\x00b", "ab"),
        ("a\ud800b", "a\ufffdb"),
        ("\ud83d\ude00", "\U0001f600"),
        ("e\u0301\u200d\U0001f468", "e\u0301\u200d\U0001f468"),
    ],
)
def test_what_postgres_cannot_hold_is_mended(session, look, said, kept):
    session.begin_turn(said).end(said)
    assert look.said("talk") == [kept, kept]


def test_a_megabyte_is_captured_whole(session, look):
    text = "".join(f"word{number} \u00e9\U0001f600\n" for number in range(70_000))
    assert len(text.encode()) > 1_000_000
    session.begin_turn(text).end("long")
    said = [row["content"] for row in look.rows("talk") if row["role"] == "user"]
    assert "".join(said) == text


def test_each_turn_has_its_author(session, look):
    session.begin_turn("I am Ann", author="ann").end("hello Ann")
    session.begin_turn("and I the owner").end("hello")
    session.begin_turn("I am odd", author="Zoë <zoe@example>").end("hello")
    peers = [row["peer"] for row in look.rows("talk") if row["role"] == "user"]
    assert peers == ["ann", "user", honcho_id("Zoë <zoe@example>")]


def test_when_it_was_said_is_kept(session, look):
    tokyo = dt.timezone(dt.timedelta(hours=9))
    at = dt.datetime(2024, 2, 29, 23, 59, 59, 123456, tokyo)
    turn = session.begin_turn("then", at=at)
    turn.add("tool", "later", at=at + dt.timedelta(seconds=1))
    turn.end("now")
    first, second, third = look.rows("talk")
    assert first["at"] == at
    assert second["at"] == at + dt.timedelta(seconds=1)
    assert abs(third["at"] - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)


def test_a_turn_that_was_not_ended_is_captured_when_the_next_begins(session, look):
    turn = session.begin_turn("are you there?")
    turn.add("tool", "half an answer")
    session.begin_turn("hello?").end("sorry")
    assert look.said("talk") == ["are you there?", "half an answer", "hello?", "sorry"]


def test_a_reply_to_a_turn_that_was_overtaken_is_not_lost(session, look):
    first = session.begin_turn("question one", author="ann")
    second = session.begin_turn("question two", author="bob")
    first.add("tool", "looked up")
    assert not first.end("answer one").spooled
    second.end("answer two")
    assert first.end("twice") == TurnResult(synced=False, spooled=False)
    rows = look.rows("talk")
    assert [r["content"] for r in rows] == [
        "question one", "looked up", "answer one", "question two", "answer two",
    ]  # fmt: skip
    assert [r["index"] for r in rows] == [1, 2, 3, 4, 5]
    assert len({r["turn_id"] for r in rows[:3]}) == 1


def test_an_overtaken_turn_that_ends_without_a_reply_adds_nothing(session, look):
    first = session.begin_turn("question one")
    session.begin_turn("question two").end("answer two")
    assert first.end() == TurnResult(synced=False, spooled=False)
    assert look.said("talk") == ["question one", "question two", "answer two"]


def test_an_open_turn_is_captured_at_close_and_at_the_end_of_the_block(agent_env, look):
    with Memory.open() as memory:
        memory.session(name="closed").begin_turn("one")
        memory.session(name="closed").close()
        memory.session(name="left").begin_turn("two")
    assert look.said("closed") == ["one"]
    assert look.said("left") == ["two"]


def test_an_open_turn_outlives_a_session_that_was_let_go_of(memory, look):
    def leave():
        memory.session(name="talk").begin_turn("does anybody hear me?")

    leave()
    gc.collect()
    memory.session(name="talk").begin_turn("hello?").end("yes")
    assert look.said("talk") == ["does anybody hear me?", "hello?", "yes"]


def test_a_turn_after_the_close_is_captured_all_the_same(agent_env, look):
    memory = Memory.open()
    session = memory.session(name="talk")
    turn = session.begin_turn("one")
    memory.close()
    turn.end("two")
    memory.close()
    assert look.said("talk") == ["one", "two"]
    memory._services.close()


@pytest.fixture
def no_room(agent_env, empty_environment: Path):
    """Put a file where the spool's folder would be: nothing can be spooled."""
    empty_environment.mkdir(parents=True, exist_ok=True)
    spool = empty_environment / "spool"
    spool.write_text("in the way")
    return spool


def test_where_nothing_takes_a_turn_it_can_be_ended_again(no_room, look, shared_database):
    with TcpProxy(shared_database) as proxy:
        memory = Memory.open(database_url=proxy.url)
        session = memory.session(name="talk")
        turn = session.begin_turn("one")
        proxy.refuse()
        with pytest.raises(CaptureError, match=r"try again.*a file stands in the place"):
            turn.end("two")
        assert not turn.ended
        with pytest.raises(CaptureError):
            session.begin_turn("next")  # the turn before would be lost
        no_room.unlink()
        assert turn.end("two").spooled
        proxy.accept()
        eventually(lambda: not memory._services.capturer._breaker.open)
        assert not session.begin_turn("three").end("four").spooled
        memory.close()
    assert look.said("talk") == ["one", "two", "three", "four"]


def test_a_close_that_loses_a_turn_says_so_and_closes_all_the_rest(no_room, look, shared_database):
    with TcpProxy(shared_database) as proxy:
        memory = Memory.open(database_url=proxy.url)
        memory.session(name="talk").begin_turn("one")
        dispatcher = memory._services.dispatcher
        memory.session(name="other").begin_turn("one").end("two")
        proxy.refuse()
        with pytest.raises(CaptureError):
            memory.close()
    assert dispatcher._closing
    assert not dispatcher._thread.is_alive()
