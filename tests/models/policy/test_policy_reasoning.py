"""The dialectic's level: the spec's table, row by row, and what holds for every message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterturn_models.policy.reasoning import LEVELS, dynamic_reasoning_level


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
