"""A part is lost: the agent's turns go on at full speed, and nothing is half-written."""

from __future__ import annotations

import resource
import signal
import threading
import time
from uuid import uuid4

import pytest
from redis.connection import AbstractConnection

from afterturn import CaptureError, Memory
from afterturn.dispatch import Dispatcher
from afterturn_models.signatures import sync_session
from support.tcp_proxy import TcpProxy
from support.waiting import eventually


@pytest.fixture
def in_our_thread(monkeypatch):
    """Count what this thread, which is the agent's, says to Redis or waits for from it."""
    ours, said = threading.get_ident(), []

    def watch(name):
        real = getattr(AbstractConnection, name)

        def spy(self, *args, **options):
            if threading.get_ident() == ours:
                said.append(name)
            return real(self, *args, **options)

        monkeypatch.setattr(AbstractConnection, name, spy)

    for name in ("connect", "send_packed_command", "read_response"):
        watch(name)
    return said


def lose(proxy, how):
    if how == "stopped":
        proxy.refuse()
    else:
        proxy.silent = True


@pytest.mark.parametrize("how", ["stopped", "silent"])
def test_after_the_first_turn_no_turn_pays_for_a_redis_that_is_gone(
    agent_env, look, redis_url, monkeypatch, in_our_thread, how
):
    monkeypatch.setattr("afterturn.breaker._EVERY", 60)
    with TcpProxy(redis_url) as proxy, Memory.open(redis_url=proxy.url) as memory:
        session = memory.session(name="talk")
        session.begin_turn("before").end("the loss")
        lose(proxy, how)
        session.begin_turn("the first").end("pays")
        assert memory._services.popper.away
        in_our_thread.clear()
        for number in range(20):
            turn = session.begin_turn(f"turn {number}", wait=30)  # there is nothing to wait for
            assert not turn.end("goes on").spooled
        assert in_our_thread == []
        assert len(look.rows("talk")) == 2 * 22
        proxy.refuse()  # or the close would wait for a hint that is being sent


@pytest.mark.parametrize("how", ["stopped", "silent"])
def test_it_is_the_first_turn_that_finds_out_within_a_moment(agent_env, redis_url, how):
    with TcpProxy(redis_url) as proxy, Memory.open(redis_url=proxy.url) as memory:
        session = memory.session(name="talk")
        session.begin_turn("before").end("the loss")
        lose(proxy, how)
        started = time.monotonic()
        session.begin_turn("the first").end("pays")
        assert time.monotonic() - started < 2
        proxy.refuse()


def test_after_the_first_turn_no_turn_pays_for_a_postgres_that_is_gone(
    agent_env, look, shared_database, monkeypatch
):
    monkeypatch.setattr("afterturn.breaker._EVERY", 60)
    with TcpProxy(shared_database) as proxy, Memory.open(database_url=proxy.url) as memory:
        session = memory.session(name="talk")
        session.begin_turn("before").end("the loss")
        proxy.refuse()
        assert session.begin_turn("the first").end("pays").spooled
        asked = []
        statement = memory._services.database.statement
        monkeypatch.setattr(
            memory._services.database, "statement", lambda: asked.append(1) or statement()
        )
        for number in range(20):
            assert session.begin_turn(f"turn {number}").end("goes on").spooled
        assert asked == []
        assert memory._services.spool.stats().turns == 21


def test_a_broker_that_refuses_is_tried_once_and_not_for_seconds():
    """A close waits for what is being sent: kombu would go on trying for 6 s, or 19 for a result."""
    dispatcher = Dispatcher("redis://127.0.0.1:1/0")
    dispatcher.hint(uuid4())
    assert eventually(lambda: dispatcher.dropped == 1, within=4)
    started = time.monotonic()
    assert dispatcher._send([_awaited_hint()]) is False
    dispatcher.close()
    assert time.monotonic() - started < 1.5


def _awaited_hint():
    return (sync_session(uuid4(), task_id="somebody-waits"), None)


def test_another_projects_result_backend_in_the_environment_does_not_count(
    agent_env, redis_url, monkeypatch
):
    monkeypatch.setenv("CELERY_RESULT_BACKEND", "redis://127.0.0.1:1/0")
    dispatcher = Dispatcher(redis_url)
    assert dispatcher._send([_awaited_hint()]) is True
    assert dispatcher.sent == 1
    dispatcher._app.close()


@pytest.fixture
def full_disk():
    """Give a function that lets no file of this process grow beyond a size, and one that ends it."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield (
        lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, former[1])),
        lambda: resource.setrlimit(resource.RLIMIT_FSIZE, former),
    )
    resource.setrlimit(resource.RLIMIT_FSIZE, former)
    signal.signal(signal.SIGXFSZ, ignored)


def test_a_full_disk_without_postgres_is_said_so_and_nothing_is_half_written(
    agent_env, look, shared_database, empty_environment, full_disk
):
    fill, free = full_disk
    spool = empty_environment / "spool"
    with TcpProxy(shared_database) as proxy:
        memory = Memory.open(database_url=proxy.url)
        session = memory.session(name="talk")
        proxy.refuse()
        assert session.begin_turn("one").end("fits").spooled
        (segment,) = spool.glob("*.jsonl")
        before = segment.read_bytes()
        turn = session.begin_turn("two " * 20_000)
        fill(len(before) + 4096)
        try:
            with pytest.raises(CaptureError, match="the turn was not captured, try again"):
                turn.end("does not")
        finally:
            free()
        assert not turn.ended
        assert segment.read_bytes() == before
        assert [path.name for path in spool.glob("*.jsonl")] == [segment.name]
        assert turn.end("now it does").spooled
        memory.close()
    with Memory.open() as later:
        later._services.capturer.drain()
    said = look.said("talk")
    assert said[:2] == ["one", "fits"]
    assert "".join(said[2:-1]) == "two " * 20_000
    assert said[-1] == "now it does"
    assert list(spool.glob("*.jsonl")) == []
