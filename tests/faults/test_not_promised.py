"""The two cases that are not promised, apart from the rest: what they double is counted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from afterturn_models import signatures
from afterturn_models.db import Database
from support.captured import Captures
from support.faults.audit import Audit, audit, settle
from support.faults.events import freeze
from support.faults.lines import Shot, Trap
from support.faults.processes import Worker
from support.faults.rig import Rig
from support.faults.tally import Tally
from support.waiting import eventually

_WRITTEN = 0.5  # seconds in which a worker has written a request, well within its deadline
MESSAGES = r"/v3/workspaces/[^/]+/sessions/[^/]+/messages"


@pytest.fixture
def captures(rig: Rig, workspace: str) -> Iterator[Captures]:
    database = Database(rig.postgres.url)
    yield Captures(database, workspace)
    database.close()


def _begin(rig: Rig, captures: Captures) -> None:
    session = captures.open()
    captures.turn(session, "one", "two")
    rig.publish(signatures.SYNC_SESSION, session_id=str(session))


def test_a_server_that_commits_later_than_the_settling_time_doubles_and_verify_says_so(
    rig: Rig, captures: Captures, tally: Tally, tmp_path: Path
) -> None:
    found = _double(rig, captures)
    tally.note("committed later than the settling time", sent=found.sent, doubled=found.doubled)
    assert (found.lost, found.foreign, found.doubled) == (0, 0, 2)
    report = _verified(rig, captures.workspace, tmp_path)
    assert (report["doubled"], report["missing"]) == (found.doubled, found.lost)


def _verified(rig: Rig, workspace: str, folder: Path) -> dict[str, Any]:
    """Have `afterturn resync --verify` look for what such a case leaves."""
    env = {
        **os.environ,
        "AFTERTURN_HOME": str(folder / "operator"),
        "AFTERTURN_DATABASE_URL": rig.postgres.url,
        "AFTERTURN_REDIS_URL": rig.valkey.url,
    }
    command = [sys.executable, "-m", "afterturn", "resync", "--workspace", workspace]
    done = subprocess.run(
        [*command, "--verify", "--json"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def _double(rig: Rig, captures: Captures) -> Audit:
    """Have Honcho commit a batch later than is promised."""
    late = rig.timing.settling + 3
    rig.honcho.control.add_rule(
        "late_commit", method="POST", path=MESSAGES, count=1, seconds=late, answer="drop"
    )
    _begin(rig, captures)
    settle(rig, captures.workspace, within=30)
    return eventually(lambda: _doubled(rig, captures), within=20)


def _doubled(rig: Rig, captures: Captures) -> Audit | None:
    found = audit(rig, captures.workspace)
    return found if found.doubled else None


def test_a_worker_frozen_between_its_last_look_and_its_post_doubles_and_verify_says_so(
    rig: Rig, captures: Captures, tally: Tally, tmp_path: Path, long_run: None
) -> None:
    """Its request is on the way when it is stopped, and arrives when another has sent the rows."""
    counts: Counter[str] = Counter()
    shot = Shot()
    for worker in rig.workers:
        act = partial(_freeze_on_the_way, rig, worker, counts)
        worker.lines["honcho"].set(
            Trap(frozenset({"post"}), after=False, act=act, passes=True, shot=shot)
        )
    _begin(rig, captures)
    eventually(lambda: counts["frozen"], within=20)
    settle(rig, captures.workspace, within=40)
    found = eventually(lambda: _doubled(rig, captures), within=20)
    eventually(lambda: not any(worker.frozen for worker in rig.workers), within=40)
    settle(rig, captures.workspace, within=40)
    tally.note("frozen after the last look", sent=found.sent, doubled=found.doubled)
    assert (found.lost, found.foreign, found.doubled) == (0, 0, 2)
    report = _verified(rig, captures.workspace, tmp_path)
    assert (report["doubled"], report["missing"]) == (found.doubled, found.lost)


def _freeze_on_the_way(rig: Rig, worker: Worker, counts: Counter[str]) -> None:
    """Stop it until another worker has sent the rows, and let its request through before it wakes.

    Awake, it would close the socket of a request whose deadline has passed.
    """
    line, loop = worker.lines["honcho"], rig.loop.loop
    line.holding()
    # Its head is seen before its body is written; held, it waits for an answer until its deadline.
    loop.call_later(_WRITTEN, lambda: freeze(rig, worker, counts, rig.timing.back + 4))
    loop.call_later(rig.timing.back + 2, lambda: rig.loop.spawn(line.healing()))
