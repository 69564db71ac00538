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
            pushed = [model.pop(next(iter(model)))] if len(model) > entries else []
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


@given(
    st.integers(1, 4),
    st.integers(1, 20),
    st.lists(
        st.tuples(st.sampled_from(["get", "put", "drop"]), st.integers(0, 5), st.integers(0, 25))
    ),
)
def test_what_is_kept_stays_within_its_room(entries, room, steps):
    """Like a list, longest unused first, from whose beginning as much is dropped as is needed."""
    lru: Lru[int, int] = Lru(entries, room=room, weigh=lambda value: value)
    model: list[tuple[int, int]] = []
    evicted = 0
    for what, key, weight in steps:
        known = next((pair for pair in model if pair[0] == key), None)
        if what == "get":
            assert lru.get(key) == (known[1] if known else None)
            if known:
                model.remove(known)
                model.append(known)
            continue
        if known:
            model.remove(known)
        if what == "drop":
            lru.drop(key)
            continue
        pushed = []
        if weight > room:
            pushed.append(weight)
        else:
            model.append((key, weight))
        while len(model) > entries or sum(one for _, one in model) > room:
            pushed.append(model.pop(0)[1])
        assert lru.put(key, weight) == pushed
        evicted += len(pushed)
        assert (len(lru), lru.weight, lru.evictions) == (
            len(model),
            sum(one for _, one in model),
            evicted,
        )
