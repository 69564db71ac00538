"""The shared pace on a real Valkey: what is admitted, when, and what becomes of it without Redis."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from afterturn_sandbox.ports import free_port
from afterturn_worker.pace import Pace
from support.tcp_proxy import TcpProxy
from support.waiting import eventually

HONCHO = "http://honcho.test"
Make = Callable[..., Pace]


@pytest.fixture
def make(redis_url: str) -> Iterator[Make]:
    """Give a function that makes a pace, as each worker has one of its own."""
    made: list[Pace] = []

    def pace(url: str = redis_url, honcho: str = HONCHO, **given: float) -> Pace:
        limits = {"in_flight": 0, "per_second": 0.0, "held": 20.0, **given}
        made.append(Pace(url, honcho, **limits))
        return made[-1]

    yield pace
    for one in made:
        one.close()


def goes(pace: Pace, **more: bool) -> bool:
    return pace.admit(**more)[0] == 0.0


class TestInFlight:
    def test_the_cap_is_that_of_all_workers_together(self, make: Make) -> None:
        first, second = make(in_flight=3), make(in_flight=3)
        places = [first.admit(), second.admit(), first.admit()]
        assert [wait for wait, _ in places] == [0.0] * 3
        assert 0.2 < second.admit()[0] < 1.0
        second.leave(places[0][1])  # whoever gives it back
        assert goes(second)
        assert not goes(first)

    def test_threads_never_have_more_than_the_cap(self, make: Make) -> None:
        paces = [make(in_flight=4) for _ in range(3)]
        inside, most = [], [0]

        def work(number: int) -> None:
            pace = paces[number % 3]
            for _ in range(20):
                wait, place = pace.admit()
                if wait == 0.0:
                    inside.append(place)
                    most[0] = max(most[0], len(inside))
                    inside.remove(place)
                    pace.leave(place)

        with ThreadPoolExecutor(12) as pool:
            list(pool.map(work, range(12)))
        assert 1 <= most[0] <= 4
        assert all(goes(pace) for pace in (*paces, paces[0]))

    def test_a_killed_workers_place_is_free_after_a_while(self, make: Make) -> None:
        killed, other = make(in_flight=1, held=0.3), make(in_flight=1, held=0.3)
        assert goes(killed)
        assert not goes(other)
        assert eventually(lambda: goes(other), within=3)

    def test_honchos_do_not_count_for_each_other(self, make: Make) -> None:
        assert goes(make(in_flight=1))
        assert goes(make(in_flight=1, honcho="http://other.test"))

    def test_what_waits_is_told_moments_apart(self, make: Make) -> None:
        pace = make(in_flight=5)
        for _ in range(5):
            assert goes(pace)
        waits = [pace.admit()[0] for _ in range(10)]
        assert waits == sorted(waits)
        assert 0.3 < waits[-1] - waits[0] < 0.6  # a twentieth of a second each, less what passed


class TestRate:
    def test_it_is_spaced_evenly_over_all_workers(self, make: Make) -> None:
        paces, went = [make(per_second=20) for _ in range(2)], []
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            if goes(paces[len(went) % 2]):
                went.append(time.monotonic())
            time.sleep(0.002)
        assert 10 <= len(went) <= 21
        # What Redis' clock spaces, this one sees with the delay of a round trip more or less.
        assert all(third - first > 0.06 for first, third in zip(went, went[2:], strict=False))

    def test_no_burst_after_a_pause(self, make: Make) -> None:
        pace = make(per_second=2)
        assert goes(pace)
        time.sleep(0.6)  # the pause that is the subject
        assert goes(pace)
        assert not goes(pace)

    def test_a_high_rate_is_not_rounded_away(self, make: Make) -> None:
        pace = make(per_second=1000)
        end, went = time.monotonic() + 0.5, 0
        while time.monotonic() < end:
            went += goes(pace)
        assert 50 < went <= 501

    def test_a_rate_is_not_used_up_by_a_full_house(self, make: Make) -> None:
        pace = make(in_flight=1, per_second=5)
        _, place = pace.admit()
        time.sleep(0.25)
        assert not goes(pace)
        pace.leave(place)
        assert goes(pace)

    def test_what_can_wait_does_not_stand_before_a_turn(self, make: Make) -> None:
        pace = make(per_second=10)
        assert goes(pace)
        repairs = [pace.admit(can_wait=True)[0] for _ in range(40)]
        assert repairs[-1] > 1.5
        assert pace.admit()[0] <= 0.1


class TestPause:
    def test_it_is_everybodys(self, make: Make) -> None:
        first, second = make(in_flight=9), make(in_flight=9)
        first.pause(0.5)
        wait, _ = second.admit()
        assert 0.2 < wait <= 0.5
        assert goes(make(in_flight=9, honcho="http://other.test"))
        assert eventually(lambda: goes(second), within=3)

    def test_a_shorter_one_does_not_end_a_longer_one(self, make: Make) -> None:
        pace = make(in_flight=9)
        pace.pause(30)
        pace.pause(0.01)
        pace.pause(-5)
        assert 25 < pace.admit()[0] <= 30


class TestWithoutRedis:
    def test_flushing_it_frees_everything_and_harms_nothing(
        self, make: Make, redis_url: str
    ) -> None:
        pace = make(in_flight=1, per_second=1)
        _, place = pace.admit()
        pace.pause(30)
        with redis.Redis.from_url(redis_url) as client:
            client.flushall()
            client.script_flush()
        assert goes(pace)
        pace.leave(place)

    def test_nothing_is_left_in_it_for_ever(self, make: Make, redis_url: str) -> None:
        pace = make(in_flight=2, per_second=1, held=5)
        for can_wait in (False, False, True):
            pace.admit(can_wait=can_wait)
        pace.pause(1)
        with redis.Redis.from_url(redis_url) as client:
            keys = client.keys("afterturn:pace:*")
            assert len(keys) == 5
            assert all(0 < client.ttl(key) < 60 for key in keys)

    def test_refused_it_goes_unpaced_and_says_so_once(
        self, make: Make, caplog: pytest.LogCaptureFixture
    ) -> None:
        pace = make(f"redis://:secret@127.0.0.1:{free_port()}/0", in_flight=1)
        with caplog.at_level(logging.WARNING, "afterturn.pace"):
            for _ in range(50):
                assert pace.admit() == (0.0, "")
                pace.leave("place")
                pace.pause(1)
        assert len(caplog.records) == 1
        assert "unpaced" in caplog.text
        assert "secret" not in caplog.text

    def test_a_silent_one_costs_a_second_and_not_one_each_time(
        self, make: Make, redis_url: str
    ) -> None:
        with TcpProxy(redis_url) as proxy:
            pace = make(proxy.url, in_flight=1)
            assert goes(pace)
            proxy.silent = True
            began = time.monotonic()
            for _ in range(20):
                assert pace.admit() == (0.0, "")
            assert time.monotonic() - began < 3

    def test_it_is_asked_again_when_it_is_back(
        self, make: Make, redis_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("afterturn_worker.pace._AWAY", 0.2)
        with TcpProxy(redis_url) as proxy:
            pace = make(proxy.url, in_flight=1)
            proxy.refuse()
            assert goes(pace)
            assert goes(pace)
            proxy.accept()
            eventually(lambda: not goes(pace), within=5)  # it holds the one place by now

    def test_the_rights_that_workers_are_given_are_enough(self, make: Make, redis_url: str) -> None:
        rights = (
            "-@all +@read +@write +@connection +@transaction +@pubsub +@blocking +@scripting"
            " -@dangerous +info +time"
        )
        with redis.Redis.from_url(redis_url) as client:
            client.execute_command("ACL", "SETUSER", "worker", "on", ">pw", "~*", *rights.split())
            try:
                url = f"redis://worker:pw@{redis_url.partition('@')[2]}"
                pace = make(url, in_flight=1, per_second=100)
                wait, place = pace.admit()
                assert (wait, len(place)) == (0.0, 32)  # admitted, and not for want of an answer
                assert not goes(pace)
                pace.leave(place)
                pace.pause(20)
                assert pace.admit()[0] > 10
            finally:
                client.execute_command("ACL", "DELUSER", "worker")
