"""Histories: what Postgres holds, read once, bounded, and never behind."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

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
    for name in ("page_before", "page_after", "newer"):
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
    assert statements == ["newer"]


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


def test_pages_behind_an_index_cover_all_of_it(memory, fill):
    session = fill(memory, "talk", 8)
    seen, after = [], 0
    while page := session.history(3, after=after):
        seen += indexes(page)
        after = page[-1].index
    assert seen == list(range(1, 17))
    assert indexes(session.history(5, after=14)) == [15, 16]
    assert session.history(5, after=16) == session.history(5, after=99) == []
    assert indexes(session.messages()) == list(range(1, 17))
    assert indexes(session.messages(after=13)) == [14, 15, 16]


def test_what_is_cached_serves_pages_behind_an_index(memory, fill, statements):
    session = fill(memory, "talk", 120)
    session.history(10)
    session.history(200)
    statements.clear()
    assert indexes(session.history(5, after=100)) == list(range(101, 106))
    assert indexes(session.history(5, after=40)) == list(range(41, 46))
    assert statements == ["newer", "newer"]
    assert indexes(session.history(5, after=39)) == list(range(40, 45))
    assert statements == ["newer"] * 3 + ["page_after"]


def test_before_and_after_at_once_are_refused(memory):
    with pytest.raises(ValueError, match="one of the two"):
        memory.session(name="talk").history(before=3, after=1)


def test_a_deleted_session_is_not_shown_out_of_the_cache(memory, fill, look):
    session = fill(memory, "talk", 3)
    assert len(session.history()) == 6
    look.query("DELETE FROM sessions WHERE id = %(id)s", id=look.id("talk"))
    assert session.history() == []
    assert session.info().messages == 0
    with Memory.open() as another:
        fill(another, "talk", 1, first=9)
    assert [m.content for m in session.history()] == ["u9", "a9"]
    look.query("DELETE FROM sessions WHERE id = %(id)s", id=look.id("talk"))
    fill(memory, "talk", 1, first=10)
    assert [m.content for m in session.history()] == ["u10", "a10"]


def test_what_is_known_of_a_session(memory, fill):
    session = fill(memory, "talk", 3)
    found = session.info()
    assert (found.key, found.messages, found.turns, found.lag) == ("talk", 6, 3, 6)
    assert found.tokens > 0


def test_the_cache_counts_and_stays_within_its_bytes(agent_env, fill):
    with Memory.open(history_cache_bytes=40_000) as memory:
        histories = memory._services.histories
        for number in range(12):
            session = fill(memory, f"s{number}", 5)
            session.history(10)
        session.history(10)
        counted = histories.counters()
        assert (counted.hits, counted.misses) == (1, 12)
        assert counted.evictions > 0
        assert counted.sessions == 12 - counted.evictions
        assert 0 < counted.bytes <= 40_000
        assert [m.content for m in memory.session(name="s0").history(1)] == ["a5"]


def test_one_long_session_leaves_room_for_others(agent_env, fill):
    with Memory.open(history_cache_bytes=400_000) as memory:
        small = fill(memory, "small", 2)
        small.history()
        long = memory.session(name="long")
        for _ in range(20):
            long.begin_turn("x" * 20_000).end("y" * 20_000)
        for _ in range(2):
            assert len(long.history(40)) == 40
        assert memory._services.histories.counters().bytes <= 150_000
        assert len(memory._services.histories) == 2


WRITER = """
import sys
from afterturn import Memory
with Memory.open() as memory:
    session = memory.session(name="shared")
    for number in range(int(sys.argv[1])):
        session.begin_turn(f"{sys.argv[2]}{number}").end("ok")
        seen = session.history(500)
        assert [m.index for m in seen] == list(range(1, len(seen) + 1)), seen
        mine = [m.content for m in seen if m.content.startswith(sys.argv[2])]
        assert mine == [f"{sys.argv[2]}{n}" for n in range(number + 1)], mine
    print("done")
"""


def test_two_processes_that_write_one_session_see_each_other(agent_env, memory, run):
    session = memory.session(name="shared")
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda who: run("-c", WRITER, "15", who), ("left", "right")))
    assert [one.stdout for one in done] == ["done\n"] * 2, [one.stderr for one in done]
    seen = [m.content for m in session.history(500)]
    assert len(seen) == 60
    assert {f"{who}{n}" for who in ("left", "right") for n in range(15)} <= set(seen)
