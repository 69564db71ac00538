"""`afterturn quarantine` as a person runs it, after a Honcho refused a message."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from afterturn import Memory
from support.waiting import eventually


def run(*words):
    found = subprocess.run(
        [sys.executable, "-m", "afterturn", "quarantine", *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Traceback" not in found.stderr, found.stderr
    return found


def listed():
    return json.loads(run("list", "--json").stdout)


def stored(honcho, workspace):
    return [message["content"] for message in honcho.control.messages(workspace, "talk")]


@pytest.fixture
def refused(stack_env, honcho, start_worker, workspace):
    """Have two messages of five refused for what they hold; the others are at Honcho."""
    honcho.control.add_rule(
        "status", method="POST", path=f".*/{workspace}/.*/messages", status=413, count=4
    )
    with Memory.open(write_frequency="session") as memory:
        session = memory.session(name="talk")
        session.begin_turn("one").end("two")
    start_worker().ready()
    # 413 twice for the pair, then for each alone: both are set aside.
    eventually(lambda: len(listed()) == 2)
    with Memory.open() as memory:
        memory.session(name="talk").begin_turn("three").end("four")
    eventually(lambda: stored(honcho, workspace) == ["three", "four"])


def test_what_was_refused_is_listed_retried_once_and_dropped(refused, honcho, workspace):
    first, second = listed()
    assert (first["text"], first["role"], first["session"]) == ("one", "user", "talk")
    assert "413" in first["reason"]
    assert "one" in run("list").stdout

    assert run("retry", first["id"]).stdout == "1 messages will be sent again.\n"
    eventually(lambda: stored(honcho, workspace) == ["three", "four", "one"])

    assert run("drop", "--all").stdout == "1 messages stay here.\n"
    assert listed() == []
    assert run("retry", second["id"]).stdout == "None of these is in quarantine.\n"
    assert stored(honcho, workspace) == ["three", "four", "one"]


@pytest.mark.parametrize("words", [("retry",), ("drop",), ("retry", "x"), ("drop", "--all", "x")])
def test_wrong_usage_is_one_sentence(stack_env, words):
    found = run(*words)
    assert found.returncode == 2
    assert len(found.stderr.strip().splitlines()) == 1
