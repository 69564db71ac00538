"""What users of other Honcho integrations report, each on real processes.

Report 3 (more than 100 unsent messages were never sent) is `test_promises`' 130 after an outage.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from afterturn_models import signatures
from afterturn_models.db import Database
from support.captured import Captures
from support.faults.audit import audit, settle
from support.faults.events import lay_kill
from support.faults.lines import Line
from support.faults.rig import Rig
from support.waiting import eventually

_WHEN = {"post": "after post", "advance": "before advance"}
# An agent that says its turns and then ends in the way that it is told to.
_AGENT = """
import os, signal, sys, time
from afterturn import Memory

memory = Memory.open()
session = memory.session("exit")
session.begin_turn("one").end("two")
turn = session.begin_turn("three")
print("said", flush=True)
if sys.argv[1] == "waits":
    turn.end("four")
    print("ended", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def captures(rig: Rig, workspace: str) -> Iterator[Captures]:
    database = Database(rig.postgres.url)
    yield Captures(database, workspace)
    database.close()


def test_report_1_two_flushers_of_the_same_rows_double_nothing(
    rig: Rig, captures: Captures
) -> None:
    """Every task ten times over, by two workers; and a repeated "yes" is no double."""
    session = captures.open()
    for _ in range(10):
        captures.turn(session, "yes", "yes")
        for _ in range(10):
            rig.publish(signatures.SYNC_SESSION, session_id=str(session))
    settle(rig, captures.workspace, within=30)
    found = audit(rig, captures.workspace)
    assert found.sound
    assert found.sent == 20


def test_report_1_a_restart_replays_nothing(rig: Rig, captures: Captures) -> None:
    """All workers are started again, and Redis hands out what it still holds."""
    session = captures.open()
    captures.turn(session, "yes", "yes")
    rig.publish(signatures.SYNC_SESSION, session_id=str(session))
    settle(rig, captures.workspace, within=30)
    rig.crew(0)
    for _ in range(5):
        rig.publish(signatures.SYNC_SESSION, session_id=str(session))
    rig.crew(2)
    captures.turn(session, "no", "yes")
    settle(rig, captures.workspace, within=30)
    assert audit(rig, captures.workspace).sound


def test_report_2_a_crash_between_the_post_and_its_note_doubles_nothing(
    rig: Rig, captures: Captures
) -> None:
    """One worker dies with the answer to its POST on the way, one before it writes it down."""
    counts: Counter[str] = Counter()
    for step, after in (("post", True), ("advance", False)):
        lay_kill(rig, counts, step, after=after)
        session = captures.open()
        captures.turn(session, "one", "two")
        rig.publish(signatures.SYNC_SESSION, session_id=str(session))
        eventually(lambda step=step: counts[f"killed {_WHEN[step]}"], within=20)
    settle(rig, captures.workspace, within=40)
    found = audit(rig, captures.workspace)
    assert found.sound
    assert found.sent == 4


def _start(rig: Rig, workspace: str, home: Path, how: str) -> subprocess.Popen[str]:
    env = {
        **os.environ,
        "AFTERTURN_HOME": str(home),
        "AFTERTURN_WORKSPACE": workspace,
        "AFTERTURN_DATABASE_URL": rig.agent_lines["postgres"].url,
        "AFTERTURN_REDIS_URL": rig.agent_lines["redis"].url,
    }
    return subprocess.Popen(
        [sys.executable, "-c", _AGENT, how], env=env, text=True, stdout=subprocess.PIPE
    )


def _said(rig: Rig, workspace: str) -> list[str]:
    found = rig.honcho.control.messages(workspace, "exit")
    return [message["content"] for message in found]


def test_report_5_an_agent_that_exits_leaves_its_interrupted_turn_and_no_thread(
    rig: Rig, workspace: str, tmp_path: Path
) -> None:
    """Nothing is closed, and Redis has fallen silent: it ends at once all the same, with 0."""
    rig.agent_lines["redis"].silence()
    process = _start(rig, workspace, tmp_path / "agent", "exits")
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "said\n"
        said = time.monotonic()
        assert process.wait(30) == 0
        took = time.monotonic() - said
    rig.each_line(Line.heal)
    settle(rig, workspace, within=30)
    assert _said(rig, workspace) == ["one", "two", "three"]
    assert took < 10


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_report_5_what_a_terminated_agent_had_captured_arrives(
    rig: Rig, workspace: str, tmp_path: Path, number: signal.Signals
) -> None:
    """Nothing of it got to Redis: the relay finds it in Postgres."""
    rig.agent_lines["redis"].refuse()
    with _start(rig, workspace, tmp_path / "agent", "waits") as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["said\n", "ended\n"]
        process.send_signal(number)
        assert process.wait(10) == -number
    rig.each_line(Line.heal)
    settle(rig, workspace, within=30)
    assert _said(rig, workspace) == ["one", "two", "three", "four"]


def test_report_6_writers_of_one_session_at_once_lose_nothing(rig: Rig, captures: Captures) -> None:
    """No cache stands between a turn and Postgres; that caches are bounded, their own tests say."""
    session = captures.open()

    def write(writer: int) -> None:
        for turn in range(10):
            captures.turn(session, f"{writer} asks {turn}", "yes")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    rig.publish(signatures.SYNC_SESSION, session_id=str(session))
    settle(rig, captures.workspace, within=30)
    found = audit(rig, captures.workspace)
    assert found.sound
    assert found.sent == 80
