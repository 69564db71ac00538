"""The dialectic's price and pace: real agents, workers, Postgres, Redis, and the stand-in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from celery import Celery
from sqlalchemy import text

from afterturn_models.broker import QUEUE_PREFIX, celery_config, send
from afterturn_models.db import Database
from afterturn_models.prefetched import context_task_id, decode, dialectic_task_id, result_key
from afterturn_models.signatures import prefetch_context, prefetch_dialectic
from afterturn_models.store.dialectic import Account, accounts
from support.captured import Captures
from support.waiting import eventually

TESTS = Path(__file__).parents[1]
SESSIONS = 6


class Price:
    """One test's stack, seen from its ends."""

    def __init__(self, database: Database, workspace: str, honcho, redis_url: str) -> None:
        self.captures = Captures(database, workspace)
        self.redis = redis.Redis.from_url(redis_url)
        self.honcho = honcho
        self._database = database

    def chats(self) -> int:
        """Tell how many questions the stand-in would have put to an LLM."""
        return int(self.honcho.control.counters()["chats"])

    def met(self, rule: int) -> int:
        """Tell how many requests a fault met; the counters count what was answered."""
        return next(int(one["fired"]) for one in self.honcho.control.rules() if one["id"] == rule)

    def queued(self) -> int:
        """Count tasks that wait for a worker."""
        return sum(self.redis.llen(f"{QUEUE_PREFIX}{name}") for name in ("sync", "prefetch"))

    def account(self) -> Account:
        """Read the workspace's account."""
        with self._database.statement() as connection:
            found = connection.execute(text("SELECT id FROM workspaces")).scalar_one()
            return accounts(connection, found)[0]

    def unsettled(self) -> int:
        """Count messages that are not at Honcho."""
        with self._database.statement() as connection:
            query = text(
                "SELECT coalesce(sum(s.next_index - 1 - c.last_saved_index), 0)"
                " FROM cursors c JOIN sessions s ON s.id = c.session_id"
            )
            return int(connection.execute(query).scalar_one())

    def popped(self, task_id: str) -> str | None:
        """Give a result as it is stored, None where there is none yet."""
        found = self.redis.get(result_key(task_id))
        return None if found is None else bytes(found).decode()


@pytest.fixture
def price(database_url, stack_env, workspace, honcho, redis_url) -> Iterator[Price]:
    database = Database(database_url)
    made = Price(database, workspace, honcho, redis_url)
    yield made
    made.redis.close()
    database.close()


def talk(env: dict[str, str], turns: list[int]) -> list[float]:
    """Run an agent process for each number of turns, all at once; gives each one's slowest, ms."""
    done = subprocess.run(
        [sys.executable, "-m", "support.talker", str(SESSIONS), *map(str, turns)],
        env={**os.environ, **env, "PYTHONPATH": str(TESTS)},
        stdout=subprocess.PIPE,
        check=True,
        timeout=120,
    )
    slowest = [float(line) for line in done.stdout.split()]
    assert len(slowest) == len(turns)
    return slowest


def test_a_budget_of_20_under_500_turns_of_8_processes(price, start_worker, stack_env, workspace):
    budget = {"AFTERTURN_DIALECTIC_CALLS_PER_HOUR": "20"}
    workers = [start_worker(f"w{n}", concurrency=8, env=budget) for n in (1, 2)]
    talk({**stack_env, **budget}, [63] * 4 + [62] * 4)
    for worker in workers:
        worker.ready()
    eventually(lambda: not price.unsettled(), within=60)
    eventually(lambda: price.account().hour.refused, within=30)
    eventually(lambda: not price.queued(), within=30)
    audit = price.honcho.control.audit(workspace)
    assert audit["total"]["stored"] == 1000  # two messages a turn: every turn went on
    assert audit["total"]["duplicates"] == 0
    assert price.chats() == price.account().hour.calls == 20
    price.redis.flushall()  # which gives nothing of it back
    before = price.account().hour.refused
    for _ in range(3):
        price.captures.turn(price.captures.open(), "And what of this?", "That.")
    eventually(lambda: price.account().hour.refused >= before + 3, within=30)
    assert price.chats() == 20


def test_chats_that_take_long_delay_nothing_else(price, start_worker, stack_env):
    """Syncs and contexts find a thread however many chats wait for their LLM; so does a turn."""
    rule = price.honcho.control.add_rule("hang", path=".*/chat")
    worker = start_worker("w1", concurrency=4).ready()
    sessions = [price.captures.open() for _ in range(10)]
    for session in sessions:
        price.captures.turn(session, "Where do I live?", "I do not know.")
    eventually(lambda: price.met(rule) == 2, within=20)  # half of its threads wait for a chat now
    for number in (2, 3):
        for session in sessions:
            price.captures.turn(session, f"And where did I live {number}?", "I do not know.")
        wanted = [context_task_id(session, number) for session in sessions]
        eventually(lambda wanted=wanted: all(map(price.popped, wanted)), within=20)
        assert all(decode(price.popped(task)).turn == number for task in wanted)
    assert not price.unsettled()
    assert talk(dict(stack_env), [12])[0] < 3000
    assert price.met(rule) == 2  # and all others wait for room
    worker.kill()  # it would wait for them


def test_chats_that_fail_are_told_apart_from_nothing_known(price, start_worker):
    price.honcho.control.add_rule("status", path=".*/chat", status=500, count=1)
    worker = start_worker("w1").ready()
    session = price.captures.open()
    failed = price.captures.turn(session, "Where do I live?", "I do not know.")
    eventually(lambda: price.popped(dialectic_task_id(session, failed)), within=20)
    cursor = price.captures.cursor(session)
    assert (cursor["dialectic_turn"], cursor["empty_dialectics"]) == (failed, 0)
    day = price.account().day
    assert (day.calls, day.unanswered, day.empty, day.refused) == (1, 1, 0, 0)
    eventually(lambda: price.popped(context_task_id(session, failed)), within=20)
    lines = [json.loads(line) for line in worker.logs().splitlines() if line.startswith("{")]
    said = {line["event"]: line for line in lines if line.get("session") == str(session)}
    assert "Honcho answers 500" in said["honcho_failed"]["error"]
    assert "dialectic_empty" not in said


def test_a_session_that_opens_is_asked_about_once(price, start_worker, redis_url):
    """The task may come twice; Honcho has no such session yet, and answers all the same."""
    start_worker("w1").ready()
    known = price.captures.open()
    price.captures.turn(known, "I live in Lisbon and work on kites.", "Noted.")
    eventually(lambda: price.captures.settled(known), within=20)
    eventually(lambda: price.popped(dialectic_task_id(known, 1)), within=20)
    before, opened = price.chats(), price.captures.open()
    app = Celery("agent")
    app.conf.update(celery_config(redis_url))
    for task in (prefetch_context(opened, 0), *[prefetch_dialectic(opened, 0)] * 3):
        send(app, task)
    raw = eventually(lambda: price.popped(dialectic_task_id(opened, 0)), within=20)
    eventually(lambda: price.popped(context_task_id(opened, 0)), within=20)
    eventually(lambda: not price.queued(), within=20)
    answer = decode(raw)
    assert answer is not None
    assert "Lisbon" in str(answer.dialectic)
    assert price.chats() == before + 1
    assert price.popped(dialectic_task_id(opened, 0)) == raw  # no twin has written over it
    app.close()
