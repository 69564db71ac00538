"""Traces: one from a turn to the POST of a real worker, and none where nobody wants any."""

from __future__ import annotations

import json
import threading

import pytest
import redis
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from afterturn import Memory
from afterturn.dispatch import Dispatcher
from afterturn_models import tracing
from afterturn_models.errors import MissingExtraError
from afterturn_models.timings import WORKER, recent
from support.otlp import OtlpCollector
from support.waiting import eventually

SECRET = "aardvark"
SYNC = "afterturn.sync_session"
STAGES = ("lock", "pop", "assemble", "model", "capture", "hint")


@pytest.fixture
def collector(monkeypatch):
    with OtlpCollector() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")  # ms
        yield found


def ids(memory, session):
    """Give a session's id in Postgres."""
    opened = session.opened()
    assert opened is not None
    return str(opened.id)


def test_a_turn_and_all_that_workers_do_for_it_are_one_trace_and_are_measured(
    collector, start_worker, redis_url, workspace, called, monkeypatch
):
    rarely = {"AFTERTURN_RELAY_SECONDS": "2"}  # hints come first
    worker = start_worker("w1", "--loglevel", "DEBUG", env=rarely).ready()
    with Memory.open() as memory:
        session = memory.session(name="talk")
        turns = [_talk(session)]
        # The relay may find a turn before its hint comes; then that is not what is looked for.
        while not (root := _posted(collector, turns[-1])):
            assert len(turns) < 10
            turns.append(_talk(session))
        session_id = ids(memory, session)
        _relayed(collector, memory, monkeypatch)
    worker.stop()  # what is left is told at the end
    assert root.attributes["afterturn.session"] == session_id
    _one_trace(collector, root, session_id)
    _no_text(collector, worker)
    with redis.Redis.from_url(redis_url) as there:
        found = recent(there, workspace, 1)[WORKER]
        assert {"sync", "claim", "post", "settle", "http", "prefetch", "dialectic"} <= set(found)
        told = [there.hgetall(key) for key in there.keys("afterturn:timings:*")]
        assert SECRET not in str(told)
    shown = json.loads(called("status", "--timings", "--json").stdout)
    assert list(shown["worker"])[:4] == ["sync", "claim", "post", "settle"]
    assert shown["agent"]["capture"]["count"] == len(turns) + 1
    assert SECRET not in called("metrics", "--once").stdout


def _talk(session):
    turn = session.begin_turn(f"My name is Ann. I own an {SECRET}.")
    turn.add("tool", f"an {SECRET} was found")
    turn.end(f"I like your {SECRET}.")
    return turn


def _posted(collector, turn):
    """Give a turn's span, once a worker told of its task; None where that one had nothing to send."""

    def synced():
        for root in collector.named("afterturn.turn"):
            if root.attributes["afterturn.turn"] == str(turn.id):
                return [(root, s) for s in collector.named(SYNC) if s.parent == root.id]
        return []

    [(root, sync)] = eventually(synced)
    return root if any(s.parent == sync.id for s in collector.named("afterturn.post")) else None


def _one_trace(collector, root, session_id):
    assert (root.parent, root.service) == ("", "afterturn-agent")
    for stage in STAGES:
        [child] = [s for s in collector.named(f"afterturn.{stage}") if s.parent == root.id]
        assert child.trace == root.trace
        assert child.end >= child.start
        assert root.start <= child.start <= child.end <= root.end
    [sync] = [span for span in collector.named(SYNC) if span.parent == root.id]
    assert sync.trace == root.trace
    assert sync.service == "afterturn-worker"
    assert sync.attributes["afterturn.session_id"] == session_id
    under = {span.name: span for span in collector.spans if span.parent == sync.id}
    assert {"afterturn.claim", "afterturn.post", "afterturn.settle"} <= set(under)
    assert {"afterturn.prefetch_context", "afterturn.prefetch_dialectic"} <= set(under)
    assert {span.trace for span in under.values()} == {root.trace}
    assert under["afterturn.post"].attributes["messages"] == 2
    posts = [s for s in collector.named("afterturn.http") if s.parent == under["afterturn.post"].id]
    assert {span.attributes["http.request.method"] for span in posts} == {"POST"}
    assert {span.attributes["http.response.status_code"] for span in posts} <= {200, 201}


def _no_text(collector, worker):
    assert SECRET.encode() not in collector.raw
    lines = [line for line in worker.logs().splitlines() if "task_timed" in line]
    assert any('"stage": "sync"' in line for line in lines)
    assert SECRET not in "".join(lines)


def _relayed(collector, memory, monkeypatch):
    """Lose a turn's hint: what the relay finds begins a trace of its own."""
    with monkeypatch.context() as patched:
        patched.setattr(Dispatcher, "hint", lambda *_, **__: None)
        session = memory.session(name="other")
        turn = session.begin_turn("hello")
        turn.end("hi")
        other = ids(memory, session)
    told = "afterturn.session", "afterturn.session_id"
    [mine] = eventually(
        lambda: (
            memory.timings()
            and [s for s in collector.named("afterturn.turn") if s.attributes.get(told[0]) == other]
        )
    )
    synced = eventually(
        lambda: [s for s in collector.named(SYNC) if s.attributes[told[1]] == other]
    )
    assert (synced[0].parent, synced[0].trace == mine.trace) == ("", False)


def test_a_hosts_span_is_the_parent_and_its_provider_is_used(agent_env, monkeypatch):
    found, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(found))
    with Memory.open() as memory:
        session = memory.session(name="talk")
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)  # the host sets it late
        session.begin_turn("hello").end("hi")
        eventually(found.get_finished_spans)
        found.clear()
        with provider.get_tracer("host").start_as_current_span("request"):
            turn = session.begin_turn(f"I own an {SECRET}.")
        turn.add("tool", f"an {SECRET}")
        turn.end("Fine.")
    spans = {span.name: span for span in found.get_finished_spans()}
    stages = {f"afterturn.{stage}" for stage in STAGES}
    assert set(spans) == {"request", "afterturn.turn", *stages}
    mine, host = spans["afterturn.turn"], spans["request"]
    assert mine.parent.span_id == host.context.span_id
    assert len({span.context.trace_id for span in spans.values()}) == 1
    assert host.start_time - 1e6 <= mine.start_time <= host.end_time + 1e6  # clocks of two kinds
    assert [event.name for event in spans["afterturn.model"].events] == ["message added"]
    assert SECRET not in "".join(span.to_json() for span in spans.values())
    provider.shutdown()


def test_nothing_is_traced_where_nobody_wants_spans(open_memory, monkeypatch):
    quiet = [open_memory()]
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    quiet.append(open_memory(otel=False))
    for memory in quiet:
        turn = memory.session(name="talk").begin_turn("hello")
        turn.end("hi")
        assert memory._services.dispatcher.drain(30)
        assert memory.timings()["capture"].count == 1
        assert (turn.marks.context, turn.marks.span) == (None, None)
        assert memory._services.timings.tracing.tracer() is None


def test_what_is_wanted_and_not_installed_is_said(agent_env, monkeypatch):
    monkeypatch.setattr(tracing, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'afterturn\[otel\]'"):
        Memory.open(otel=True)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    with Memory.open() as memory:  # the variable may be meant for others
        assert not memory._services.timings.tracing.on


def test_a_collector_that_is_away_keeps_no_end_waiting(agent_env, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    ended = []
    memory = Memory.open(otel=True)
    memory.session(name="talk").begin_turn("hello").end("hi")
    shutdown = memory._services.timings.tracing._own.shutdown
    monkeypatch.setattr(
        memory._services.timings.tracing._own,
        "shutdown",
        lambda: ended.append(threading.current_thread().name) or shutdown(),
    )
    memory.close()
    assert ended == ["afterturn-otel-end"]
