"""Special tokens: none is left, what is read stays the same, and the rest is untouched."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterturn_models.policy.special_tokens import KNOWN, ZWNJ, neutralise
from afterturn_models.policy.split import MAX_CHARACTERS, split_text

TOKEN = re.compile(r"<\|[^\s<>|]+\|>")
PIECES = st.sampled_from([*KNOWN, "<", "|", ">", "<|", "|>", "a", " ", "\n", "im_start", ZWNJ])
TEXTS = st.one_of(st.text(), st.lists(PIECES).map("".join))


@pytest.mark.parametrize("token", [*KNOWN, "<|im_start|>", "<|reserved_200000|>", "<|ende|>"])
def test_a_token_is_neutralised_wherever_it_stands(token):
    text, changed = neutralise(f"see {token}{token}")
    assert changed
    assert token not in text
    assert text.replace(ZWNJ, "") == f"see {token}{token}"


@pytest.mark.parametrize(
    "text", ["", "f <| x |> g", "<||>", "<|a", "a|>", "<|a b|>", "<|a\n|>", "a <b> | c", f"<{ZWNJ}|a|>"]
)  # fmt: skip
def test_what_is_no_token_stays(text):
    assert neutralise(text) == (text, False)


def test_tokens_within_tokens():
    assert neutralise("<|<|endoftext|>|>")[0] == f"<|<{ZWNJ}|endoftext|>|>"


@given(TEXTS)
def test_no_token_is_left_and_it_reads_the_same(text):
    safe, changed = neutralise(text)
    assert TOKEN.search(safe) is None
    assert not any(token in safe for token in KNOWN)
    assert safe.replace(ZWNJ, "") == text.replace(ZWNJ, "")
    assert changed == (safe != text) == (TOKEN.search(text) is not None)
    assert len(safe) == len(text) + len(TOKEN.findall(text))


@given(TEXTS)
def test_twice_is_once(text):
    safe, _ = neutralise(text)
    assert neutralise(safe) == (safe, False)


@given(TEXTS, st.integers(1, 12))
def test_no_cut_puts_a_token_together(text, limit):
    safe, _ = neutralise(text)
    assert not any(neutralise(part)[1] for part in split_text(safe, limit))


def test_a_message_at_the_limit_is_neutralised_before_it_is_split():
    text = ("x" * 37 + "<|endoftext|>") * (MAX_CHARACTERS // 50)
    assert len(text) == MAX_CHARACTERS
    safe, _ = neutralise(text)
    assert len(safe) > MAX_CHARACTERS
    parts = split_text(safe)
    assert max(map(len, parts)) <= MAX_CHARACTERS
    assert not any("<|endoftext|>" in part for part in parts)


def test_many_openings_are_read_once():
    text, changed = neutralise("<|" * 500_000)
    assert not changed
    assert len(text) == 1_000_000
