"""The plan of a compaction: whole turns, head and tail left alone, never the same row twice."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterturn_models.policy.compaction import CompactionRules, Cut, Line, due, plan
from afterturn_models.values import Role

RULES = CompactionRules(
    window=1000, threshold=0.5, target=0.2, head_turns=1, tail_turns=2, summary_tokens=50
)
ROLES = [Role.USER, Role.ASSISTANT, Role.TOOL]


def lines(*turns, first=1, number=1):
    """Make rows of turns, each a list of tokens."""
    made = []
    for at, tokens in enumerate(turns, number):
        for n, each in enumerate(tokens):
            made.append(Line(first + len(made), at, ROLES[min(n, 2)], each))
    return made


@st.composite
def talks(draw):
    sizes = st.lists(st.integers(0, 400), min_size=1, max_size=6)
    return lines(*draw(st.lists(sizes, max_size=40)))


rules = st.builds(
    CompactionRules,
    window=st.integers(100, 5000),
    threshold=st.floats(0.05, 1),
    target=st.floats(0, 0.95),
    head_turns=st.integers(0, 4),
    tail_turns=st.integers(0, 6),
    summary_tokens=st.integers(0, 300),
)


def cut_again_and_again(talk, its, *, force=False):
    """Give every cut until there is none."""
    cuts, covered = [], 0
    while (cut := plan(talk, covered, its, force=force)) is not None:
        cuts.append(cut)
        covered = cut.covers_to
        assert len(cuts) <= len(talk)
    return cuts


@given(talks(), rules, st.booleans())
def test_a_cut_is_whole_turns_beyond_the_head_and_before_the_tail(talk, its, force):
    numbers = [number for number, _ in groupby(line.turn for line in talk)]
    for cut in cut_again_and_again(talk, its, force=force):
        inside = [line for line in talk if cut.covers_from <= line.index <= cut.covers_to]
        outside = [line for line in talk if not cut.covers_from <= line.index <= cut.covers_to]
        assert {line.turn for line in inside}.isdisjoint(line.turn for line in outside)
        assert all(line.turn > its.head_turns for line in inside)
        protected = numbers[len(numbers) - max(1, its.tail_turns) :]
        assert {line.turn for line in inside}.isdisjoint(protected)
        assert cut.tokens == sum(line.tokens for line in inside)


@given(talks(), rules)
def test_cuts_follow_each_other_and_leave_nothing_out_in_between(talk, its):
    cuts = cut_again_and_again(talk, its, force=True)
    for before, behind in pairwise(cuts):
        assert behind.covers_from == before.covers_to + 1
    covered = [line for cut in cuts for line in talk[cut.covers_from - 1 : cut.covers_to]]
    head = [line for line in talk if cuts and line.index < cuts[0].covers_from]
    rest = [line for line in talk if not cuts or line.index > cuts[-1].covers_to]
    assert [*head, *covered, *rest] == talk


@given(talks(), rules)
def test_after_a_cut_none_is_due_unless_what_is_protected_is_too_much(talk, its):
    total = sum(line.tokens for line in talk)
    cut = plan(talk, 0, its)
    if cut is None:
        return
    assert due(total, 0, its)
    covered = sum(line.tokens for line in talk if line.index <= cut.covers_to)
    numbers = [number for number, _ in groupby(line.turn for line in talk)]
    protected = numbers[len(numbers) - max(1, its.tail_turns) :]
    tail = sum(line.tokens for line in talk if line.turn in protected)
    if tail < its.due_at:
        assert not due(total, covered, its)
    assert plan(talk, cut.covers_to, its) is None


@given(talks(), rules, st.integers(0, 60))
def test_the_rows_before_the_last_cut_may_be_there_or_not(talk, its, covered):
    beyond = [line for line in talk if line.index > covered]
    for force in (False, True):
        assert plan(talk, covered, its, force=force) == plan(beyond, covered, its, force=force)


def test_due_is_what_no_summary_covers_against_a_share_of_the_window():
    assert due(500, 0, RULES)
    assert not due(499, 0, RULES)
    assert not due(900, 401, RULES)
    assert due(901, 401, RULES)
    assert not due(0, 0, replace(RULES, threshold=0.0))


def test_the_oldest_turns_go_and_the_tail_is_as_long_as_the_target_says():
    talk = lines([50, 50], *[[20, 20]] * 20)
    # The last two turns are protected; the target of 100 tokens has room for these two alone.
    assert plan(talk, 0, RULES) == Cut(3, 38, 720)
    assert plan(talk, 0, replace(RULES, target=0.5)) == Cut(3, 30, 560)


def test_not_due_is_no_cut_but_by_force():
    talk = lines(*[[20, 20]] * 10)
    assert plan(talk, 0, RULES) is None
    assert plan(talk, 0, RULES, force=True) == Cut(3, 16, 280)


def test_a_call_stays_with_its_answer_in_one_turn():
    talk = lines([10, 10], [30, 300, 300, 30], [10, 10], [10, 10])
    assert plan(talk, 0, RULES) == Cut(3, 6, 660)


@pytest.mark.parametrize("force", [False, True])
def test_one_giant_turn_is_the_last_and_stays(force):
    assert plan(lines([10, 9000, 10]), 0, RULES, force=force) is None


def test_a_giant_turn_in_the_tail_is_not_cut_and_nothing_small_is_cut_for_it():
    talk = lines([10, 10], [10, 10], [9000], [10, 10])
    assert due(sum(line.tokens for line in talk), 0, RULES)
    assert plan(talk, 0, RULES) is None
    assert plan(talk, 0, RULES, force=True) == Cut(3, 4, 20)


def test_nothing_is_nothing():
    assert plan([], 0, RULES, force=True) is None
