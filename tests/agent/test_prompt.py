"""The prompt block: fenced, harmless, within its budget, the same bytes where it must be."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterturn import ContextResult, Recall
from afterturn.prompt import FENCE, context_block, neutralise, system_header
from afterturn_models.policy.ids import honcho_id
from afterturn_models.policy.tokens import estimate_tokens

# Pieces that together make fences, role markers and what hides them.
PIECES = st.sampled_from(
    [
        "<", ">", "/", "</", "<|", "|>", FENCE, FENCE.upper(), "memory-context", "honcho-memory",
        "system", "assistant", "user", " ", "\n", "\t", "\u200b", "\u00a0", "\ufeff", "im_start",
        "text", "\x00", "\ud800", "\U0001f600", "é",
    ]
)  # fmt: skip
HOSTILE = st.one_of(st.lists(PIECES, max_size=30).map("".join), st.text(max_size=60))


def recall(*, dialectic=None, representation="", card=(), summary="", ai=""):
    context = ContextResult(representation, tuple(card), ai, summary)
    return Recall(context, dialectic, 1, 1)


def bare(text):
    """Give `text` as a reader sees it: without white space and characters of no width."""
    return "".join(c for c in text.lower() if not c.isspace() and c not in "\u200b\ufeff\u00a0")


@given(HOSTILE, HOSTILE, st.lists(HOSTILE, max_size=3), HOSTILE, HOSTILE)
def test_nothing_recalled_closes_the_fence(dialectic, representation, card, summary, ai):
    block = context_block(
        recall(
            dialectic=dialectic, representation=representation, card=card, summary=summary, ai=ai
        ),
        2000,
    )
    if block:
        assert block.startswith(f"<{FENCE}>\n")
        assert block.endswith(f"\n</{FENCE}>")
        inside = bare(block[len(FENCE) + 2 : -len(FENCE) - 3])
        for name in (FENCE, "memory-context", "honcho-memory", "system", "assistant", "user"):
            assert f"<{name}>" not in inside
            assert f"</{name}>" not in inside
        assert "<|" not in inside
        block.encode()  # what a model's API is sent
        assert "\x00" not in block


@given(
    st.integers(100, 900),
    st.text(max_size=3000),
    st.text(max_size=3000),
    st.lists(st.text(max_size=300), max_size=10),
    st.text(max_size=3000),
)
def test_the_budget_holds(tokens, dialectic, representation, card, summary):
    block = context_block(
        recall(
            dialectic=dialectic,
            representation=representation,
            card=card,
            summary=summary,
            ai=representation,
        ),
        tokens,
    )
    assert estimate_tokens(block) <= tokens


@given(HOSTILE)
def test_to_neutralise_twice_is_to_do_it_once(text):
    assert neutralise(neutralise(text)) == neutralise(text)


@pytest.mark.parametrize(
    "text", ["a < b", "<b>bold</b>", "x <- y", "List<String>", "<users>", "<systematic>", "1 <2"]
)
def test_what_is_no_marker_stays_as_it_is(text):
    assert neutralise(text) == text


@pytest.mark.parametrize("nothing", [None, Recall(), recall(), recall(dialectic="", card=())])
def test_nothing_gives_nothing(nothing):
    assert context_block(nothing, 2000) == ""


def test_all_of_it_in_the_order_in_which_it_is_read():
    block = context_block(
        recall(dialectic="D", representation="R", card=["C1", "C2"], summary="S", ai="A"), 2000
    )
    places = [block.index(text) for text in ("D\n", "R\n", "- C1\n- C2", "S\n", "A\n")]
    assert places == sorted(places)
    assert "not an instruction" in block


def test_what_is_cut_first_is_what_is_worth_least():
    long = "word " * 400
    kept = []
    for tokens in (200, 600, 1100, 1500, 2500):
        block = context_block(
            recall(dialectic=long, representation=long, card=[long], summary=long, ai=long), tokens
        )
        titles = [line[3:] for line in block.splitlines() if line.startswith("## ")]
        kept.append(set(titles))
    assert all(fewer <= more for fewer, more in pairwise(kept))
    assert kept[0] == {"What bears on the last message"}
    assert "Known facts" in kept[1]
    assert "About yourself" not in kept[3]
    assert len(kept[-1]) == 5


def test_a_cut_section_says_so():
    block = context_block(recall(dialectic="one two three. " * 500), 200)
    assert "…" in block


def test_a_megabyte_is_no_wait():
    huge = recall(representation="some words and 123 more, yes. " * 40_000)
    started = time.process_time()
    assert estimate_tokens(context_block(huge, 2000)) <= 2000
    assert time.process_time() - started < 1.0


@given(st.text(max_size=200), st.text(max_size=200))
def test_the_header_is_short_for_any_name(key, agent):
    header = system_header(honcho_id(key), honcho_id(agent))
    assert len(header) < 300
    assert header == system_header(honcho_id(key), honcho_id(agent))


def test_the_header_names_an_agent_that_has_a_name():
    assert system_header("chat", "Ada").startswith("You are Ada.\n")
    assert "You are" not in system_header("chat", "agent")
    assert "Session: chat." in system_header("chat", "agent")


def test_the_header_is_the_same_bytes_in_every_turn(memory, look):
    session = memory.session(name="talk", agent="Ada")
    first = session.begin_turn("one")
    first.end("one")
    look.put("talk", 1, context="something new")
    second = session.begin_turn("two")
    assert second.context
    assert first.system == second.system == session.system
