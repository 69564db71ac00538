"""The dialectic's questions: within Honcho's limit, nothing that it refuses, and when to stop."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterturn_models.policy.dialectic import (
    MAX_QUERY,
    bearing_query,
    fitting,
    head,
    next_query,
    opening_query,
    shortened,
    suffices,
    tail,
)

FLAGS = "🇩🇪🇫🇷" * 4000
FAMILY = "👩‍👩‍👧" * 2000
LIMITS = st.integers(100, MAX_QUERY)


@pytest.mark.parametrize(
    "said", ["", "x" * 50_000, "😀" * 50_000, FLAGS, FAMILY, "<|endoftext|>" * 999]
)
@pytest.mark.parametrize("before", [None, "", "y" * 50_000, FAMILY])
@pytest.mark.parametrize("most", [100, 1000, MAX_QUERY, 50_000])
def test_a_question_fits_with_our_own_words_in_it(said, before, most):
    query = bearing_query(said, most=most, before=before)
    assert 0 < len(query) <= min(most, MAX_QUERY)
    assert "<|endoftext|>" not in query


@given(st.text(), st.none() | st.text(), LIMITS)
def test_any_question_fits(said, before, most):
    assert 0 < len(bearing_query(said, most=most, before=before)) <= most
    assert len(fitting(said, most=most)) <= most
    assert len(next_query(fitting(said, most=most), [said, before or ""], most=most)) <= most


def test_what_was_just_said_is_in_the_question_from_its_beginning():
    assert bearing_query("where do I live?").endswith("\n\nwhere do I live?")
    assert "first words" in bearing_query("first words " + "x" * 20_000)


def test_a_rewritten_question_carries_the_end_of_what_was_before():
    before = "long ago. " * 2000 + "Which keys, the red ones?"
    query = bearing_query("and the blue ones?", before=before)
    assert "Which keys, the red ones?" in query
    assert query.endswith("What they just said:\nand the blue ones?")
    assert query.index("red ones?") < query.index("blue ones?")


def test_what_is_said_now_comes_before_what_was():
    query = bearing_query("now " * 5000, before="before")
    assert "before it" not in query
    assert query.rstrip().endswith("now now")


def test_before_the_first_turn_nothing_of_a_conversation_is_asked():
    assert "begins" in opening_query()
    assert len(opening_query(most=100)) == 100


def test_what_a_tool_asks_is_cut_and_mended():
    assert fitting("where?") == "where?"
    assert fitting("a\x00b\ud83d\ude00\ud800") == "ab😀\ufffd"
    assert len(fitting("x" * 20_000)) == MAX_QUERY
    assert fitting("<|endoftext|>") != "<|endoftext|>"


def test_a_pass_builds_on_those_before_it():
    assert next_query("what?", []) == "what?"
    second = next_query("what?", ["tea"])
    assert second.endswith("The question:\nwhat?")
    assert "tea" in second
    third = next_query("what?", ["tea", "coffee"])
    assert third.index("tea") < third.index("coffee") < third.index("what?")
    assert third != second


def test_long_answers_leave_the_question_its_room():
    question = "why? " * 2000
    query = next_query(question, ["a" * 20_000, "b" * 20_000])
    assert len(query) <= MAX_QUERY
    assert query.count("why?") > 900
    assert "a" * 2000 in query
    assert "b" * 2000 in query


@pytest.mark.parametrize(
    ("answer", "enough"),
    [
        ("", False), ("short", False), ("x" * 299, False), ("x" * 300, True),
        ("- " + "x" * 60 + "\n- " + "y" * 60, True), ("## A\n" + "x" * 100, True),
        ("1. " + "x" * 50 + "\n2. " + "y" * 50, True), ("- " + "x" * 120, False),
        ("\n".join(["x" * 40] * 3), False), (" " * 400, False),
    ],
)  # fmt: skip
def test_when_an_answer_is_enough(answer, enough):
    assert suffices(answer) is enough


def test_what_fills_the_place_that_it_goes_to_is_enough():
    assert suffices("x" * 60, most=50)
    assert not suffices("x" * 49, most=50)
    assert not suffices("x" * 250, most=600)


def test_an_answer_is_cut_after_a_word():
    assert shortened("  short ", 50) == "short"
    assert shortened("one two three four five six seven", 20) == "one two three four…"
    assert shortened("x" * 100, 50) == "x" * 49 + "…"


@given(st.text(), st.integers(50, 1000))
def test_a_shortened_answer_fits(answer, most):
    assert len(shortened(answer, most)) <= most


@pytest.mark.parametrize("text", [FLAGS, FAMILY, "e\u0301" * 500, "a\r\nb" * 300])
@pytest.mark.parametrize("most", range(20, 31))
def test_no_character_that_is_seen_is_cut_in_two(text, most):
    whole = head(text, 1000)
    unit = {FLAGS: "🇩🇪", FAMILY: "👩‍👩‍👧"}.get(text)
    first, last = head(text, most), tail(text, most)
    assert len(first) <= most
    assert len(last) <= most
    assert text.startswith(first)
    assert text.endswith(last)
    assert whole
    if unit:
        assert len(first) % len(unit) == len(last) % len(unit) == 0
    assert not last.startswith(("\u0301", "\n", "\u200d"))
