"""The estimate of tokens: additive enough, never 0, and fair to every script."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterturn_models.policy.tokens import estimate_tokens


@given(st.text(min_size=1))
def test_a_text_is_never_for_nothing(text):
    assert estimate_tokens(text) >= 1


def test_the_empty_text_is():
    assert estimate_tokens("") == 0


@given(st.text(), st.text())
def test_more_text_is_never_fewer_tokens(text, more):
    assert estimate_tokens(text) <= estimate_tokens(text + more)


@pytest.mark.parametrize(
    ("text", "tokens"),  # what today's tokenizers (o200k, cl100k) count, give or take
    [
        ("The quick brown fox jumps over the lazy dog.", 10),
        ("Je m'appelle Zoë et j'habite à Genève.", 15),
        ("記憶は会話の後に保存されます。", 12),
        ("Память сохраняется после хода.", 12),
        ("def f(x):\n    return x ** 2\n", 13),
        ("1234567890", 4),
    ],
)
def test_the_estimate_is_of_the_right_size(text, tokens):
    assert tokens / 2 <= estimate_tokens(text) <= tokens * 2
