"""The prompt: the block of what a turn recalls, and a header that is the same bytes each turn."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.main import get_command

from afterturn import ContextResult, Recall
from afterturn.cli.app import build
from afterturn.prompt import COMMANDS, FENCE, context_block, system_header
from afterturn_models.policy.ids import honcho_id
from afterturn_models.policy.tokens import estimate_tokens
from afterturn_models.prefetched import context_payload, decode, dialectic_payload
from afterturn_models.values import Mode

KNOWN = ContextResult(
    "Lives in Porto, and works nights. " * 90,
    tuple(f"Fact number {n} that was noted." for n in range(30)),
    "It is brief, and asks before it acts. " * 12,
    "They spoke of the harbour, and of a boat that was late. " * 20,
    ("is called Ada",),
)
ANSWER = "They asked for a window seat twice, and cannot sleep on planes. " * 9


def recall(*, dialectic=None, representation="", card=(), summary="", ai="", current=False):
    context = ContextResult(representation, tuple(card), ai, summary)
    return Recall(context, dialectic, 1, 1, current=current)


def popped():
    """Give the bytes that a worker's two results are in Redis."""
    results = context_payload(3, KNOWN, beside=600), dialectic_payload(3, ANSWER)
    return [json.dumps({"status": "SUCCESS", "result": result}).encode() for result in results]


def recalled(raw):
    """Make a recall of them as a session does."""
    context, answer = map(decode, raw)
    counts = {**context.counts, **answer.counts}
    return Recall(context.context, answer.dialectic, 3, 3, counts)


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


@pytest.mark.parametrize("nothing", [None, Recall(), recall(), recall(dialectic="", card=())])
def test_nothing_gives_nothing(nothing):
    assert context_block(nothing, 2000) == ""


def test_a_full_block_of_what_was_prefetched_holds_all_of_it():
    found = recalled(popped())
    block = context_block(found, 2000)
    assert 1500 < estimate_tokens(block) <= 2000
    assert block.startswith(f"<{FENCE}>\n")
    assert block.endswith(f"\n</{FENCE}>")
    for piece in (found.context.representation, found.context.summary, found.dialectic):
        assert piece in block
    assert all(f"\n- {fact}\n" in block for fact in found.context.card)


def test_a_warm_turn_counts_no_tokens(monkeypatch):
    raw = popped()
    expected = context_block(recalled(raw), 2000)

    def never(_text):
        raise AssertionError("counted in a turn")

    for place in ("budget.estimate_tokens", "block.estimate_tokens", "block.neutralise"):
        monkeypatch.setattr(f"afterturn_models.policy.{place}", never)
    assert context_block(recalled(raw), 2000) == expected


def test_counts_or_none_the_block_is_the_same():
    found = recalled(popped())
    bare = Recall(found.context, found.dialectic, 3, 3)
    assert context_block(bare, 2000) == context_block(found, 2000)


def test_what_was_recalled_for_the_current_message_is_said_to_be():
    before = context_block(recall(dialectic="D"), 500)
    now = context_block(recall(dialectic="D", current=True), 500)
    assert "said before this message" in before
    assert "said before this message" not in now


def test_a_megabyte_is_no_wait():
    huge = recall(representation="some words and 123 more, yes. " * 40_000)
    started = time.process_time()
    assert estimate_tokens(context_block(huge, 2000)) <= 2000
    assert time.process_time() - started < 1.0


@given(st.text(max_size=200), st.text(max_size=200), st.sampled_from(Mode))
def test_the_header_is_short_for_any_name_and_mode(key, agent, mode):
    header = system_header(honcho_id(key), honcho_id(agent), mode=mode)
    assert len(header) < 300
    assert header == system_header(honcho_id(key), honcho_id(agent), mode=mode)


def test_the_longest_names_leave_all_commands_standing():
    header = system_header("k" * 100, "A" * 100, mode=Mode.HYBRID)
    assert len(header) < 300
    assert header.startswith(f"You are {'A' * 100}.\n")
    assert header.endswith(" | ".join(COMMANDS))


def test_the_header_says_name_session_and_mode():
    header = system_header("chat", "Ada", mode=Mode.LOCAL)
    assert header.startswith("You are Ada.\n\n# Honcho memory (afterturn)\n")
    assert "Active. Session: chat. Mode: local." in header
    assert "You are" not in system_header("chat", "agent")
    assert "Mode: hybrid." in system_header("chat", "agent")


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_that_an_agent_may_cite_is_there(command):
    assert command in get_command(build()).commands


def test_the_header_is_the_same_bytes_in_every_turn(memory, look):
    session = memory.session(name="talk", agent="Ada")
    first = session.begin_turn("one")
    first.end("one")
    look.put("talk", 1, context="something new")
    second = session.begin_turn("two")
    assert second.context
    assert first.system == second.system == session.system
