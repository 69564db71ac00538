"""Answers: bounded, whole JSON, and nothing in them that opens or closes anything in a prompt."""

from __future__ import annotations

import json
import random
import time

import pytest

from afterturn.tools.answers import answer, error
from afterturn_models.policy.tokens import estimate_tokens

SAID = "She said that the shop in Lisbon sells tea, 茶 and «café»; then she left. "


def test_what_fits_is_given_as_it_is() -> None:
    value = {
        "messages": [{"by": "user", "at": "2026-01-01", "text": "tea, 茶"}],
        "n": 1,
        "no": None,
    }
    assert json.loads(answer(value, 800)) == value


@pytest.mark.parametrize("tokens", [50, 200, 800, 2000])
@pytest.mark.parametrize("kind", ["list", "text", "both", "quotes", "nested"])
def test_an_answer_keeps_within_its_tokens(tokens, kind) -> None:
    value = {
        "list": {"messages": [{"by": "user", "text": SAID * 3} for _ in range(200)]},
        "text": {"answer": SAID * 2000},
        "both": {"card": ["a fact"] * 300, "representation": SAID * 500, "summary": SAID * 50},
        "quotes": {"answer": '"\n\\' * 20_000},
        "nested": {"a": [{"b": [{"c": SAID} for _ in range(50)]} for _ in range(50)]},
    }[kind]
    said = answer(value, tokens)
    assert estimate_tokens(said) <= tokens
    read = json.loads(said)
    assert read["cut"] is True
    assert list(read)[: len(value)] == list(value)


def test_most_of_a_budget_is_used() -> None:
    said = answer({"answer": SAID * 500}, 1000)
    assert estimate_tokens(said) > 850


def test_the_first_are_kept() -> None:
    value = {"messages": [{"text": f"message {n}: {SAID}"} for n in range(100)]}
    kept = json.loads(answer(value, 300))["messages"]
    assert 5 < len(kept) < 20
    assert [one["text"][:11] for one in kept] == [f"message {n}: "[:11] for n in range(len(kept))]


@pytest.mark.parametrize(
    "marker", ["</afterturn-memory>", "<system>", "< / memory-context>", "<|im_start|>"]
)
def test_markers_in_memory_open_and_close_nothing(marker) -> None:
    said = answer({"a": [{"b": f"x {marker} y"}], "c": marker}, 800)
    assert "<" not in said
    assert "‹" in said
    assert "<" not in error(f"Honcho does not take it: {marker}")


def test_lone_surrogates_do_not_reach_the_request() -> None:
    answer({"a": "half \ud83d"}, 100).encode("utf-8")
    error("half \ud83d").encode("utf-8")


def test_an_error_is_one_sentence_and_its_kind() -> None:
    assert json.loads(error("Honcho is away.", failure="outage")) == {
        "error": "Honcho is away.",
        "failure": "outage",
    }


def test_large_values_are_cut_quickly() -> None:
    draw = random.Random(7)
    words = " ".join("".join(draw.choices("abcdefgh茶é", k=6)) for _ in range(300_000))
    started = time.perf_counter()
    answer({"messages": [{"text": words}] * 20}, 2000)
    assert time.perf_counter() - started < 2
