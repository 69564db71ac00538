"""Replay: what a model was sent, byte for byte, from any process, in windows that seldom move."""

from __future__ import annotations

import pytest

from afterturn import Memory, StoreUnavailableError
from afterturn.replay import beside
from support.tcp_proxy import TcpProxy
from support.waiting import eventually

ENVELOPE = 'Sender (untrusted metadata):\n```json\n{"id": "telegram:42"}\n```\n\n'


@pytest.fixture(autouse=True)
def probes_are_quick(monkeypatch):
    monkeypatch.setattr("afterturn.breaker._EVERY", 0.1)


def said(*pairs):
    return [{"role": role, "content": content} for role, content in pairs]


@pytest.fixture
def replays(agent_env):
    """Give a function that replays a session in a memory of its own, as another process would."""

    def replay(name="talk", *arguments, **options):
        with Memory.open() as other:
            return other.session(name=name).replay(*arguments, **options)

    return replay


def test_the_text_comes_first_and_memory_beside_it():
    assert beside("hello", "<m>x</m>") == "hello\n\n<m>x</m>"
    assert beside("hello", "") == "hello"
    assert beside("", "<m>x</m>") == "<m>x</m>"
    assert beside("a\x00b\ud800", "") == "ab\ufffd"


def test_what_was_sent_is_what_is_replayed(memory, look, replays):
    session = memory.session(name="talk")
    turn = session.begin_turn("hello")
    assert turn.sent == "hello"
    turn.end("hello you")
    look.put("talk", 1, context="likes tea")
    second = session.begin_turn("thirsty")
    assert second.sent == f"thirsty\n\n{second.context}"
    assert "likes tea" in second.sent
    assert session.replay() == said(("user", "hello"), ("assistant", "hello you"))
    second.end("tea?")
    expected = said(
        ("user", "hello"), ("assistant", "hello you"), ("user", second.sent), ("assistant", "tea?")
    )
    assert session.replay() == replays() == expected
    rows = look.rows("talk")
    assert [row["content"] for row in rows] == ["hello", "hello you", "thirsty", "tea?"]
    assert [row["details"] for row in rows] == [None, None, {"sent": second.sent}, None]


def test_what_honcho_never_sees_was_sent_all_the_same(memory, look, replays):
    session = memory.session(name="talk")
    reply = "[[reply_to_current]] It is <honcho-memory>old</honcho-memory> late."
    session.begin_turn(ENVELOPE + "what time is it?").end(reply)
    assert look.said("talk") == ["what time is it?", "It is late."]
    expected = said(("user", ENVELOPE + "what time is it?"), ("assistant", reply))
    assert session.replay() == replays() == expected
    user, assistant = look.rows("talk")
    assert user["details"] == {"sender": "telegram:42", "sent": ENVELOPE + "what time is it?"}
    assert assistant["details"] == {"sent": reply}


def test_history_shows_both(memory, look):
    session = memory.session(name="talk")
    session.begin_turn(ENVELOPE + "hello").end("hello you")
    first, second = session.history()
    assert (first.content, first.sent) == ("hello", ENVELOPE + "hello")
    assert (second.content, second.sent) == ("hello you", "hello you")
    assert session.history()[0].sent == first.sent  # from the cache


def test_noise_machines_and_local_text_were_sent_too(agent_env, replays):
    with Memory.open(memory_mode="local") as memory:
        session = memory.session(name="talk")
        session.begin_turn("HEARTBEAT_OK").end("HEARTBEAT_OK")
        session.begin_turn("tidy up", origin="cron").end("done")
        expected = said(
            ("user", "HEARTBEAT_OK"),
            ("assistant", "HEARTBEAT_OK"),
            ("user", "tidy up"),
            ("assistant", "done"),
        )
        assert session.replay() == replays() == expected


def test_a_long_message_is_one_again(memory, look, replays):
    session = memory.session(name="talk")
    text, reply = "One sentence. " * 5000, "Another. " * 9000
    session.begin_turn(text).end(reply)
    look.put("talk", 1, context="likes long messages")
    turn = session.begin_turn(ENVELOPE + text)
    turn.end(reply)
    assert len(look.rows("talk")) > 12
    expected = said(("user", text), ("assistant", reply), ("user", turn.sent), ("assistant", reply))
    assert session.replay() == replays() == expected
    kept = [row["details"] for row in look.rows("talk") if row["turn"] == 2 and row["details"]]
    assert [len(one.get("sent", "")) > 0 for one in kept] == [True, *[False] * (len(kept) - 1)]


def test_tools_are_left_out_unless_they_are_asked_for(memory):
    session = memory.session(name="talk")
    turn = session.begin_turn("weather?")
    turn.add("assistant", "let me see")
    turn.add("tool", "12 degrees")
    turn.end("cold")
    spoken = said(("user", "weather?"), ("assistant", "let me see"), ("assistant", "cold"))
    assert session.replay() == spoken
    assert session.replay(tools=True) == [
        *spoken[:2],
        {"role": "tool", "content": "12 degrees"},
        spoken[2],
    ]


def test_interrupted_turns_are_replayed_as_far_as_they_came(memory, look, replays):
    session = memory.session(name="talk")
    session.begin_turn("one").end("re one")
    look.put("talk", 1, context="likes tea")
    lost = session.begin_turn("two")
    turn = session.begin_turn("three")
    expected = said(("user", "one"), ("assistant", "re one"), ("user", lost.sent))
    assert session.replay() == expected
    turn.end("re three")
    assert replays() == [*expected, *said(("user", "three"), ("assistant", "re three"))]


def test_what_is_blank_is_left_out(memory):
    """A model's API refuses a message without a character to see, and with it the whole request."""
    session = memory.session(name="talk")
    session.begin_turn(" \n").end("did you say something?")
    session.begin_turn("no").end("")
    assert session.replay() == said(("assistant", "did you say something?"), ("user", "no"))


def test_an_empty_session_replays_nothing(memory):
    assert memory.session(name="talk").replay() == []


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(memory, limit):
    with pytest.raises(ValueError, match="at least 1"):
        memory.session(name="talk").replay(limit)


@pytest.mark.parametrize("limit", [1, 2, 5, 8, 100])
def test_a_window_is_whole_turns_and_moves_by_leaps(memory, limit):
    session = memory.session(name="talk")
    began = []
    for number in range(1, 25):
        turn = session.begin_turn(f"u{number}")
        turn.add("tool", "x")
        turn.end(f"a{number}")
        found = session.replay(limit)
        turns = len(found) // 2
        first = number - turns + 1
        assert found == [
            message
            for n in range(first, number + 1)
            for message in said(("user", f"u{n}"), ("assistant", f"a{n}"))
        ]
        assert min(limit - limit // 2 + 1 if limit > 1 else 1, number) <= turns <= limit
        began.append(first)
    assert began == sorted(began)
    assert len(set(began)) <= 1 + 24 // max(1, limit // 2)


def test_what_was_spooled_is_replayed_as_soon_as_postgres_is_back(agent_env, shared_database):
    with TcpProxy(shared_database) as proxy, Memory.open(database_url=proxy.url) as memory:
        session = memory.session(name="talk")
        session.begin_turn("one").end("re one")
        proxy.refuse()
        assert session.begin_turn(ENVELOPE + "two").end("re two").spooled
        with pytest.raises(StoreUnavailableError):
            session.replay()
        proxy.accept()
        eventually(lambda: not memory._services.capturer.away)
        assert session.replay() == said(
            ("user", "one"),
            ("assistant", "re one"),
            ("user", ENVELOPE + "two"),
            ("assistant", "re two"),
        )


def test_sessions_replay_what_is_their_own(memory):
    one, two = memory.session(name="one"), memory.session(name="two")
    one.begin_turn("of one").end("re one")
    two.begin_turn("of two").end("re two")
    assert one.replay() == said(("user", "of one"), ("assistant", "re one"))


def test_a_cache_of_histories_is_bounded_by_what_it_holds(open_memory):
    memory = open_memory(history_cache_bytes=40_000)
    session = memory.session(name="talk")
    for number in range(20):
        session.begin_turn(f"{number} " * 50).end("yes")
    assert len(session.history(40)) == 40
    assert 0 < memory._services.histories.counters().bytes <= 12_000
    assert len(session.history(40)) == 40


def test_what_was_remembered_of_one_is_in_no_request_of_another(memory, look):
    """As users report of others: one user's profile leaks to another in a shared chat."""
    session = memory.session(name="talk", user="ann")
    session.begin_turn("hello").end("hello ann")
    look.put("talk", 1, context="likes tea")
    hers = session.begin_turn(ENVELOPE + "thirsty")
    assert "likes tea" in hers.sent
    hers.end("tea?")
    session.begin_turn("me too", author="bob")
    assert "likes tea" not in str(session.replay())
    assert said(("user", ENVELOPE + "thirsty"))[0] in session.replay()
    session.begin_turn("two, please", author="ann")
    assert said(("user", hers.sent))[0] in session.replay()
