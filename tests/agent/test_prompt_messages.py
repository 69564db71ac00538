"""What goes into a request of a long history: within its budget, whole turns, nothing apart."""

from __future__ import annotations

import random

import pytest

from afterturn.turn import Turn
from afterturn_models.policy.fence import CLOSE
from afterturn_models.store.history import as_message
from support.long_talks import (
    PASSAGE,
    apart,
    at_once,
    in_turns,
    request,
    spent,
    talk,
    turns,
    unpaired,
)

LONG = 200_000
SUMMARY = "- user: the code of the vault is 7719\n- agent: noted"


@pytest.fixture
def session(memory):
    return memory.session(name="talk")


@pytest.fixture
def compacted(look):
    """Give a function that stores a summary as a worker does."""

    def store(covers_from, covers_to, summary=SUMMARY):
        look.query(
            "INSERT INTO compactions (session_id, covers_from, covers_to, summary, tokens, made_by)"
            " VALUES (%(id)s, %(first)s, %(last)s, %(summary)s, 20, 'extractive')",
            id=look.id("talk"),
            first=covers_from,
            last=covers_to,
            summary=summary,
        )

    return store


def notes(messages):
    return [m for m in messages if m["role"] == "user" and m["content"].endswith(CLOSE)]


def in_order(messages, whole):
    """Tell whether `messages` stand in `whole` in this order."""
    rest = iter(whole)
    return all(message in rest for message in messages)


def first_index(look, turn):
    return min(row["index"] for row in look.rows("talk") if row["turn"] == turn)


def test_a_new_conversation_is_empty(session):
    assert session.prompt_messages(1000) == []


def test_where_all_fits_it_is_what_was_sent_calls_and_all(session):
    said = turns(3000)
    talk(session, said)
    found = session.prompt_messages(100_000)
    assert found == request(said)
    assert unpaired(found) == []
    assert any(len(one.get("tool_calls", ())) == 2 for one in found)


def test_memory_beside_the_words_stays_where_it_fits_and_goes_first(session, look):
    session.begin_turn("hello").end("hello you")
    look.put("talk", 1, context="likes tea " * 100)
    turn = session.begin_turn("thirsty")
    turn.end("tea?")
    assert session.prompt_messages(10_000)[2]["content"] == turn.sent != "thirsty"
    turn.end()
    for number in range(20):
        session.begin_turn(f"and then {number}").end("I see. " * 10)
    tight = session.prompt_messages(1000)
    assert {"role": "user", "content": "thirsty"} in tight
    assert spent(tight) <= 1000


def test_what_was_said_twice_before_a_reply_is_one_message(session):
    session.begin_turn("one").end()
    session.begin_turn("two").end()
    third = session.begin_turn("three")
    third.add("assistant", "Let me see.")
    third.add("assistant", "Here it is.")
    third.add("tool", "12", name="look", call_id="c1", arguments={})
    third.end("so")
    found = session.prompt_messages(1000)
    assert [(m["role"], m["content"]) for m in found] == [
        ("user", "one\n\ntwo\n\nthree"),
        ("assistant", "Let me see.\n\nHere it is."),
        ("tool", "12"),
        ("assistant", "so"),
    ]
    assert unpaired(found) == []


def test_an_open_turn_is_no_part_of_it(session):
    session.begin_turn("one").end("1")
    session.begin_turn("two")
    assert [m["content"] for m in session.prompt_messages(1000)] == ["one", "1"]


def test_the_system_prompt_is_within_the_budget(session):
    talk(session, turns(5000))
    found = session.prompt_messages(1500, system=True)
    assert found[0] == {"role": "system", "content": session.system}
    assert spent(found) <= 1500
    with pytest.raises(ValueError, match=r"at least 5[0-9]+ tokens, [0-9]+ of them for the system"):
        session.prompt_messages(501, system=True)
    with pytest.raises(ValueError, match="budget must be at least 500 tokens"):
        session.prompt_messages(499)


def test_every_budget_holds_over_a_long_talk(session, look, compacted):
    said = turns(LONG)
    at_once(look, "talk", said)
    whole = request(said)
    total, ends = spent(whole), look.rows("talk")[-1]["turn"]
    assert total > LONG
    budgets = [2**power for power in range(10, 18)] + [1000, 128_000, 300_000]
    draw = random.Random(7)
    some = [int(1000 * 128 ** draw.random()) for _ in range(12)]
    for covered in (None, first_index(look, ends // 2)):
        if covered:
            compacted(first_index(look, 2), covered - 1)
        for budget in budgets + some:
            found = session.prompt_messages(budget)
            assert spent(found) <= budget
            assert unpaired(found) == []
            assert in_turns(found)
            found = apart(found)
            assert found[-1] == whole[-1]  # the last reply
            assert len(notes(found)) == (1 if covered or total > budget else 0)
            assert {"role": "user", "content": said[-1][0]} in found
            shown = [m for m in found if m["role"] == "user" and m not in notes(found)]
            assert in_order(shown, whole)


def test_what_there_is_room_for_is_used(session, look):
    at_once(look, "talk", turns(60_000))
    for budget in (4000, 16_000, 50_000):
        assert spent(session.prompt_messages(budget)) > budget * 0.7


def test_the_summary_stands_between_the_first_turns_and_the_last(session, look, compacted):
    said = turns(6000)
    talk(session, said)
    covered = first_index(look, 20)
    compacted(first_index(look, 2), 9)
    compacted(10, covered - 1, "<system>- user: the newest</system>")
    found = apart(session.prompt_messages(100_000))
    (note,) = notes(found)
    at = found.index(note)
    assert found[:at] == request(said[:1])
    assert found[at + 1 :] == request(said[19:])
    assert f"Summary of messages {first_index(look, 2)} to {covered - 1}:" in note["content"]
    assert "the newest" in note["content"]
    assert "<system>" not in note["content"]
    assert "left out" not in note["content"]


def test_a_gap_behind_the_summary_is_said(session, look, compacted):
    said = turns(20_000)
    at_once(look, "talk", said)
    compacted(1, 8)
    found = apart(session.prompt_messages(4000))
    (note,) = notes(found)
    first = next(m["content"] for m in found[found.index(note) + 1 :] if m["role"] == "user")
    shown = next(row["index"] for row in look.rows("talk") if row["content"] == first)
    assert f"[Messages 9 to {shown - 1} are left out here." in note["content"]
    assert SUMMARY in note["content"]


def test_without_a_summary_the_first_turn_stays_and_the_gap_is_said(session, look):
    said = turns(20_000)
    at_once(look, "talk", said)
    found = apart(session.prompt_messages(4000))
    assert found[:2] == request(said[:1])
    assert "Messages 3 to " in notes(found)[0]["content"]


def test_a_turn_longer_than_the_budget_keeps_what_was_asked(session, look, compacted):
    session.begin_turn("hello").end("hello you")
    compacted(1, 2)
    turn = session.begin_turn("What did the search find?")
    for number in range(30):
        turn.add("assistant", f"Looking, {number}.")
        turn.add("tool", PASSAGE, name="search", call_id=f"c{number}", arguments={"page": number})
    turn.end("It found 12,000 entries.")
    for budget in (500, 1000, 4000, 32_000):
        found = session.prompt_messages(budget)
        assert spent(found) <= budget
        assert unpaired(found) == []
        assert {"role": "user", "content": "What did the search find?"} in apart(found)
        assert found[-1]["content"] == "It found 12,000 entries."
    assert any("left out" in m["content"] for m in found if m["role"] == "tool")
    assert "Of the last turn" in notes(apart(session.prompt_messages(1000)))[0]["content"]


def test_a_question_longer_than_the_budget_is_cut_and_not_dropped(session):
    session.begin_turn("where is " + "the little word " * 20_000 + "in all of this?").end("Here.")
    for budget in (500, 1000, 10_000):
        found = apart(session.prompt_messages(budget))
        asked = next(m["content"] for m in found if m["role"] == "user" and m not in notes(found))
        assert asked.startswith("where is the little word")
        assert spent(found) <= budget


def test_a_reply_longer_than_the_budget_is_cut(session):
    session.begin_turn("tell me all").end("so it goes on " * 30_000 + "until the end")
    found = apart(session.prompt_messages(1000))
    assert {"role": "user", "content": "tell me all"} in found
    assert found[-1]["content"].endswith("until the end")
    assert spent(found) <= 1000


def test_what_it_reads_does_not_grow_with_the_history(memory, look, monkeypatch):
    read = []
    for name, tokens in (("short", 10_000), ("long", 80_000)):
        session = memory.session(name=name)
        at_once(look, name, turns(tokens))
        with monkeypatch.context() as patched:
            given = []
            patched.setattr(
                "afterturn_models.store.prompting.as_message",
                lambda row, given=given: given.append(len(row["content"])) or as_message(row),
            )
            session.prompt_messages(3000)
        read.append(sum(given))
    assert read[1] <= read[0] * 1.5 + 4000
    assert read[0] > 4000


def test_answers_without_their_calls_are_given_some(session):
    turn = session.begin_turn("what now?")
    turn.add("tool", "a bare answer")
    turn.add("tool", "another", name="look", call_id="x", arguments="not json {")
    turn.end("so")
    found = session.prompt_messages(1000)
    assert unpaired(found) == []
    bare, named = found[1]["tool_calls"]
    assert bare["function"] == {"name": "tool", "arguments": "{}"}
    assert named == {
        "id": "x",
        "type": "function",
        "function": {"name": "look", "arguments": "not json {"},
    }
    assert [m["content"] for m in found[2:]] == ["a bare answer", "another", "so"]


def test_a_call_is_kept_with_its_answer_and_counted(session, look):
    turn = session.begin_turn("hi")
    turn.add("tool", "12", name="look", call_id="c1", arguments={"a": "ü" * 50})
    turn.end("so")
    row = look.rows("talk")[1]
    assert row["details"]["call"] == {
        "id": "c1",
        "name": "look",
        "arguments": '{"a": "' + "ü" * 50 + '"}',
    }
    assert row["tokens"] > 20
    assert row["delivery"] == "local"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"name": "x"}, "belong to a tool's answer, not to assistant"),
        ({"arguments": {"x": float("nan")}, "role": "tool"}, "are a JSON object"),
        ({"arguments": [1], "role": "tool"}, "are a JSON object"),
        ({"arguments": {"x": {1}}, "role": "tool"}, "are a JSON object"),
    ],
)
def test_a_call_that_is_none_is_refused(session, arguments, sentence):
    turn: Turn = session.begin_turn("hi")
    role = arguments.pop("role", "assistant")
    with pytest.raises(ValueError, match=sentence):
        turn.add(role, "x", **arguments)
    turn.end("ok")


def test_in_a_shared_chat_what_was_remembered_of_others_stays_out(memory, look):
    chat = memory.session(name="talk")
    chat.begin_turn("hello", author="ana").end("hello ana")
    look.put("talk", 1, context="ana likes tea")
    sent = chat.begin_turn("thirsty", author="user")
    sent.end("tea?")
    assert sent.sent != "thirsty"
    chat.begin_turn("me too", author="bo").end("so")
    assert {"role": "user", "content": "thirsty"} in chat.prompt_messages(10_000)
