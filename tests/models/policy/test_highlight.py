"""Highlights: the part of a message that was found, and where its words stand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterturn_models.policy.highlight import passage
from afterturn_models.policy.search_query import QueryError, parse_query


def marked(text, query, width=40):
    shown = passage(text, parse_query(query).phrases, width=width)
    return shown.text, [shown.text[a:b] for a, b in shown.marks]


@pytest.mark.parametrize(
    ("text", "query", "marks"),
    [
        ("The Keys, the keys!", "keys", ["Keys", "keys"]),
        ("monkeys have keys", "keys", ["keys"]),
        ("on the shelf", '"the shelf"', ["the shelf"]),
        ("see foo_bar.py", "foo_bar.py", ["foo_bar.py"]),
        ("東京都に住む", "東京", ["東京"]),
        ("nothing like it", "keys", []),
    ],
)
def test_words_are_marked_whole(text, query, marks):
    assert marked(text, query) == (text, marks)


def test_a_long_message_is_cut_around_what_was_found_between_words():
    text = "word " * 200 + "the keys are here " + "word " * 200
    shown, marks = marked(text, "keys", width=60)
    assert marks == ["keys"]
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert len(shown) <= 62
    assert set(shown.strip("…").split()) <= {"word", "the", "keys", "are", "here"}


def test_what_is_found_is_shown_whole_even_where_it_is_longer():
    shown, marks = marked("x " * 50 + "a" * 80, "a" * 80, width=20)
    assert marks == ["a" * 80]
    assert shown == "…" + "a" * 80 or shown.endswith("a" * 80)


@given(st.text(max_size=200), st.text(max_size=10), st.integers(1, 50))
def test_marks_lie_within_and_what_is_shown_is_of_the_text(text, said, width):
    try:
        phrases = parse_query(said).phrases
    except QueryError:
        return
    shown = passage(text, phrases, width=width)
    assert all(0 <= a < b <= len(shown.text) for a, b in shown.marks)
    inner = shown.text
    if inner not in text:
        inner = inner.removeprefix("…")
    if inner not in text:
        inner = inner.removesuffix("…")
    assert inner in text
