"""The bounded map: against a simple model, and between threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from afterturn_models.lru import Lru

step = st.tuples(st.sampled_from(["get", "put", "drop"]), st.integers(0, 5))


@given(st.integers(1, 4), st.lists(step))
def test_it_forgets_what_was_not_used_for_longest(entries, steps):
    lru, model = Lru(entries), {}
    for number, (what, key) in enumerate(steps):
        if what == "put":
            model.pop(key, None)
            model[key] = number
            pushed = model.pop(next(iter(model))) if len(model) > entries else None
            assert lru.put(key, number) == pushed
        elif what == "get":
            assert lru.get(key) == model.get(key)
            if key in model:
                model[key] = model.pop(key)
        else:
            lru.drop(key)
            model.pop(key, None)
        assert len(lru) == len(model)


def test_it_stays_bounded_between_threads():
    lru: Lru[int, int] = Lru(10)

    def use(place):
        for n in range(2000):
            lru.put((place * 7 + n) % 40, n)
            lru.get(n % 40)
            lru.drop(n % 13)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, range(4)))
    assert len(lru) <= 10
