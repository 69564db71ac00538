"""Cadences: independent, the first turn always, wider after answers with nothing to say."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterturn_models.policy.cadence import NEVER, Cadence, Fetched, widened


def fetches(cadence: Cadence, turns: int, *, prewarmed: bool = False, empty: bool = False):
    """Play turns, each fetch succeeding; gives the turns of each kind."""
    context = dialectic = 0 if prewarmed else NEVER
    streak, contexts, dialectics = 0, [], []
    for turn in range(1, turns + 1):
        last = Fetched(turn, context, dialectic, streak)
        if cadence.context_due(last):
            context = turn
            contexts.append(turn)
        if cadence.dialectic_due(last):
            dialectic, streak = turn, streak + empty
            dialectics.append(turn)
    return contexts, dialectics


def test_by_default_both_are_fetched_after_every_turn():
    assert fetches(Cadence(), 4) == ([1, 2, 3, 4], [1, 2, 3, 4])


def test_cadences_are_independent():
    assert fetches(Cadence(2, 5), 11) == ([1, 3, 5, 7, 9, 11], [1, 6, 11])


@pytest.mark.parametrize("prewarmed", [True, False])
def test_the_first_turn_always_fires(prewarmed):
    assert fetches(Cadence(10, 10), 12, prewarmed=prewarmed) == ([1, 11], [1, 11])


def test_zero_is_never():
    assert fetches(Cadence(0, 3), 5) == ([], [1, 4])
    assert fetches(Cadence(3, 0), 5) == ([1, 4], [])


def test_tools_fetch_nothing_by_themselves():
    assert Cadence.of("tools", "every-turn", 1, 1) == Cadence(0, 0)
    assert Cadence.of("hybrid", "every-turn", 2, 3) == Cadence.of("context", "every-turn", 2, 3)


@pytest.mark.parametrize("injection", ["first-turn", "frozen"])
def test_what_is_injected_at_the_start_only_is_not_fetched_afterwards(injection):
    assert fetches(Cadence.of("hybrid", injection, 1, 1), 6) == ([1], [1])


def test_a_turn_is_fetched_for_once():
    assert not Cadence().context_due(Fetched(3, context_turn=3))
    assert not Cadence().dialectic_due(Fetched(3, dialectic_turn=4))


def test_empty_answers_widen_the_dialectics_cadence_alone():
    contexts, dialectics = fetches(Cadence(), 40, empty=True)
    assert contexts == list(range(1, 41))
    gaps = [after - before for before, after in itertools.pairwise(dialectics)]
    assert gaps == [2, 3, 4, 5, 6, 7, 8]  # and it stays there


def test_one_answer_that_says_something_resets_it():
    widened_to = Fetched(10, dialectic_turn=8, empty_dialectics=4)
    reset = Fetched(10, dialectic_turn=8, empty_dialectics=0)
    assert not Cadence(dialectic=2).dialectic_due(widened_to)
    assert Cadence(dialectic=2).dialectic_due(reset)


@given(st.integers(1, 1000), st.integers(0, 100_000))
def test_it_widens_by_a_turn_an_answer_and_never_beyond_eight_times(cadence, empty):
    assert widened(cadence, empty) == min(cadence + empty, 8 * cadence)
    assert widened(0, empty) == 0
