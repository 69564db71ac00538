"""The harness: who is timed and how often, and how far its ratios are to be believed."""

from __future__ import annotations

import random

import pytest
from bench.harness import Contestant, Ratio, Times, interleave, p50, p99, ratio, together
from hypothesis import given
from hypothesis import strategies as st


def _noisy(middle: float, *, rounds: int = 40, seed: int = 1) -> Times:
    drawn = random.Random(seed)
    return Times([[drawn.gauss(middle, middle / 10) for _ in range(10)] for _ in range(rounds)])


def test_everyone_has_its_calls_in_every_round() -> None:
    done: list[str] = []
    contestants = {
        "quick": Contestant(lambda: done.append("quick"), lambda: done.append("prepared")),
        "slow": Contestant(lambda: done.append("slow"), calls=2),
    }
    times = interleave(contestants, rounds=5, calls=4, warm_up=3)
    assert [len(found) for found in times["quick"].rounds] == [4] * 5
    assert [len(found) for found in times["slow"].rounds] == [2] * 5
    assert done.count("quick") == done.count("prepared") == 3 + 5 * 4
    assert done.count("slow") == 2 + 5 * 2


def test_contestants_take_turns() -> None:
    done: list[str] = []
    names = ["a", "b", "c"]
    contestants = {name: Contestant(lambda name=name: done.append(name)) for name in names}
    interleave(contestants, rounds=30, calls=1, warm_up=0)
    rounds = [tuple(done[n : n + 3]) for n in range(0, 90, 3)]
    assert all(sorted(order) == names for order in rounds)
    assert len({*rounds}) > 3, "the same order each time would favour whoever comes second"


def test_the_interval_holds_the_ratio_and_narrows_with_rounds() -> None:
    few = ratio(_noisy(3.0, rounds=5), _noisy(1.0, rounds=5, seed=2))
    many = ratio(_noisy(3.0, rounds=200), _noisy(1.0, rounds=200, seed=2))
    assert many.low < 3.0 < many.high
    assert many.low < many.value < many.high
    assert many.high - many.low < few.high - few.low


def test_what_falls_on_both_in_a_round_falls_out_of_the_ratio() -> None:
    busy = [1.0, 1.0, 1.0, 7.0, 7.0]  # how slow the machine was in each round
    over = Times([[2.0 * slow] * 3 for slow in busy])
    under = Times([[1.0 * slow] * 3 for slow in busy])
    assert ratio(over, under) == Ratio(2.0, 2.0, 2.0)


def test_one_round_has_no_interval() -> None:
    found = ratio(Times([[2.0]]), Times([[1.0]]))
    assert found.value == 2.0
    assert found.low != found.low


@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=300))
def test_quantiles_are_among_what_was_measured(values: list[float]) -> None:
    assert min(values) <= p50(values) <= p99(values) <= max(values)
    assert p99(values) in values


def test_p99_is_what_one_in_a_hundred_exceeds() -> None:
    assert p99([float(n) for n in range(1, 201)]) == 198.0


def test_parts_are_added_call_by_call() -> None:
    whole = together(Times([[1.0, 2.0], [3.0]]), Times([[10.0, 20.0], [30.0]]))
    assert whole.rounds == [[11.0, 22.0], [33.0]]
    with pytest.raises(ValueError, match="zip"):
        together(Times([[1.0]]), Times([]))
