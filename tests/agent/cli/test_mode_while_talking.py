"""A mode changed while 4 agents talk and 2 workers sync: nothing goes where it should not after it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from support.waiting import eventually

AGENTS = 4
TURNS = 5  # of each agent, in each of the three modes, at least
TESTS = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path):
    found = tmp_path / "talk"
    found.mkdir()
    return found


@pytest.fixture
def talkers(stack_env, folder):
    """Have the agents talk; they end with the test."""
    paths = [str(TESTS), os.environ.get("PYTHONPATH", "")]
    process = subprocess.Popen(
        [sys.executable, "-m", "support.steady_talker", str(AGENTS), str(folder)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )
    yield process
    (folder / "stop").touch()
    process.wait(60)


def turns(folder, agent):
    path = folder / f"a{agent}.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def talk_on(folder, since):
    """Wait until each agent has had enough turns that began after a time."""

    def enough():
        had = [turns(folder, agent) for agent in range(AGENTS)]
        return all(sum(one["began"] > since for one in found) >= TURNS for found in had)

    eventually(enough, within=60)


class Command:
    """A command as a user runs it, and when it began and ended."""

    def __init__(self, afterturn, *words):
        self.began = time.time()
        done = afterturn(*words)
        self.ended = time.time()
        assert (done.returncode, done.stderr) == (0, ""), done


def stored(database_url):
    """Give (session, role, what was said, its delivery, why) of every row, in order."""
    with psycopg.connect(database_url) as there:
        return there.execute(
            "SELECT s.key, m.role, m.content, m.delivery, m.reason FROM messages m"
            " JOIN sessions s ON s.id = m.session_id ORDER BY s.key, m.index"
        ).fetchall()


def test_no_message_after_the_change_goes_where_it_should_not(
    afterturn, start_worker, talkers, folder, database_url, honcho, workspace
):
    for worker in [start_worker("w1"), start_worker("w2")]:
        worker.ready()
    talk_on(folder, 0)
    local = Command(afterturn, "mode", "local", "--user")
    talk_on(folder, local.ended)
    alone = Command(afterturn, "mode", "honcho", "--user")
    talk_on(folder, alone.ended)
    (folder / "stop").touch()
    assert talkers.wait(60) == 0
    Command(afterturn, "sync", "--wait")

    rows = stored(database_url)
    of = {content: (delivery, reason) for _, _, content, delivery, reason in rows}
    phases = {"before": 0, "local": 0, "after": 0}
    for agent in range(AGENTS):
        for turn in turns(folder, agent):
            assert of[turn["reply"]] == ("send", None)  # the agent's side was not changed
            if local.ended < turn["began"] and turn["wrote_at"] < alone.began:
                phases["local"] += 1
                assert of[turn["said"]] == ("local", "mode"), turn
            elif turn["wrote_at"] < local.began or turn["began"] > alone.ended:
                phases["before" if turn["wrote_at"] < local.began else "after"] += 1
                assert of[turn["said"]] == ("send", None), turn
            # What is kept at Honcho alone is not written into the file of that peer any more.
            if turn["wrote_at"] < alone.began:
                assert turn["written"] == ["USER.md", "MEMORY.md"], turn
            elif turn["wrote_at"] > alone.ended:
                assert turn["written"] == ["MEMORY.md"], turn
    assert min(phases.values()) >= AGENTS, phases

    for agent in range(AGENTS):
        sent = [content for key, _, content, delivery, _ in rows
                if key == f"a{agent}" and delivery == "send"]  # fmt: skip
        there = [one["content"] for one in honcho.control.messages(workspace, f"a{agent}")]
        assert there == sent  # each once, in order, and nothing that was to stay here
