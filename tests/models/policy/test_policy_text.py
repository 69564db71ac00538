"""Cleaning: NULs and lone surrogates go, nothing else changes; what is blank is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterturn_models.policy.text import clean_text, is_blank, seen_end, seen_from

CLEAN = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"))
ANY = st.text(
    st.one_of(st.characters(exclude_categories=()), st.sampled_from("\x00\ud83d\ude00\udfff"))
)


@given(CLEAN)
def test_a_clean_text_is_returned_as_it_is(text):
    assert clean_text(text) is text


@given(ANY)
def test_what_comes_out_can_be_held_and_is_clean_already(text):
    cleaned = clean_text(text)
    assert "\x00" not in cleaned
    assert cleaned.encode("utf-8").decode("utf-8") == cleaned
    assert clean_text(cleaned) == cleaned


@given(CLEAN, CLEAN)
def test_only_what_cannot_be_held_changes(before, after):
    assert clean_text(f"{before}\x00{after}") == before + after
    assert clean_text(f"{before}\ud800{after}") == f"{before}\ufffd{after}"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a\x00b\x00", "ab"),
        ("\x00", ""),
        ("half \ud83d of it", "half \ufffd of it"),
        ("\udfff\udfff", "\ufffd\ufffd"),
        ("a pair \ud83d\ude00 of halves", "a pair \U0001f600 of halves"),
        ("parted by \ud83d\x00\ude00 a NUL", "parted by \U0001f600 a NUL"),
        ("\r\n\t\x07 and \ufffd\ufeff stay", "\r\n\t\x07 and \ufffd\ufeff stay"),
    ],
)
def test_cases(text, cleaned):
    assert clean_text(text) == cleaned


def test_halves_in_the_wrong_order_are_two_lone_ones():
    assert clean_text("\ude00\ud83d") == "\ufffd\ufffd"


@pytest.mark.parametrize(
    "text",
    ["", " ", "\r\n\t\v\f", "\u00a0\u2003\u3000\u2028\x85", "\u200b", "\ufeff\u200d\u2060 \u200c",
     "\u00ad", "\ufe0f", "\u3164", "\x00", "\u202e\u2066\u2069", "\U000e0061"],
)  # fmt: skip
def test_blank(text):
    assert is_blank(text)
    assert seen_end(text) == 0
    assert seen_from(text, 0, len(text)) == len(text)


@pytest.mark.parametrize("text", ["a", " . ", "\u200b\u4e2d", "\U0001f600\ufe0f", "\x07", "\u0301"])
def test_not_blank(text):
    assert not is_blank(text)


@given(st.text(st.sampled_from(" \n\u200b\u3164ab\u0301")))
def test_what_can_be_seen_stands_between_its_first_and_its_end(text):
    first, end = seen_from(text, 0, len(text)), seen_end(text)
    assert is_blank(text[:first])
    assert is_blank(text[end:])
    if not is_blank(text):
        assert not is_blank(text[first])
        assert not is_blank(text[end - 1])
