"""The keys of asks: each taken by one worker, with the time that is left, or by none."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from afterturn_models.asks import awaited_key
from afterturn_worker.awaited import Awaited
from support.tcp_proxy import TcpProxy
from support.waiting import eventually


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as opened:
        yield opened


@pytest.fixture
def awaited(redis_url: str) -> Iterator[Awaited]:
    opened = Awaited(redis_url)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("waits", "most", "least"), [(10_000, 9.5, 9.0), (1_000, 0.9, 0.7), (60_000, 59.5, 59.0)]
)
def test_what_is_taken_comes_with_what_is_left_but_a_margin(
    client, awaited, waits, most, least
) -> None:
    client.set(awaited_key("a"), 1, px=waits)
    left = awaited.take("a")
    assert left is not None
    assert least < left <= most


def test_it_is_taken_once(client, awaited) -> None:
    client.set(awaited_key("a"), 1, px=10_000)
    with ThreadPoolExecutor(16) as threads:
        taken = list(threads.map(lambda _: awaited.take("a"), range(200)))
    assert len([left for left in taken if left is not None]) == 1
    assert not client.exists(awaited_key("a"))


def test_what_nobody_waits_for_is_not_taken(client, awaited) -> None:
    assert awaited.take("never") is None
    client.set(awaited_key("late"), 1, px=1)
    eventually(lambda: not client.exists(awaited_key("late")), within=5)
    assert awaited.take("late") is None


def test_a_key_without_an_end_is_no_agents(client, awaited) -> None:
    client.set(awaited_key("odd"), 1)
    assert awaited.take("odd") is None


def test_a_connection_that_was_closed_meanwhile_is_made_anew(client, redis_url) -> None:
    with TcpProxy(redis_url) as proxy:
        awaited = Awaited(proxy.url)
        client.set(awaited_key("a"), 1, px=10_000)
        client.set(awaited_key("b"), 1, px=10_000)
        assert awaited.take("a") is not None
        proxy.cut()
        assert awaited.take("b") is not None
        awaited.close()


def test_with_redis_away_nothing_is_taken(client, redis_url) -> None:
    with TcpProxy(redis_url) as proxy:
        awaited = Awaited(proxy.url)
        client.set(awaited_key("a"), 1, px=10_000)
        proxy.refuse()
        assert awaited.take("a") is None
        awaited.close()
    assert client.exists(awaited_key("a"))
