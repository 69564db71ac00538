"""What of a conversation goes into one request, whatever was said and however little room there is."""

from __future__ import annotations

import base64
import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afterturn.chat_turns import alternating
from afterturn.prompting import LEAST, Rows, prompt_messages
from afterturn_models.policy.fence import CLOSE
from afterturn_models.policy.text import is_blank
from afterturn_models.store.prompting import Summarised
from afterturn_models.token_counter import TokenCounter, Vocabulary
from support.long_talks import apart, captured, in_turns, request, spent, turns, unpaired

COUNTER = TokenCounter()
WORDS = st.one_of(
    st.text(max_size=120),
    st.builds(lambda text, times: text * times, st.text(max_size=12), st.integers(1, 400)),
)
CALL = st.tuples(
    st.sampled_from(["look", "weigh"]),
    st.sampled_from(["a", "b", "call_0", ""]),
    st.dictionaries(st.text(max_size=5), st.text(max_size=60), max_size=3),
    WORDS,
)
ROUNDS = st.lists(st.tuples(WORDS, st.lists(CALL, max_size=3)), max_size=3)
TALKS = st.lists(st.tuples(WORDS, ROUNDS, st.none() | WORDS), max_size=12)


def read(talk, *, covered_turns=(0, 0), summary="so it was", whole=True, counter=COUNTER):
    """Give rows as they would be read of a session whose turns in between are summarised."""
    rows = captured(talk, counter=counter)
    head = [row for row in rows if row.turn <= covered_turns[0]]
    covered = [row for row in rows if covered_turns[0] < row.turn <= covered_turns[1]]
    tail = [row for row in rows if row.turn > covered_turns[1]]
    if not covered:
        return Rows([], None, rows, 0, whole)
    found = Summarised(covered[0].index, covered[-1].index, summary)
    return Rows(head, found, tail, covered[-1].index, whole)


@given(TALKS, st.integers(LEAST, 4000), st.integers(0, 2), st.integers(0, 8), WORDS, st.booleans())
@settings(deadline=None, max_examples=60)
def test_it_is_within_any_budget_and_nothing_is_apart(talk, budget, head, covered, summary, whole):
    rows = read(talk, covered_turns=(head, covered), summary=summary, whole=whole)
    found = prompt_messages(rows, budget, COUNTER, speaker=None)
    assert spent(found) <= budget
    assert unpaired(found) == []
    assert in_turns(found)
    assert all(m["role"] in {"user", "assistant", "tool"} for m in found)
    assert not any(is_blank(m["content"] or "") for m in found if m["role"] == "user")
    asked = [row for row in rows.tail if row.role == "user" and not is_blank(row.content)]
    if asked:  # what the user said last is there, at least its beginning
        start = asked[-1].content[:3]
        assert any(m["role"] == "user" and start in m["content"] for m in apart(found))


@given(TALKS, st.integers(0, 2), st.integers(0, 8))
@settings(deadline=None, max_examples=60)
def test_where_there_is_room_all_of_it_is_there_in_order(talk, head, covered):
    rows = read(talk, covered_turns=(head, covered))
    found = prompt_messages(rows, 10_000_000, COUNTER, speaker=None)
    shown = [row.content for row in (*rows.head, *rows.tail) if not row.part]
    said = "\n\n".join(m["content"] for m in found if m["content"])
    at = 0
    for text in shown:
        if not is_blank(text):
            assert text in said[at:]
            at = said.index(text, at) + len(text)


PLAIN = st.builds(
    lambda role, text: {"role": role, "content": text},
    st.sampled_from(["user", "assistant"]),
    st.text(min_size=1, max_size=20),
)
CALLED = st.builds(
    lambda text, count: [
        {
            "role": "assistant",
            "content": text,
            "tool_calls": [{"id": str(n)} for n in range(count)],
        },
        *({"role": "tool", "tool_call_id": str(n), "content": f"{n}"} for n in range(count)),
    ],
    st.none() | st.text(min_size=1, max_size=20),
    st.integers(1, 3),
)


@given(st.lists(st.one_of(PLAIN.map(lambda one: [one]), CALLED), max_size=12))
def test_neighbours_of_one_side_are_one_and_no_word_is_lost(parts):
    messages = [message for part in parts for message in part]
    kept = copy.deepcopy(messages)
    found = alternating(messages)
    assert in_turns(found)
    assert unpaired(found) == []
    said = [m["content"] for m in messages if m["content"]]
    assert "\n\n".join(m["content"] for m in found if m["content"]) == "\n\n".join(said)
    calls = [m["tool_calls"] for m in messages if "tool_calls" in m]
    assert [m["tool_calls"] for m in found if "tool_calls" in m] == calls
    assert alternating(found) == found
    assert messages == kept


def test_the_note_goes_with_what_the_user_said_behind_it():
    talk = [("one", [], "1"), ("two", [], "2"), ("three", [], None), ("four", [], "4")]
    found = prompt_messages(read(talk, covered_turns=(1, 2)), 5000, COUNTER, speaker=None)
    assert [m["role"] for m in found] == ["user", "assistant", "user", "assistant"]
    assert found[2]["content"].endswith(f"so it was\n{CLOSE}\n\nthree\n\nfour")


def test_what_tools_said_last_stays_whole_in_half_of_the_room():
    calls = [(f"go {n}", [("", [("look", "c", {}, f"{n} " * 300)])], "done") for n in range(30)]
    found = prompt_messages(read(calls), 6000, COUNTER, speaker=None)
    answers = [m["content"] for m in found if m["role"] == "tool"]
    whole = [one for one in answers if "left out" not in one]
    assert whole == answers[-len(whole) :]
    assert 2 <= len(whole) < len(answers)
    assert spent(found) > 4500


def test_rounds_of_calls_are_as_they_were_even_with_ids_that_come_again():
    talk = [
        (
            "go",
            [
                ("", [("look", "call_0", {}, "1"), ("look", "call_1", {}, "2")]),
                ("and now", [("look", "call_0", {"n": 3}, "3")]),
            ],
            "done",
        )
    ]
    assert prompt_messages(read(talk), 5000, COUNTER, speaker=None) == request(talk)
    merged = [("go", [("", [("look", "call_0", {}, "1"), ("look", "call_0", {}, "2")])], "done")]
    found = prompt_messages(read(merged), 5000, COUNTER, speaker=None)
    assert unpaired(found) == []
    assert sum("tool_calls" in m for m in found) == 2


def test_what_tools_said_goes_before_what_people_said():
    talk = [("find it", [("", [("look", "a", {}, "row " * 4000)])], "found"), ("thanks", [], "ok")]
    found = prompt_messages(read(talk), 900, COUNTER, speaker=None)
    assert [m["content"] for m in found if m["role"] == "user"] == ["find it", "thanks"]
    assert "characters left out" in next(m["content"] for m in found if m["role"] == "tool")


def test_calls_of_the_last_turn_go_whole_the_oldest_first():
    calls = [("", [("look", f"c{n}", {"page": n}, "x " * 200)]) for n in range(40)]
    found = prompt_messages(read([("go", calls, "done")]), 1000, COUNTER, speaker=None)
    assert unpaired(found) == []
    assert found[-1]["content"] == "done"
    left = [m["tool_call_id"] for m in found if m["role"] == "tool"]
    assert left == [f"c{n}" for n in range(40 - len(left), 40)]
    assert 0 < len(left) < 40


def test_a_summary_without_end_leaves_room_for_the_last_turn():
    rows = read(turns(4000), covered_turns=(1, 5), summary="and so on, " * 5000)
    found = prompt_messages(rows, 1000, COUNTER, speaker=None)
    assert spent(found) <= 1000
    assert found[-1]["role"] == "assistant"
    assert len(found) > 4


@pytest.fixture
def exact(tmp_path):
    """Give an exact counter, by a vocabulary of single bytes: it counts more than the estimate."""
    path = tmp_path / "bytes.tiktoken"
    lines = [f"{base64.b64encode(bytes([n])).decode()} {n}" for n in range(256)]
    path.write_text("\n".join(lines))
    counter = TokenCounter(Vocabulary("o200k_base", path))
    assert counter.load()
    return counter


def test_rows_that_were_estimated_are_counted_anew_by_an_exact_counter(exact):
    pytest.importorskip("tiktoken")
    talk = turns(3000)
    for rows in (read(talk), read(talk, counter=exact)):
        for budget in (1000, 5000, 20_000):
            found = prompt_messages(rows, budget, exact, speaker=None)
            assert spent(found, exact.count) <= budget


def test_what_was_counted_exactly_at_capture_is_not_counted_again(exact, monkeypatch):
    rows = read([("a long story " * 500, [], "so")], counter=exact)
    counted = []
    real = exact.count
    monkeypatch.setattr(exact, "count", lambda text: counted.append(text) or real(text))
    prompt_messages(rows, 50_000, exact, speaker=None)
    assert counted == []
