"""A fleet's timings in Redis: added up over processes, by the hour and in all, and never a burden."""

from __future__ import annotations

import socket

import pytest
import redis

from afterturn_models import timings
from afterturn_models.timings import AGENT, KEPT, WORKER, Flusher, StageTimes, hash_key


@pytest.fixture
def there(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield client


def flushed(redis_url, role, workspace, *notes):
    times, flusher = StageTimes(), Flusher(redis_url, role, workspace)
    for stage, duration in notes:
        times.note(stage, duration)
    assert flusher.flush(times)
    flusher.close()
    return times


def counts(found):
    return {stage: (one.count, one.total) for stage, one in found.items()}


def test_what_processes_measured_adds_up(redis_url, there):
    one = flushed(redis_url, AGENT, "home", ("pop", 1000), ("pop", 2000), ("lock", 5))
    flushed(redis_url, AGENT, "home", ("pop", 4_000_000))
    flushed(redis_url, AGENT, "elsewhere", ("pop", 1))
    flushed(redis_url, WORKER, "", ("sync", 9))
    for found in (timings.recent(there, "home", 1), timings.totals(there, "home")):
        assert counts(found[AGENT]) == {"pop": (3, 4_003_000), "lock": (1, 5)}
        assert counts(found[WORKER]) == {"sync": (1, 9)}
    assert one.take() == {}
    assert counts(one.histograms()) == {"pop": (2, 3000), "lock": (1, 5)}


def test_hours_are_apart_and_the_total_is_not(redis_url, there, monkeypatch):
    now = timings.time.time()
    for back in (0, 1, 30):
        monkeypatch.setattr(timings.time, "time", lambda back=back: now - back * 3600)
        flushed(redis_url, WORKER, "", ("sync", 7))
    monkeypatch.setattr(timings.time, "time", lambda: now)
    found = {hours: timings.recent(there, "w", hours)[WORKER]["sync"].count for hours in (1, 2, 24)}
    assert found == {1: 1, 2: 2, 24: 2}
    assert timings.totals(there, "w")[WORKER]["sync"].count == 3
    assert all(0 < there.ttl(key) <= KEPT for key in there.keys("*"))


def test_what_is_not_ours_in_a_hash_is_passed_over(redis_url, there):
    flushed(redis_url, AGENT, "w", ("pop", 1000))
    junk = {"pop|x": "1", "pop|999": "1", "pop|3": "many", "|4": "1", b"\xff": "1", "sum": "-4"}
    there.hset(hash_key(AGENT, "w", None), mapping=junk)
    assert counts(timings.totals(there, "w")[AGENT]) == {"pop": (1, 1000)}


def test_a_redis_that_is_away_loses_nothing_and_is_left_alone(redis_url, there, monkeypatch):
    times, clock = StageTimes(), [1000.0]
    monkeypatch.setattr(timings.time, "monotonic", lambda: clock[0])
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        flusher = Flusher(f"redis://127.0.0.1:{held.getsockname()[1]}/0", AGENT, "w")
        times.note("pop", 1000)
        assert not flusher.flush(times)
        asked = []
        monkeypatch.setattr(timings, "connect", lambda *_: asked.append(1))
        assert not flusher.flush(times)
        assert asked == []
    flusher._url, flusher._redis = redis_url, None
    monkeypatch.undo()
    flusher._away_until = 0
    assert flusher.flush(times)
    flusher.close()
    assert counts(timings.recent(there, "w", 1)[AGENT]) == {"pop": (1, 1000)}


def test_a_child_begins_at_nothing():
    times = StageTimes()
    times.note("pop", 1000)
    times.forked()
    assert times.take() == times.histograms() == {}
