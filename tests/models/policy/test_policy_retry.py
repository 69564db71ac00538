"""Back-off: growing, bounded, spread by jitter; and write frequencies as they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterturn_models.policy.retry import Backoff
from afterturn_models.policy.write_frequency import parse_frequency


def test_waits_double_up_to_the_longest():
    backoff = Backoff()
    assert [backoff.delay(n, 1) for n in range(1, 10)] == [2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert [backoff.delay(n, 0) for n in (1, 9)] == [1, 150]


@given(st.integers(-5, 10**6), st.floats(0, 1))
def test_every_wait_is_within_its_bounds(attempts, jitter):
    wait = Backoff().delay(attempts, jitter)
    assert 1 <= wait <= 300
    assert wait <= Backoff().delay(attempts + 1, jitter)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("async", "async"),
        (" Turn\n", "turn"),
        ("SESSION", "session"),
        (1, "1"),
        ("5", "5"),
        (" 007 ", "7"),
        (10_000, "10000"),
        ("٣", "3"),
    ],
)
def test_a_frequency_has_one_canonical_text(value, text):
    assert parse_frequency(value) == text
    assert parse_frequency(text) == text


@pytest.mark.parametrize(
    "value",
    [0, -1, 10_001, "0", "-1", "1.5", 1.5, True, None, "", "often", [], {}, "²", "1" * 5000],
)
def test_anything_else_is_refused_with_what_is_allowed(value):
    with pytest.raises(ValueError, match=r"async, turn, session, or a number of turns from 1 to"):
        parse_frequency(value)
