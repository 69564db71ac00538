"""Splitting: lossless, within the limit, at a reader's pauses, never inside a grapheme."""

from __future__ import annotations

import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from afterturn_models.policy.graphemes import is_boundary
from afterturn_models.policy.split import MAX_CHARACTERS, split_text
from afterturn_models.policy.text import is_blank

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
SCOTLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"
GRAPHEMES = {
    "combining marks": "e\u0301\u0327",
    "family": FAMILY,
    "variation selector": "\u2764\ufe0f",
    "heart on fire": "\u2764\ufe0f\u200d\U0001f525",
    "skin tone": "\U0001f44d\U0001f3fd",
    "skin tone and joiner": "\U0001f469\U0001f3fd\u200d\u2708\ufe0f",
    "flag": "\U0001f1e9\U0001f1ea",
    "flag of tags": SCOTLAND,
    "keycap": "5\ufe0f\u20e3",
    "jamo": "\u1112\u1161\u11ab",
    "syllable and final": "\uac00\u11a8",
    "end of line": "\r\n",
    "devanagari": "\u0915\u094d\u0937\u093f",
    "thai": "\u0e01\u0e33",
    "tamil": "\u0ba8\u0bbf",
    "arabic": "\u0628\u064e\u0651",
    "arabic number sign": "\u06005",
    "halfwidth kana": "\uff8a\uff9f",
    "letter": "a",
    "hanzi": "\u4e2d",
}
ALPHABET = st.sampled_from(
    "ab \n\t\r.!?\u3002\uff0c\"'`~)\u0301\u200d\ufe0f\u200b\U0001f469\U0001f3fd\U0001f1e9\u1100\u1161"
)
TEXTS = st.one_of(st.text(max_size=300), st.text(ALPHABET, max_size=300))
LIMITS = st.integers(1, 40)


@given(TEXTS, LIMITS)
def test_the_parts_are_the_text_and_fit(text, limit):
    parts = split_text(text, limit)
    assert "".join(parts) == text
    assert all(1 <= len(part) <= limit for part in parts)
    assert len(parts) <= max(1, len(text))


@given(st.lists(st.sampled_from(sorted(GRAPHEMES.values())), max_size=120), st.integers(8, 40))
def test_no_cut_is_inside_a_grapheme(graphemes, limit):
    ends = {0}
    for grapheme in graphemes:
        ends.add(max(ends) + len(grapheme))
    at = 0
    for part in split_text("".join(graphemes), limit):
        at += len(part)
        assert at in ends


@given(TEXTS, LIMITS)
def test_a_cut_inside_a_grapheme_only_where_it_is_longer_than_the_limit(text, limit):
    at = 0
    for part in split_text(text, limit):
        end = at + len(part)
        if not is_boundary(text, end, at):
            assert len(part) == limit
            assert not any(is_boundary(text, place, at) for place in range(at + 1, end + 1))
        at = end


@given(st.text(st.sampled_from("ab. \n"), min_size=1, max_size=400), st.integers(10, 40))
def test_no_part_is_blank_where_white_space_is_shorter_than_half_the_limit(text, limit):
    runs = "".join("#" if is_blank(char) else " " for char in text).split()
    assume(all(len(run) < limit // 2 for run in runs) and not is_blank(text))
    assert not any(map(is_blank, split_text(text, limit)))


@given(TEXTS, LIMITS)
def test_the_parts_of_parts_are_themselves(text, limit):
    for part in split_text(text, limit):
        assert split_text(part, limit) == [part]


@pytest.mark.parametrize("name", sorted(GRAPHEMES))
def test_a_grapheme_has_no_boundary_in_it_and_one_around_it(name):
    grapheme = GRAPHEMES[name]
    text = f"x{grapheme}y"
    inner = range(2, len(grapheme) + 1)
    assert [place for place in inner if is_boundary(text, place)] == []
    assert is_boundary(text, len(text) - 1)
    if name != "arabic number sign":
        assert is_boundary(text, 1)


def test_flags_are_counted_by_twos():
    flags = GRAPHEMES["flag"] * 5
    assert [at for at in range(11) if is_boundary(flags, at)] == [0, 2, 4, 6, 8, 10]
    assert split_text(flags, 5) == [flags[:4], flags[4:8], flags[8:]]


def test_a_grapheme_longer_than_the_limit_is_cut_as_the_last_resort():
    text = "ab" + "e" + "\u0301" * 9 + "z"
    assert split_text(text, 4) == ["ab", "e\u0301\u0301\u0301", "\u0301" * 4, "\u0301\u0301z"]
    assert split_text("\r\n", 1) == ["\r", "\n"]


def test_what_fits_is_one_part_and_nothing_is_none():
    assert split_text("") == []
    assert split_text("x" * MAX_CHARACTERS) == ["x" * MAX_CHARACTERS]
    assert [len(part) for part in split_text("x" * (MAX_CHARACTERS + 1))] == [MAX_CHARACTERS, 1]
    assert MAX_CHARACTERS == 25_000
    with pytest.raises(ValueError, match="at least 1"):
        split_text("x", 0)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("One two, three\n\n4\nfive six seven", ["One two, three\n\n", "4\nfive six seven"]),
        ("One two. Three\nfour five six seven", ["One two. Three\n", "four five six seven"]),
        ("One two three. Four five six seven", ["One two three. ", "Four five six seven"]),
        ('He said "yes." Then nothing more', ['He said "yes." ', "Then nothing more"]),
        ("One two three four five six seven", ["One two three four ", "five six seven"]),
        ("Abcdefghijklmnopqrstuvwxyz", ["Abcdefghijklmnopqrst", "uvwxyz"]),
        ("\u4e2d" * 12 + "\u3002" + "\u4e2d" * 12, ["\u4e2d" * 12 + "\u3002", "\u4e2d" * 12]),
        ("\u4e2d" * 12 + "\uff0c" + "\u4e2d" * 12, ["\u4e2d" * 12 + "\uff0c", "\u4e2d" * 12]),
        ("first line is it\r\nsecond line\r\n", ["first line is it\r\n", "second line\r\n"]),
    ],
)
def test_cuts_where_a_reader_pauses(text, parts):
    assert split_text(text, 20) == parts


def test_code_is_not_cut_where_prose_can_be():
    prose = "Some words of prose, a paragraph.\n\n"
    code = "```python\na = 1\n\nb = 2\n```\n"
    text = prose + code + "And the end."
    assert split_text(text, 56) == [prose, code + "And the end."]


def test_long_code_is_cut_between_its_lines():
    lines = [f"value_{number} = function(argument, other)  # a. b. c.\n" for number in range(9)]
    text = "~~~\n" + "".join(lines) + "~~~\n"
    parts = split_text(text, 120)
    assert len(parts) > 3
    assert all(part.endswith("\n") for part in parts)


def test_code_is_cut_at_an_early_line_rather_than_within_one():
    text = "```\nshort = 1\n" + "x = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]\n" * 2 + "```"
    assert split_text(text, 52)[0] == "```\nshort = 1\n"


@pytest.mark.parametrize("tail", [1, 7, 19])
def test_white_space_goes_with_its_neighbour(tail):
    assert split_text("x" * 20 + "\n" * tail, 20) == ["x" * 19, "x" + "\n" * tail]
    assert split_text(" " * tail + "x" * 20, 20) == [" " * tail + "x" * (20 - tail), "x" * tail]


def test_a_cut_leaves_no_more_white_space_than_the_next_part_can_hold():
    text = "x" * 11 + "\n" + " " * 27 + "b"
    assert split_text(text, 20) == [text[:20], text[20:]]


def test_white_space_longer_than_the_limit_leaves_no_other_way():
    parts = split_text("a" + " " * 100 + "b", 20)
    assert "".join(parts) == "a" + " " * 100 + "b"
    assert [is_blank(part) for part in parts] == [False, True, True, True, True, False]


PROSE = "The quick brown fox jumps over the lazy dog. " * 40 + "\n\n"
LONG = {
    "prose": PROSE,
    "one word": "x",
    "spaces": " ",
    "dots": ".",
    "indented": "\n   ",
    "code": "```\nx = 1\n```\n",
    "flags": GRAPHEMES["flag"],
    "family": FAMILY,
}


@pytest.mark.parametrize("name", sorted(LONG))
def test_five_million_characters_in_linear_time(name):
    unit = LONG[name]
    text = unit * (5_000_000 // len(unit))
    began = time.process_time()
    parts = split_text(text)
    assert time.process_time() - began < 3
    assert "".join(parts) == text
    assert max(map(len, parts)) <= MAX_CHARACTERS
