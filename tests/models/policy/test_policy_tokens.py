"""The estimate of tokens: near the true count in every script, never 0, and quick."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from afterturn_models.policy import tokens as module
from afterturn_models.policy.tokens import estimate_tokens, within

TEXTS = json.loads(Path(__file__).with_name("data").joinpath("o200k_texts.json").read_text("utf-8"))
LONGEST = 68  # characters that one token may be
WORDS = " a Zé'漢かア한яعकไ\uff0c。“…—<|[#:\n\r\t0129.,-_=/😀❤️👩‍💻─ﬁｱ¼\x00\ud800"
mixed = st.text(st.sampled_from(WORDS)) | st.text()


@pytest.mark.parametrize("category", TEXTS)
def test_whole_texts_are_within_a_tenth_of_their_true_count(category):
    true = estimated = 0
    for text in TEXTS[category]:
        count = estimate_tokens("\n".join(text["lines"]))
        assert abs(count - text["tokens"]) <= 0.1 * text["tokens"]
        true += text["tokens"]
        estimated += count
    assert abs(estimated - true) <= 0.06 * true


@given(mixed.filter(bool))
@example("ou" * 500)
@example("OU" * 500 + "ou" * 500)
@example("\u2500" * 500)
@example("-" * 19 + "\n" * 500)
def test_a_text_is_never_for_nothing(text):
    assert estimate_tokens(text) >= 1
    assert len(text) <= LONGEST * estimate_tokens(text)


def test_the_empty_text_is():
    assert estimate_tokens("") == 0


@given(mixed, mixed)
@example("-", "\n" * 20)
def test_lines_together_cost_no_more_than_each(text, more):
    joined = estimate_tokens(f"{text.strip()}\n{more.strip()}")
    assert joined <= estimate_tokens(text.strip()) + estimate_tokens(more.strip()) + 1


@given(mixed)
def test_a_price_kept_is_the_price(text):
    cold = estimate_tokens(text)
    assert estimate_tokens(text) == cold
    assert sum(map(module._price, module._PIECES.findall(text))) <= cold * 100


@given(mixed, st.integers(-2, 40))
def test_what_is_within_a_count_is_a_beginning_of_no_more(text, tokens):
    fits = within(text, tokens)
    assert estimate_tokens(text[:fits]) <= max(tokens, 0)
    if estimate_tokens(text) <= tokens:
        assert fits == len(text)


def test_more_of_ordinary_text_fits_into_more_tokens():
    text = " ".join("\n".join(one["lines"]) for texts in TEXTS.values() for one in texts)
    ends = [within(text, tokens) for tokens in range(0, 3000, 50)]
    assert ends == sorted(set(ends))


@pytest.mark.parametrize("text", ["a" * 10**6, " " * 10**6, "\n" * 10**6, "漢" * 10**6, "A" * 10**6, "-" * 10**6, "e\u0301" * 10**5, "\u200b" * 10**6, " \n" * 10**5, "'s" * 10**5])  # fmt: skip
def test_a_megabyte_of_anything_is_counted_in_one_pass(text):
    started = time.process_time()
    assert estimate_tokens(text) >= len(text) // LONGEST
    assert time.process_time() - started < 3.0


def test_prices_are_kept_to_a_bound(monkeypatch):
    monkeypatch.setattr(module, "_PRICES", module._Prices())
    monkeypatch.setattr(module, "_KEPT", 100)
    for number in range(1000):
        estimate_tokens(f"word{chr(97 + number % 26)}{chr(97 + number // 26)} {'x' * 40}")
    assert len(module._PRICES) <= 100
    assert all(len(piece) <= 32 for piece in module._PRICES)


def test_threads_agree_while_prices_are_thrown_away(monkeypatch):
    monkeypatch.setattr(module, "_PRICES", module._Prices())
    monkeypatch.setattr(module, "_KEPT", 50)
    text = "\n".join("\n".join(one["lines"]) for one in TEXTS["german"])
    expected = estimate_tokens(text)
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.extend(estimate_tokens(text) for _ in range(20)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 80
