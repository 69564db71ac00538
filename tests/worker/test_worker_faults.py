"""Real workers on bad days: killed, unanswered, refused, stalled, unconfigured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from celery import Celery
from sqlalchemy import text

from afterturn_models.broker import celery_config
from afterturn_models.db import Database
from afterturn_models.store import workers
from afterturn_sandbox.ports import free_port
from afterturn_worker.heartbeat import stalled_after
from support.captured import Captures
from support.waiting import eventually
from support.workers import WorkerProcess

MESSAGES = r"/v3/workspaces/[^/]+/sessions/[^/]+/messages"
Start = Callable[..., WorkerProcess]


@pytest.fixture
def captures(database: Database, workspace: str) -> Captures:
    return Captures(database, workspace)


def stored(honcho, captures: Captures, session: uuid.UUID) -> list[str]:
    found = honcho.control.messages(captures.workspace, captures.honcho_session(session))
    return [row["content"] for row in found]


def test_a_worker_killed_during_its_posts_is_settled_by_another(
    honcho, captures: Captures, start_worker: Start
) -> None:
    """One of the two posts had been stored when the worker died, the other had not."""
    for commit in (True, False):
        honcho.control.add_rule("hang", method="POST", path=MESSAGES, count=1, commit=commit)
    sessions = [captures.open(), captures.open()]
    for session in sessions:
        captures.turn(session, "one", "two")
    first = start_worker("w1")
    eventually(lambda: all(rule["fired"] for rule in honcho.control.rules()), within=20)
    first.kill()
    start_worker("w2")
    eventually(lambda: all(captures.settled(session) for session in sessions), within=30)
    for session in sessions:
        assert stored(honcho, captures, session) == ["one", "two"]


def test_answers_that_are_all_lost_double_nothing(
    honcho, captures: Captures, start_worker: Start
) -> None:
    rule = honcho.control.add_rule("lose_response", method="POST", path=MESSAGES)
    sessions = [captures.open() for _ in range(8)]
    for session in sessions:
        captures.turn(session, "one", "two")
    start_worker()
    eventually(lambda: all(captures.settled(session) for session in sessions), within=30)
    assert honcho.control.counters()["message_posts"] == len(sessions)  # one a batch
    assert [r["fired"] for r in honcho.control.rules() if r["id"] == rule] == [len(sessions)]
    total = honcho.control.audit(captures.workspace)["total"]
    assert (total["stored"], total["duplicates"]) == (2 * len(sessions), 0)


class LateHoncho:
    """A stand-in with a key, started when a test says so, on a port that is known before."""

    def __init__(self, folder: Path) -> None:
        self.key = "hch-v3-right-key"
        self._folder = folder
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        ready = self._folder / "ready.json"
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "afterturn_sandbox.honcho",
                "--port",
                str(self._port),
                "--data",
                str(self._folder / "honcho"),
                "--ready-file",
                str(ready),
            ],
            env={**os.environ, "AFTERTURN_SANDBOX_HONCHO_KEY": self.key},
        )
        eventually(ready.exists, within=20)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)


@pytest.fixture
def late_honcho(tmp_path: Path) -> Iterator[LateHoncho]:
    made = LateHoncho(tmp_path)
    yield made
    made.stop()


def test_an_outage_is_waited_out_and_a_wrong_key_parks_until_it_is_mended(
    late_honcho: LateHoncho, captures: Captures, start_worker: Start
) -> None:
    session = captures.open()
    captures.turn(session, "one", "two")
    wrong = start_worker("w1", env={"HONCHO_URL": late_honcho.url, "HONCHO_API_KEY": "wrong-key"})
    away = eventually(lambda: captures.cursor(session)["last_error"], within=20)
    assert "cannot be reached" in str(away)
    assert captures.cursor(session)["parked"] is None

    late_honcho.start()
    reason = eventually(lambda: captures.cursor(session)["parked"], within=20)
    assert "HONCHO_API_KEY" in str(reason)
    assert "wrong-key" not in str(reason) + wrong.logs()
    assert not captures.settled(session)
    assert wrong.stop() == 0

    with captures.database.statement() as connection:  # as if the half minute had passed
        connection.execute(text("UPDATE cursors SET run_at = clock_timestamp()"))
    start_worker("w2", env={"HONCHO_URL": late_honcho.url, "HONCHO_API_KEY": late_honcho.key})
    eventually(lambda: captures.settled(session), within=20)  # nobody said unpark
    assert captures.cursor(session)["parked"] is None


def test_a_worker_that_no_task_reaches_ends_itself(
    database: Database, redis_url: str, start_worker: Start
) -> None:
    worker = start_worker().ready()
    app = Celery("agent")
    app.conf.update(celery_config(redis_url))
    app.control.cancel_consumer(f"{worker.name}.dq2", destination=[worker.name], reply=True)
    late = stalled_after(60) + 1

    def gone() -> bool:
        with database.statement() as connection:  # as if no beat had arrived for so long
            connection.execute(
                text("UPDATE workers SET beat_at = clock_timestamp() - make_interval(secs => :s)"),
                {"s": late},
            )
        return worker._process.poll() is not None

    eventually(gone, within=30, every=0.5)
    app.close()
    assert worker._process.returncode == 75  # so that a supervisor starts it again
    assert '"stalled"' in worker.logs()
    with database.statement() as connection:
        assert not workers.workers(connection)


@pytest.mark.parametrize(
    ("chat", "age"), [(1, 120), (60, 120), (300, 600)], ids=["short", "usual", "long"]
)
def test_a_worker_in_a_long_chat_is_not_stalled(chat: float, age: float) -> None:
    assert stalled_after(chat) == age


def test_it_refuses_to_start_unconfigured_with_one_sentence(
    stack_env: Mapping[str, str], tmp_path: Path
) -> None:
    readable = tmp_path / "readable"
    readable.mkdir()
    (readable / "config.json").write_text(json.dumps({"apiKey": "hch-v3-key"}))
    (readable / "config.json").chmod(0o644)
    missing = ("AFTERTURN_REDIS_URL", "AFTERTURN_DATABASE_URL", "HONCHO_URL")
    started = {name: start_unconfigured({**os.environ, name: ""}) for name in missing}
    started["chmod 600"] = start_unconfigured({**os.environ, "AFTERTURN_HOME": str(readable)})
    for named, process in started.items():
        _, told = process.communicate(timeout=60)
        said = [line for line in told.splitlines() if line.startswith("afterturn: ")]
        assert process.returncode == 1, told
        assert len(said) == 1, told
        assert named in said[0]
        assert "Traceback" not in told
        assert "hch-v3-key" not in told


def start_unconfigured(env: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "afterturn_worker.app", "worker"],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
