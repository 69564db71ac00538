"""Histories: what Postgres holds, read once, bounded, and never behind."""

from __future__ import annotations

import pytest

import afterturn.history as module
from afterturn import Memory


@pytest.fixture
def fill():
    def start(memory, key, turns, first=1):
        session = memory.session(name=key)
        for number in range(first, first + turns):
            session.begin_turn(f"u{number}").end(f"a{number}")
        return session

    return start


@pytest.fixture
def statements(memory, monkeypatch):
    """Count what histories ask Postgres."""
    asked = []
    for name in ("page_before", "page_after"):
        real = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *a, _n=name, _r=real, **k: asked.append(_n) or _r(*a, **k)
        )
    return asked


def indexes(messages):
    return [message.index for message in messages]


def test_an_empty_session_has_an_empty_history(memory):
    session = memory.session(name="talk")
    assert session.history() == []
    assert session.history(10, before=1) == []
    assert session.history(10, before=99) == []


def test_the_last_messages_oldest_first(memory, fill):
    session = fill(memory, "talk", 5)
    assert [m.content for m in session.history(3)] == ["a4", "u5", "a5"]
    assert indexes(session.history(1)) == [10]
    assert indexes(session.history(10)) == list(range(1, 11))
    assert indexes(session.history(1000)) == list(range(1, 11))


def test_pages_before_an_index_cover_all_of_it(memory, fill):
    session = fill(memory, "talk", 8)
    seen, before = [], None
    while page := session.history(3, before=before):
        seen = indexes(page) + seen
        before = page[0].index
    assert seen == list(range(1, 17))
    assert session.history(5, before=1) == []
    assert indexes(session.history(5, before=2)) == [1]
    assert indexes(session.history(2, before=1000)) == [15, 16]


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(memory, limit):
    with pytest.raises(ValueError, match="at least 1"):
        memory.session(name="talk").history(limit)


def test_what_is_cached_is_not_read_again(memory, fill, statements):
    session = fill(memory, "talk", 10)
    session.history(20)
    statements.clear()
    session.history(20)
    session.history(5, before=11)
    session.history(50, before=3)
    assert statements == ["page_after"]


def test_a_small_page_first_and_a_larger_one_later(memory, fill, statements):
    session = fill(memory, "talk", 10)
    assert indexes(session.history(2)) == [19, 20]
    assert indexes(session.history(4)) == [17, 18, 19, 20]
    assert indexes(session.history(3, before=19)) == [16, 17, 18]
    assert indexes(session.history(20)) == list(range(1, 21))


def test_rows_of_another_process_are_seen(memory, fill, agent_env):
    """As users report of others: a cache that races with a writer loses what was written."""
    session = fill(memory, "talk", 2)
    assert indexes(session.history(50)) == [1, 2, 3, 4]
    with Memory.open() as another:
        fill(another, "talk", 2, first=3)
        assert indexes(session.history(50)) == list(range(1, 9))
        assert indexes(session.history(3)) == [6, 7, 8]
        fill(another, "talk", 110, first=5)  # more than the cache holds
        assert indexes(session.history(3)) == [226, 227, 228]
        assert indexes(session.history(300)) == list(range(1, 229))
        assert indexes(session.history(2, before=30)) == [28, 29]


def test_a_limit_beyond_the_cache(memory, fill):
    session = fill(memory, "talk", 120)
    for _ in range(2):
        assert indexes(session.history(230)) == list(range(11, 241))
    assert indexes(session.history(200)) == list(range(41, 241))
    assert indexes(session.history(10, before=41)) == list(range(31, 41))


def test_the_cache_is_bounded_by_its_entries(agent_env, fill):
    """As users report of others: caches grow without bounds."""
    with Memory.open(history_cache_entries=3) as memory:
        for number in range(10):
            fill(memory, f"s{number}", 1).history()
        assert len(memory._services.histories) == 3
        assert [m.content for m in memory.session(name="s0").history()] == ["u1", "a1"]
        assert len(memory._services.histories) == 3


def test_sessions_do_not_see_each_other(memory, fill):
    one, two = fill(memory, "one", 1), fill(memory, "two", 2)
    assert len(one.history()) == 2
    assert len(two.history()) == 4
    assert {m.id for m in one.history()}.isdisjoint(m.id for m in two.history())
