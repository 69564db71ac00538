"""Histograms in fixed buckets: merged by adding, quantiles within the bucket that they are in."""

from __future__ import annotations

import math
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from afterturn_models.policy.timing_buckets import BOUNDS, Histogram, coarse

LAST = BOUNDS[-1]
DURATIONS = st.lists(st.integers(0, LAST), max_size=60)
SHARES = st.floats(0.0, 1.0)


def counted(durations):
    histogram = Histogram()
    for duration in durations:
        histogram.add(duration)
    return histogram


def test_bounds_are_ten_to_a_decade_and_close_to_each_other():
    assert BOUNDS[0] == 1_000
    assert len(BOUNDS) == 91
    assert LAST == 10**12
    assert list(BOUNDS) == sorted(set(BOUNDS))
    assert all(1.2 < high / low < 1.3 for low, high in pairwise(BOUNDS))


def test_prometheus_has_some_of_them_in_round_numbers():
    assert set(coarse()) <= set(BOUNDS)
    assert [bound / 1e9 for bound in coarse()][:5] == [1e-06, 2.5e-06, 5e-06, 1e-05, 2.5e-05]
    assert coarse()[-1] == 100 * 10**9
    assert len(coarse()) == 25


@given(DURATIONS, DURATIONS)
def test_merging_is_counting_all_in_one(some, others):
    merged, back = counted(some), counted(others)
    merged.merge(counted(others))
    back.merge(counted(some))
    assert merged == back == counted([*some, *others])
    assert merged.count == len(some) + len(others)
    assert merged.total == sum(some) + sum(others)


@given(DURATIONS.filter(bool), SHARES)
@example([1000], 0.5)
@example([1000, 1001], 0.99)
def test_a_quantile_is_in_the_bucket_of_the_one_that_is_asked_for(durations, share):
    wanted = sorted(durations)[max(1, math.ceil(share * len(durations) - 1e-9)) - 1]
    place = next(place for place, bound in enumerate(BOUNDS) if wanted <= bound)
    low = BOUNDS[place - 1] if place else 0
    found = counted(durations).quantile(share) * 1e9
    assert low * (1 - 1e-9) <= found <= BOUNDS[place] * (1 + 1e-9)
    if wanted > BOUNDS[0]:
        assert 1 / 1.3 <= found / wanted <= 1.3


@given(DURATIONS, SHARES, SHARES)
def test_quantiles_grow_with_their_share(durations, one, other):
    histogram = counted(durations)
    low, high = sorted((one, other))
    assert histogram.quantile(low) <= histogram.quantile(high)


@given(st.lists(st.integers(-5, 3 * LAST), max_size=60))
def test_cumulative_counts_grow_and_miss_only_what_is_behind_the_last(durations):
    found = counted(durations).cumulative(BOUNDS)
    assert [count for _, count in found] == sorted(count for _, count in found)
    assert found[-1][1] == sum(duration <= LAST for duration in durations)
    for bound, (seconds, count) in list(zip(BOUNDS, found, strict=True))[::7]:
        assert seconds == bound / 1e9
        assert count == sum(duration <= bound for duration in durations)
    some = counted(durations).cumulative(coarse())
    assert some == [pair for pair in found if round(pair[0] * 1e9) in coarse()]


def test_what_is_nothing_or_beyond_all_bounds_is_counted_too():
    assert Histogram().summary().count == 0
    assert Histogram().quantile(0.99) == 0.0
    histogram = counted([-7, 5 * LAST])
    assert (histogram.count, histogram.total) == (2, 5 * LAST)
    assert histogram.quantile(0.99) == LAST / 1e9
    assert histogram.quantile(0.5) <= 1e-6


@given(DURATIONS)
def test_its_size_is_bounded_and_a_copy_is_its_own(durations):
    histogram = counted(durations)
    copy = histogram.copy()
    copy.add(7)
    assert len(histogram.buckets) <= len(BOUNDS) + 1
    assert histogram == counted(durations)
    assert copy != histogram
