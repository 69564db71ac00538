"""Real workers under the shared pace, and the queues that late work goes through."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import redis
from celery import Celery
from sqlalchemy import text

from afterturn_models import signatures
from afterturn_models.broker import QUEUE_PREFIX, celery_config, send
from afterturn_models.db import Database
from afterturn_models.store import late
from support.captured import Captures
from support.recorder import Recorder
from support.waiting import eventually
from support.workers import WorkerProcess

MESSAGES = r"/v3/workspaces/[^/]+/sessions/[^/]+/messages"
Start = Callable[..., WorkerProcess]


@pytest.fixture
def captures(database: Database, workspace: str) -> Captures:
    return Captures(database, workspace)


def stored(honcho: Any, captures: Captures, session: uuid.UUID) -> list[str]:
    found = honcho.control.messages(captures.workspace, captures.honcho_session(session))
    return [row["content"] for row in found]


def lost(captures: Captures, sessions: list[uuid.UUID]) -> None:
    """Have Honcho know nothing of what was settled, as after a move, and repair all of it."""
    with captures.database.statement() as connection:
        connection.execute(text("UPDATE messages SET honcho_session = honcho_session || '-moved'"))
        for session in sessions:
            rows = [row.id for row in captures.rows[session]]
            assert late.send_late(connection, session, rows) == len(rows)


def waits_late(captures: Captures) -> bool:
    with captures.database.statement() as connection:
        return bool(connection.execute(text("SELECT FROM cursors WHERE late LIMIT 1")).all())


def test_workers_together_keep_to_the_pace_and_use_it(
    honcho: Any, captures: Captures, start_worker: Start
) -> None:
    """Two in flight and eight a second, over two workers of four threads each."""
    honcho.control.add_rule("latency", method="POST", path=MESSAGES, seconds=0.2)
    with Recorder(honcho.url) as recorder:
        env = {
            "HONCHO_URL": recorder.url,
            "AFTERTURN_MAX_IN_FLIGHT": "2",
            "AFTERTURN_REQUESTS_PER_SECOND": "8",
        }
        for worker in [start_worker(name, env=env) for name in ("w1", "w2")]:
            worker.ready()
        sessions = [captures.open() for _ in range(24)]
        for session in sessions:
            captures.turn(session, "one", "two")
        eventually(lambda: all(captures.settled(session) for session in sessions), within=40)
        began = sorted(post.began for post in recorder.posts)
        assert len(began) == len(sessions)
        assert recorder.most_at_once() <= 2
        assert max(sum(1 for x in began if at <= x < at + 0.9) for at in began) <= 8
        # Three seconds at best. Whoever has to wait comes back by itself, and not with the relay.
        assert began[-1] - began[0] < 10
    for session in sessions:
        assert stored(honcho, captures, session) == ["one", "two"]


def test_one_429_stops_every_worker(honcho: Any, captures: Captures, start_worker: Start) -> None:
    honcho.control.add_rule(
        "status", method="POST", path=MESSAGES, status=429, retry_after=2, count=1
    )
    with Recorder(honcho.url) as recorder:
        env = {"HONCHO_URL": recorder.url}
        for worker in [start_worker(name, env=env) for name in ("w1", "w2")]:
            worker.ready()
        sessions = [captures.open() for _ in range(6)]
        captures.turn(sessions[0], "one")
        eventually(lambda: recorder.posts)
        assert recorder.posts[0].status == 429
        eventually(lambda: captures.cursor(sessions[0])["last_error"])
        for session in sessions[1:]:
            captures.turn(session, "one")
        eventually(lambda: all(captures.settled(session) for session in sessions), within=30)
        refused, *others = sorted(recorder.posts, key=lambda post: post.began)
    assert [post.status for post in others] == [201] * 6
    assert min(post.began for post in others) - refused.ended > 1.8


def test_the_relay_sends_repairs_to_the_bulk_and_turns_pass_by(
    honcho: Any, captures: Captures, redis_url: str, start_worker: Start
) -> None:
    """Nobody works on the bulk: repairs wait there, and turns of the same sessions do not."""
    sessions = [captures.open() for _ in range(3)]
    for session in sessions:
        captures.turn(session, "one", "two")
    worker = start_worker("w1", "--queues", "sync,prefetch,maintenance").ready()
    eventually(lambda: all(captures.settled(session) for session in sessions))
    lost(captures, sessions)
    with redis.Redis.from_url(redis_url) as client:
        bulk = f"{QUEUE_PREFIX}{signatures.BULK}"
        eventually(lambda: client.llen(bulk) >= 3)
        sent = [json.loads(one) for one in client.lrange(bulk, 0, -1)]
        assert {one["headers"]["task"] for one in sent} == {signatures.SYNC_SESSION}
        assert all("'late': True" in one["headers"]["kwargsrepr"] for one in sent)
        captures.turn(sessions[0], "three")
        eventually(lambda: captures.settled(sessions[0]))
        assert waits_late(captures)
        start_worker("w2", "--queues", "bulk,maintenance").ready()
        eventually(lambda: not waits_late(captures))
    for session in sessions:
        name = f"{captures.honcho_session(session)}-moved"
        found = honcho.control.messages(captures.workspace, name)
        assert [row["content"] for row in found] == ["one", "two"]
    assert '"exception"' not in worker.logs()


def test_a_share_that_is_over_is_hinted_at_again(
    honcho: Any, captures: Captures, redis_url: str, start_worker: Start
) -> None:
    """A long repair gives its thread back, and goes on at once without the relay."""
    session = captures.open()
    for _ in range(6):
        captures.turn(session, *["said"] * 100)
    env = {"AFTERTURN_RELAY_SECONDS": "60", "AFTERTURN_IDLE_SECONDS": "600"}
    worker = start_worker("w1", "--loglevel", "INFO", env=env).ready()
    app = Celery("agent")
    app.conf.update(celery_config(redis_url))
    send(app, signatures.sync_session(session))
    eventually(lambda: captures.settled(session))
    lost(captures, [session])
    honcho.control.add_rule("latency", method="POST", path=MESSAGES, seconds=1.1)
    before = len(worker.logs())
    send(app, signatures.sync_session(session, in_bulk=True))
    eventually(lambda: not waits_late(captures), within=30)
    said = worker.logs()[before:]
    app.close()
    assert "'standing': 'more'" in said
    name = f"{captures.honcho_session(session)}-moved"
    assert len(honcho.control.messages(captures.workspace, name)) == 600
