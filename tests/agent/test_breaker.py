"""The breaker: open after a failure, closed by a probe, and gone with its process."""

from __future__ import annotations

import threading

import pytest

from afterturn.breaker import Breaker
from support.waiting import eventually


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("afterturn.breaker._EVERY", 0.02)


class Server:
    def __init__(self):
        self.there = False
        self.asked = 0

    def probe(self):
        self.asked += 1
        if not self.there:
            raise OSError("away")


def test_it_is_open_until_a_probe_answers():
    server = Server()
    breaker = Breaker("x", server.probe)
    assert not breaker.open
    breaker.trip()
    assert breaker.open
    eventually(lambda: server.asked > 3)
    assert breaker.open
    server.there = True
    eventually(lambda: not breaker.open)
    asked = server.asked
    breaker.trip()
    eventually(lambda: not breaker.open)
    assert server.asked == asked + 1


def test_many_trips_are_one_thread():
    server = Server()
    breaker = Breaker("many", server.probe)
    threads = [threading.Thread(target=breaker.trip) for _ in range(20)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sum(t.name == "afterturn-probe-many" for t in threading.enumerate()) == 1
    breaker.close()
    eventually(lambda: not breaker.open)


def test_a_closed_one_starts_no_more_probes():
    server = Server()
    breaker = Breaker("x", server.probe)
    breaker.close()
    breaker.trip()
    assert not breaker.open


def test_a_process_that_can_start_no_thread_goes_on(monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    breaker = Breaker("x", Server().probe)
    breaker.trip()
    assert not breaker.open


def test_a_fork_leaves_it_closed():
    breaker = Breaker("x", Server().probe)
    breaker.trip()
    before = breaker._closing
    breaker.forked()
    assert not breaker.open
    before.set()
