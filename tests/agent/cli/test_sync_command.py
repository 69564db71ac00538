"""`afterturn sync`: what a write frequency holds back is due, and with --wait it is at Honcho."""

from __future__ import annotations

import json

import pytest

from afterturn import Memory
from support.waiting import eventually


@pytest.fixture
def held(agent_env, monkeypatch, run):
    """Have an agent that ends without a word leave a turn that is not due, in two sessions."""
    monkeypatch.setenv("AFTERTURN_WRITE_FREQUENCY", "session")
    script = """
import os
from afterturn import Memory
memory = Memory.open()
for name in ("kitchen", "garden"):
    memory.session(name=name).begin_turn("hello").end("hi")
os._exit(0)
"""
    assert run("-c", script).returncode == 0


def test_everything_is_made_due_and_hinted(held, called, look):
    assert look.session("kitchen")["due_index"] == 0
    done = called("sync")
    assert done.returncode == 0
    assert "4 messages of 2 sessions are on their way.\n" in done.stdout
    assert "No worker has taken a task lately" in done.stdout
    assert [look.session(key)["due_index"] for key in ("kitchen", "garden")] == [2, 2]
    hints = eventually(lambda: look.hints()[-2:])
    assert set(hints) == {str(look.id("kitchen")), str(look.id("garden"))}


def test_one_session(held, called, look):
    report = json.loads(called("sync", "--session", "garden", "--json").stdout)
    assert (report["sessions"], report["messages"], report["workers"]) == (1, 2, False)
    assert [look.session(key)["due_index"] for key in ("kitchen", "garden")] == [0, 2]


def test_what_is_not_there_in_time_is_named(held, called):
    done = called("sync", "--session", "garden", "--wait", "--timeout", "0.2")
    assert done.returncode == 1
    assert "2 messages of 1 sessions are due; not settled in time: garden." in done.stdout


def test_nothing_to_do(agent_env, called):
    assert called("sync", "--wait").stdout == "Everything that was captured is settled.\n"


def test_an_unknown_session(agent_env, called):
    done = called("sync", "--session", "attic")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no session 'attic'" in done.stderr


def test_what_was_spooled_is_brought_in(agent_env, called, look, monkeypatch):
    url = "postgresql://u@127.0.0.1:1/x"
    with monkeypatch.context() as away:
        away.setenv("AFTERTURN_DATABASE_URL", url)
        with Memory.open() as memory:
            assert memory.session(name="talk").begin_turn("hello").end("hi").spooled
    report = json.loads(called("sync", "--json").stdout)
    assert (report["spooled"], report["messages"]) == (1, 2)
    assert look.said("talk") == ["hello", "hi"]
