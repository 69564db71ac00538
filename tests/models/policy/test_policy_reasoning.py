"""The dialectic's level: the spec's table, row by row, and what holds for every message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterturn_models.policy.reasoning import (
    LEVELS,
    WEIGHTS,
    chosen_level,
    dynamic_reasoning_level,
    pass_levels,
)


@pytest.mark.parametrize(
    ("length", "bump"), [(0, 0), (119, 0), (120, 1), (399, 1), (400, 2), (9999, 2)]
)
@pytest.mark.parametrize("floor", [*LEVELS, "unheard-of"])
def test_the_specs_table(floor, length, bump):
    base = max(0, LEVELS.index(floor) if floor in LEVELS else -1)
    assert dynamic_reasoning_level("x" * length, floor) == LEVELS[min(base + bump, 3)]


def test_the_default_floor_is_low():
    assert dynamic_reasoning_level("hello") == "low"


def test_max_is_reached_only_where_it_is_allowed():
    assert dynamic_reasoning_level("x" * 400, "high", cap="max") == "max"


@given(st.text(), st.text(), st.sampled_from(LEVELS), st.sampled_from(LEVELS))
def test_longer_never_thinks_less_and_never_above_the_cap(text, more, floor, cap):
    short = LEVELS.index(dynamic_reasoning_level(text, floor, cap))
    long = LEVELS.index(dynamic_reasoning_level(text + more, floor, cap))
    assert short <= long <= LEVELS.index(cap)


def test_a_floor_above_the_cap_gives_the_cap():
    assert dynamic_reasoning_level("x", "max") == "high"
    assert chosen_level("x", floor="max", heuristic=False) == "high"
    assert chosen_level("x", floor="max", cap="max", heuristic=False) == "max"


def test_without_the_heuristic_it_is_the_floor():
    assert chosen_level("x" * 5000, floor="low", heuristic=False) == "low"
    assert chosen_level("x" * 5000, floor="low") == "high"


@pytest.mark.parametrize(("wanted", "level"), [("max", "high"), ("minimal", "minimal")])
def test_what_a_tool_wants_is_honoured_up_to_the_cap(wanted, level):
    assert chosen_level("x" * 5000, floor="medium", wanted=wanted) == level
    assert chosen_level("x", floor="medium", wanted="deeply") == "medium"  # no level of ours


@given(
    st.text(),
    st.sampled_from(LEVELS),
    st.sampled_from(LEVELS),
    st.booleans(),
    st.none() | st.sampled_from(LEVELS),
)
def test_nothing_is_ever_above_the_cap(said, floor, cap, heuristic, wanted):
    level = chosen_level(said, floor=floor, cap=cap, heuristic=heuristic, wanted=wanted)
    assert LEVELS.index(level) <= LEVELS.index(cap)


def test_passes_begin_with_a_quick_look():
    assert pass_levels("high", 1) == ("high",)
    assert pass_levels("high", 2) == ("minimal", "high")
    assert pass_levels("high", 3) == ("minimal", "high", "low")
    assert pass_levels("minimal", 3) == ("minimal", "minimal", "minimal")


def test_passes_that_are_named_are_as_named_up_to_the_cap():
    assert pass_levels("low", 3, ("medium",)) == ("medium", "low", "low")
    assert pass_levels("low", 2, ("medium", "max")) == ("medium", "high")
    assert pass_levels("low", 2, ("medium", "max"), cap="max") == ("medium", "max")
    assert pass_levels("low", 1, ("medium", "high")) == ("medium",)


def test_each_level_weighs_double_the_one_below():
    assert WEIGHTS == {"minimal": 1, "low": 2, "medium": 4, "high": 8, "max": 16}
