"""One real worker on Celery, Redis and Postgres, and what it does all day."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from celery import Celery
from kombu import Connection
from sqlalchemy import make_url

from afterturn_models import signatures
from afterturn_models.broker import QUEUE_PREFIX, RESULT_EXPIRES, celery_config, send
from afterturn_models.db import Database
from afterturn_models.prefetched import context_task_id, decode, dialectic_task_id, result_key
from afterturn_models.store import workers
from support.captured import Captures
from support.databases import shared_database
from support.waiting import eventually
from support.workers import WorkerProcess

SECRET = "the-secret-word"
KEY = "hch-v3-a-key-that-the-stand-in-ignores"


class Day:
    """A worker that is up, and its stack."""

    def __init__(self, worker: WorkerProcess, captures: Captures, honcho, redis_url: str) -> None:
        self.worker = worker
        self.captures = captures
        self.honcho = honcho
        self.redis = redis.Redis.from_url(redis_url)
        self.app = Celery("agent")
        self.app.conf.update(celery_config(redis_url))

    def messages(self, session: uuid.UUID) -> list[str]:
        """Give what Honcho has of a session."""
        try:
            found = self.honcho.control.messages(
                self.captures.workspace, self.captures.honcho_session(session)
            )
        except ValueError:
            return []  # no such session yet
        return [row["content"] for row in found]

    def synced(self, session: uuid.UUID, *said: str) -> None:
        """Wait until exactly `said` is at Honcho and settled here."""
        eventually(lambda: self.captures.settled(session), within=15)
        assert self.messages(session) == list(said)


@pytest.fixture(scope="module")
def day(
    postgres: str, valkey: str, honcho_process, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Day]:
    """Start one worker for all of these tests."""
    folder, name = tmp_path_factory.mktemp("day"), f"day{os.getpid()}"
    with shared_database(postgres, name) as database_url:
        honcho_process.control.clear()
        env = {
            "HOME": str(folder),
            "AFTERTURN_HOME": str(folder / ".afterturn"),
            "AFTERTURN_DATABASE_URL": database_url,
            "AFTERTURN_REDIS_URL": valkey,
            "AFTERTURN_WORKSPACE": name,
            "HONCHO_URL": honcho_process.url,
            "HONCHO_API_KEY": KEY,
            "AFTERTURN_RELAY_SECONDS": "0.3",
            "LC_ALL": "C.UTF-8",
        }
        with redis.Redis.from_url(valkey) as client:
            client.flushall()
        database = Database(database_url)
        worker = WorkerProcess(name, env, folder / "worker.log", "--loglevel", "INFO")
        try:
            day = Day(worker.ready(), Captures(database, name), honcho_process, valkey)
            yield day
            day.redis.close()
            day.app.close()
        finally:
            worker.stop()
            database.close()


def test_celerys_own_commands_see_it(day: Day) -> None:
    ping = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "afterturn_worker.app", "inspect", "ping", "-j"],
        env=day.worker.env,
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert json.loads(ping.stdout)[day.worker.name] == {"ok": "pong"}
    asked = day.app.control.inspect(destination=[day.worker.name], limit=1)
    assert set(asked.registered()[day.worker.name]) == set(signatures.TASK_QUEUE)
    queues = {queue["name"] for queue in asked.active_queues()[day.worker.name]}
    assert queues >= set(signatures.QUEUES)
    assert "celery" not in queues


def test_a_capture_without_any_hint_is_found_by_the_relay(day: Day) -> None:
    session = day.captures.open()
    day.captures.turn(session, f"{SECRET} one", "two")
    day.synced(session, f"{SECRET} one", "two")


def test_a_hint_may_come_twice_late_and_for_nothing(day: Day) -> None:
    session = day.captures.open()
    day.captures.turn(session, "one", "two")
    for _ in range(5):
        send(day.app, signatures.sync_session(session))
    send(day.app, signatures.sync_session(uuid.uuid4()))
    day.synced(session, "one", "two")


def test_a_caller_is_told_where_the_session_stands(day: Day) -> None:
    session = day.captures.open()
    day.captures.turn(session, "one", "two")
    name = uuid.uuid4().hex
    send(day.app, signatures.sync_session(session, task_id=name))
    told = day.app.AsyncResult(name).get(timeout=10)
    assert told["standing"] in {"synced", "busy"}  # busy where the relay was first


def test_a_redis_that_is_flushed_loses_nothing(day: Day) -> None:
    waiting = [day.captures.open() for _ in range(10)]
    for session in waiting:
        day.captures.turn(session, "one", "two")
        send(day.app, signatures.sync_session(session))
    day.redis.flushall()
    for session in waiting:
        day.synced(session, "one", "two")


def test_prefetches_wait_under_the_agents_keys_and_expire(day: Day) -> None:
    session = day.captures.open()
    turn = day.captures.turn(session, f"I live in {SECRET}.", "noted")
    keys = [result_key(make(session, turn)) for make in (context_task_id, dialectic_task_id)]
    eventually(lambda: day.redis.exists(*keys) == 2, within=15)
    context, dialectic = (decode(day.redis.get(key)) for key in keys)
    assert context is not None
    assert context.turn == turn
    assert context.context is not None
    assert SECRET in context.context.representation
    assert dialectic is None or dialectic.turn == turn
    assert all(0 < day.redis.ttl(key) <= RESULT_EXPIRES for key in keys)


@pytest.mark.parametrize("serializer", ["pickle", "yaml"])
def test_only_json_is_taken(day: Day, serializer: str, tmp_path: Path) -> None:
    """A message that would run code when it is read is not read."""
    mark = tmp_path / "read"
    content = {"pickle": "application/x-python-serialize", "yaml": "application/x-yaml"}[serializer]
    body = {
        "pickle": f"cos\nsystem\n(S'touch {mark}'\ntR.",
        "yaml": f"!!python/object/apply:os.system ['touch {mark}']",
    }[serializer]
    headers = {"task": signatures.SYNC_SESSION, "id": f"bad-{serializer}", "lang": "py"}
    with (
        Connection(
            day.app.conf.broker_url, transport_options={"global_keyprefix": QUEUE_PREFIX}
        ) as connection,
        connection.Producer() as producer,
    ):
        producer.publish(
            body.encode(),
            routing_key=signatures.SYNC,
            content_type=content,
            content_encoding="binary",
            headers=headers,
        )
    refused = f"Refusing to deserialize untrusted content of type {serializer}"
    eventually(lambda: refused in day.worker.logs(), within=10)
    session = day.captures.open()
    day.captures.turn(session, "one", "two")
    day.synced(session, "one", "two")  # and it goes on
    assert not mark.exists()


def test_a_broken_argument_fails_alone(day: Day) -> None:
    day.app.send_task(signatures.SYNC_SESSION, kwargs={"session_id": "none"}, queue=signatures.SYNC)
    session = day.captures.open()
    day.captures.turn(session, "one", "two")
    day.synced(session, "one", "two")


def test_an_outage_is_one_line_and_not_a_traceback(day: Day) -> None:
    session = day.captures.open()
    day.honcho.control.add_rule("status", path=".*/chat", status=500)
    before = len(day.worker.logs())
    turn = day.captures.turn(session, f"{SECRET}?", "two")
    key = result_key(dialectic_task_id(session, turn))
    eventually(lambda: day.redis.exists(key), within=15)
    day.honcho.control.clear()
    said = day.worker.logs()[before:]
    lines = [json.loads(x) for x in said.splitlines() if '"honcho_failed"' in x]
    line = next(x for x in lines if x["task_id"] == dialectic_task_id(session, turn))
    assert line["session"] == str(session)
    assert line["task"] == signatures.PREFETCH_DIALECTIC
    assert "Traceback" not in said


def test_at_the_end_of_the_day_its_row_is_gone_and_its_log_is_clean(day: Day) -> None:
    assert day.worker.name in _names(day)
    assert day.worker.stop() == 0
    assert day.worker.name not in _names(day)
    said = day.worker.logs()
    assert "succeeded" in said  # there is something to be clean
    urls = ("AFTERTURN_DATABASE_URL", "AFTERTURN_REDIS_URL")
    passwords = [str(make_url(day.worker.env[url]).password or "") for url in urls]
    assert all(passwords)
    for secret in (SECRET, KEY, *passwords):
        assert secret not in said, [line for line in said.splitlines() if secret in line][:3]
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert all(line["level"] and line["timestamp"] for line in lines)
    expected = ("badly formed hexadecimal UUID", "ContentDisallowed")
    tracebacks = [line["exception"] for line in lines if "exception" in line]
    unexpected = [text for text in tracebacks if not any(known in text for known in expected)]
    assert not unexpected


def _names(day: Day) -> list[str]:
    with day.captures.database.statement() as connection:
        return [worker.name for worker in workers.workers(connection)]
