"""What a model hears while no worker is there to answer it."""

from __future__ import annotations

import threading

import psycopg
import redis

from support.tcp_proxy import TcpProxy
from support.waiting import eventually

SLACK = 1.5  # seconds beyond a deadline, on a machine that does other things as well


def test_no_worker_at_all_is_said_at_once(stack_env, opening) -> None:
    call = opening()
    took, answer = call.timed("honcho_recall", query="Where?")
    assert took < SLACK
    assert answer["failure"] == "outage"
    assert "no worker runs" in answer["error"]


def test_workers_that_died_are_a_timeout(start_worker, opening) -> None:
    call = opening(tool_seconds=1.0)
    start_worker("w1").ready().kill()
    took, answer = call.timed("honcho_profile")
    assert 0.9 < took < 1.0 + SLACK, answer
    assert answer["failure"] == "timeout"
    assert "did not answer within 1 s" in answer["error"]


def test_a_redis_that_goes_is_said_well_before_the_deadline(
    stack_env, opening, monkeypatch
) -> None:
    with TcpProxy(stack_env["AFTERTURN_REDIS_URL"]) as proxy:
        monkeypatch.setenv("AFTERTURN_REDIS_URL", proxy.url)
        call = opening(ask_seconds=20.0)
        _heard_of(stack_env["AFTERTURN_DATABASE_URL"])
        with redis.Redis.from_url(stack_env["AFTERTURN_REDIS_URL"]) as direct:
            going = threading.Thread(target=_refuse_once_asked, args=(direct, proxy))
            going.start()
            took, answer = call.timed("honcho_recall", query="Where?")
            going.join(10)
        assert took < 5
        assert answer["failure"] == "outage"
        assert "its Redis does not answer" in answer["error"]
        took, answer = call.timed("honcho_recall", query="And now?")
        assert took < SLACK
        assert "its Redis is away" in answer["error"]


def _refuse_once_asked(direct: redis.Redis, proxy: TcpProxy) -> None:
    eventually(lambda: direct.llen("afterturn:interactive"), within=10)
    proxy.refuse()


def _heard_of(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO workers (name, pid, version) VALUES ('w', 1, '0')")
