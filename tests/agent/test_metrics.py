"""Prometheus pages: of one agent process, and of a whole installation, as Prometheus reads them."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from urllib.request import urlopen

import psycopg
import pytest
import redis
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from afterturn import Memory, exposition, metrics
from afterturn_models.broker import QUEUE_PREFIX
from afterturn_models.errors import MissingExtraError
from afterturn_models.policy.timing_buckets import coarse
from afterturn_models.timings import WORKER, Flusher, StageTimes

SECRET = "aardvark"


def read(page):
    """Read a page; gives the value of each sample by its name and labels."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


@pytest.fixture
def page():
    """Give a function that registers a memory once, and gives its page as it is then."""
    registries = {}

    def scraped(memory):
        if memory not in registries:
            registries[memory] = CollectorRegistry()
            metrics.register(memory, registries[memory])
        return generate_latest(registries[memory]).decode()

    return scraped


def test_a_host_exposes_a_memory_beside_its_own(memory, page):
    before = read(page(memory))
    assert before["afterturn_turns_total", ("outcome", "captured")] == 0
    session = memory.session(name="talk")
    for _ in range(3):
        session.begin_turn(f"I own an {SECRET}.").end("Fine.")
    session.begin_turn("and")
    session.begin_turn("so").end("on")
    assert session.history(3) == session.history(3)
    assert memory._services.dispatcher.drain(30)
    text = page(memory)
    found = read(text)
    assert found["afterturn_turns_total", ("outcome", "captured")] == 4
    assert found["afterturn_turns_total", ("outcome", "interrupted")] == 1
    assert found["afterturn_turns_total", ("outcome", "spooled")] == 0
    assert found["afterturn_hints_total", ("outcome", "sent")] == memory._services.dispatcher.sent
    assert found["afterturn_breaker_open", ("server", "redis")] == 0
    cached = memory._services.histories.counters()
    assert found["afterturn_history_pages_total", ("cache", "miss")] == cached.misses == 1
    assert found["afterturn_history_pages_total", ("cache", "hit")] == cached.hits == 1
    assert found["afterturn_history_cache_sessions",] == 1
    assert found["afterturn_history_cache_bytes",] == cached.bytes > 0
    assert found["afterturn_turn_stage_seconds_count", ("stage", "capture")] == 5
    took = memory.timings()["capture"].sum
    assert found["afterturn_turn_stage_seconds_sum", ("stage", "capture")] == pytest.approx(took)
    assert SECRET not in text


def test_a_histogram_has_every_bound_in_order_and_ends_in_all(memory, page):
    memory.session(name="talk").begin_turn("hello").end("hi")
    buckets = [
        (float(sample.labels["le"]), sample.value)
        for family in text_string_to_metric_families(page(memory))
        for sample in family.samples
        if sample.name == "afterturn_turn_stage_seconds_bucket"
        and sample.labels["stage"] == "capture"
    ]
    assert [bound for bound, _ in buckets] == [*(b / 1e9 for b in coarse()), float("inf")]
    counts = [count for _, count in buckets]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, 1)


def test_breakers_and_spooled_turns_show(agent_env, page):
    with Memory.open(database_url="postgresql://u:p@127.0.0.1:1/none") as memory:
        memory.session(name="talk").begin_turn("hello").end("hi")
        found = read(page(memory))
    assert found["afterturn_breaker_open", ("server", "postgres")] == 1
    assert found["afterturn_turns_total", ("outcome", "spooled")] == 1


def test_without_the_extra_it_is_said_how_to_get_it(memory, monkeypatch, called):
    monkeypatch.setattr(exposition, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'afterturn\[metrics\]'"):
        metrics.register(memory)
    done = called("metrics", "--once")
    assert done.returncode == 2
    assert "afterturn[metrics]" in done.stderr


def test_one_page_is_about_the_whole_installation(stack_env, honcho, called, page):
    times, flusher = StageTimes(), Flusher(stack_env["AFTERTURN_REDIS_URL"], WORKER)
    for took in (1_000_000, 2_000_000, 3_000_000_000):
        times.note("sync", took)
    flusher.flush(times)
    flusher.close()
    with Memory.open() as memory:
        memory.session(name="talk").begin_turn(f"I own an {SECRET}.").end("Fine.")
        assert memory._services.dispatcher.drain(30)
    with psycopg.connect(stack_env["AFTERTURN_DATABASE_URL"], autocommit=True) as there:
        there.execute("UPDATE messages SET delivery = 'quarantined' WHERE role = 'assistant'")
        there.execute(
            "INSERT INTO workers (name, pid, version, beat_at) VALUES"
            " ('w1@here', 1, '1', now()), ('w2@here', 2, '1', now() - interval '10 minutes')"
        )
    done = called("metrics", "--once")
    assert (done.returncode, done.stderr) == (0, "")
    found = read(done.stdout)
    agent, worker = (
        {key[-1][1] if key[-1][0] == "stage" else key[-1]: value for key, value in found.items()
         if key[0] == "afterturn_stage_seconds_count" and ("role", role) in key}
        for role in ("agent", "worker")
    )  # fmt: skip
    assert agent["capture"] == 1
    assert worker == {"sync": 3}
    second = ("le", "1.0"), ("role", "worker"), ("stage", "sync")
    assert found["afterturn_stage_seconds_bucket", *second] == 2
    assert found["afterturn_up", ("server", "postgres")] == 1
    with redis.Redis.from_url(stack_env["AFTERTURN_REDIS_URL"]) as there:
        waiting = there.llen(f"{QUEUE_PREFIX}sync")
    assert found["afterturn_queue_length", ("queue", "sync")] == waiting > 0
    assert found["afterturn_unsent_messages",] == 1
    assert found["afterturn_sync_lag_seconds",] > 0
    assert found["afterturn_quarantined_messages",] == 1
    assert found["afterturn_workers_alive",] == 1
    assert found["afterturn_worker_beat_age_seconds", ("worker", "w2@here")] > 500
    assert found["afterturn_dialectic_calls", ("window", "hour")] == 0
    assert SECRET not in done.stdout


def test_what_is_away_costs_its_own_metrics_only(called):
    nowhere = {
        "AFTERTURN_DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/x",
        "AFTERTURN_REDIS_URL": "redis://:hunter2@127.0.0.1:1/0",
    }
    done = called("metrics", "--once", env=nowhere)
    assert done.returncode == 0
    assert read(done.stdout) == {
        ("afterturn_up", ("server", "postgres")): 0,
        ("afterturn_up", ("server", "redis")): 0,
    }
    assert "hunter2" not in done.stdout + done.stderr


def test_nothing_configured_is_said(called):
    done = called("metrics", "--once")
    assert done.returncode == 2
    assert "afterturn up" in done.stderr


def test_a_port_that_is_taken_is_said(agent_env, called):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = called("metrics", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert "choose another --port" in done.stderr


def test_it_serves_until_it_is_stopped(agent_env):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "afterturn", "metrics", "--port", port]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        address = server.stderr.readline().split()[-1]
        with urlopen(address, timeout=30) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain")
            assert read(answer.read().decode())["afterturn_up", ("server", "redis")] == 1
    finally:
        server.send_signal(signal.SIGINT)
        assert server.wait(20) == 130
        server.stderr.close()
