"""Many sessions synced by one task: each message once and in order, whatever happens meanwhile."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable

import pytest

from afterturn_models.broker import send
from afterturn_models.db import Database
from afterturn_models.signatures import drain
from afterturn_models.store.resync import Selection, create_job, jobs
from afterturn_worker.factory import make_app
from support.captured import Captures
from support.recorder import Recorder
from support.waiting import eventually
from support.workers import WorkerProcess

MESSAGES = r"/v3/workspaces/[^/]+/sessions/[^/]+/messages"
Start = Callable[..., WorkerProcess]
SESSIONS = 24  # more than the relay hints at one by one


@pytest.fixture
def captures(database: Database, workspace: str) -> Captures:
    return Captures(database, workspace)


def fill(captures: Captures, *, sessions: int = SESSIONS, turns: int = 2) -> list[uuid.UUID]:
    opened = [captures.open() for _ in range(sessions)]
    for session in opened:
        for turn in range(turns):
            captures.turn(session, f"question {turn}", f"answer {turn}")
    return opened


def stored_once_and_in_order(honcho, captures: Captures, sessions: list[uuid.UUID]) -> None:
    for session in sessions:
        found = honcho.control.messages(captures.workspace, captures.honcho_session(session))
        assert [row["content"] for row in found] == [row.content for row in captures.rows[session]]


def taken(worker: WorkerProcess, task: str) -> int:
    return len(re.findall(rf"Task afterturn\.{task}\[[^]]*\] received", worker.logs()))


def drains(worker: WorkerProcess) -> int:
    return taken(worker, "drain")


def test_what_was_left_behind_is_drained_together(
    honcho, captures: Captures, start_worker: Start
) -> None:
    sessions = fill(captures)
    worker = start_worker("w1", "--loglevel", "INFO")
    eventually(lambda: all(captures.settled(session) for session in sessions), within=30)
    stored_once_and_in_order(honcho, captures, sessions)
    assert honcho.control.counters()["message_posts"] == SESSIONS  # one a session: four messages
    assert drains(worker) >= 1
    assert taken(worker, "sync_session") == 0


def test_what_is_out_of_the_ordinary_is_left_to_the_task_of_one_session(
    honcho, captures: Captures, start_worker: Start
) -> None:
    """A refused message, a lost answer and an answer of 500 among many sessions."""
    sessions = fill(captures)
    odd = captures.open()
    captures.turn(odd, "before", "x" * 26_000)  # longer than Honcho takes
    captures.turn(odd, "behind", "it")
    honcho.control.add_rule("lose_response", method="POST", path=MESSAGES, count=2)
    honcho.control.add_rule("status", method="POST", path=MESSAGES, count=1, status=500)
    start_worker()
    eventually(lambda: all(captures.settled(s) for s in [*sessions, odd]), within=60)
    stored_once_and_in_order(honcho, captures, sessions)
    found = honcho.control.messages(captures.workspace, captures.honcho_session(odd))
    assert [row["content"] for row in found] == ["before", "behind", "it"]


def test_a_worker_killed_in_the_middle_of_a_drain_doubles_nothing(
    honcho, captures: Captures, start_worker: Start
) -> None:
    for commit in (True, False):
        honcho.control.add_rule("hang", method="POST", path=MESSAGES, count=6, commit=commit)
    sessions = fill(captures)
    first = start_worker("w1", "--loglevel", "INFO")
    eventually(lambda: all(rule["fired"] == 6 for rule in honcho.control.rules()), within=20)
    assert drains(first) >= 1
    first.kill()
    start_worker("w2")
    eventually(lambda: all(captures.settled(session) for session in sessions), within=40)
    stored_once_and_in_order(honcho, captures, sessions)


def test_drains_hints_and_turns_at_once_double_nothing(
    honcho, captures: Captures, start_worker: Start, stack_env
) -> None:
    sessions = fill(captures)
    app = make_app()
    workers = [start_worker(f"w{number}") for number in (1, 2)]
    for turn in range(6):
        send(app, drain())
        for session in sessions[turn::6]:
            captures.turn(session, f"later {turn}", f"and {turn}")
    eventually(lambda: all(captures.settled(session) for session in sessions), within=40)
    stored_once_and_in_order(honcho, captures, sessions)
    total = honcho.control.audit(captures.workspace)["total"]
    assert total["duplicates"] == 0
    assert all(worker.running() for worker in workers)


def test_a_pace_holds_for_a_drain_too(
    honcho, captures: Captures, start_worker: Start, stack_env
) -> None:
    honcho.control.add_rule("latency", method="POST", path=MESSAGES, seconds=0.02)
    sessions = fill(captures)
    with Recorder(honcho.url) as recorder:
        worker = start_worker(
            "w1",
            "--loglevel",
            "INFO",
            env={"HONCHO_URL": recorder.url, "AFTERTURN_MAX_IN_FLIGHT": "3"},
        )
        eventually(lambda: all(captures.settled(session) for session in sessions), within=40)
        assert recorder.most_at_once() <= 3
    assert drains(worker) >= 1
    stored_once_and_in_order(honcho, captures, sessions)


def test_a_copy_of_many_sessions_is_drained_into_its_target(
    honcho,
    captures: Captures,
    database: Database,
    start_worker: Start,
) -> None:
    other = f"{captures.workspace}-copy"
    targets = json.dumps({"second": {"honchoUrl": honcho.url, "workspace": other}})
    sessions = fill(captures)
    worker = start_worker("w1", "--loglevel", "INFO", env={"AFTERTURN_TARGETS": targets})
    eventually(lambda: all(captures.settled(session) for session in sessions), within=30)
    with database.transaction() as connection:
        job, _ = create_job(connection, "copy", "second", Selection(workspace=captures.workspace))

    def done() -> bool:
        with database.statement() as connection:
            return jobs(connection, job)[0].state == "done"

    before = drains(worker)
    eventually(done, within=30)
    assert drains(worker) > before
    assert taken(worker, "resync_part") == 0
    for session in sessions:
        found = honcho.control.messages(other, captures.honcho_session(session))
        assert [row["content"] for row in found] == [row.content for row in captures.rows[session]]
