"""`afterturn sessions` and `afterturn session …`, as a person runs them."""

from __future__ import annotations

import json

import pytest

from afterturn import Memory


@pytest.fixture
def talked(stack_env):
    """Have two conversations in folders of one name, and one with a title."""
    with Memory.open() as memory:
        for said in ({"name": "kitchen"}, {"name": "garden"}):
            memory.session(**said).begin_turn("hello").end("hi")


def listed(called):
    return {line["key"]: line for line in json.loads(called("sessions", "--json").stdout)}


def test_every_session_is_listed_with_what_waits(talked, called):
    found = listed(called)
    assert set(found) == {"kitchen", "garden"}
    assert (found["kitchen"]["turns"], found["kitchen"]["lag"]) == (1, 2)
    shown = called("sessions").stdout
    assert "kitchen" in shown
    assert "garden" in shown


def test_a_workspace_without_sessions_says_so(stack_env, called):
    done = called("sessions", "--workspace", "elsewhere")
    assert (done.returncode, done.stdout) == (0, "No session in workspace elsewhere yet.\n")


def test_a_session_is_shown(talked, called):
    assert "name:kitchen" in called("session", "show", "kitchen").stdout
    assert json.loads(called("session", "show", "kitchen", "--json").stdout)["user_peer"] == "user"


def test_a_session_is_renamed_and_says_where_its_name_was_taken(talked, called):
    assert called("session", "rename", "kitchen", "The plans").returncode == 0
    assert "kitchen" not in listed(called)
    done = called("session", "rename", "garden", "The plans")
    assert "is another session's" in done.stdout
    assert len(listed(called)) == 2


def test_a_session_is_closed(talked, called):
    assert "2 messages are on their way" in called("session", "close", "kitchen").stdout
    assert listed(called)["kitchen"]["closed_at"]


def test_what_is_not_at_honcho_is_deleted_only_where_that_is_said(talked, called):
    done = called("session", "delete", "kitchen", "--yes")
    assert done.returncode == 2
    assert "--unsent-too" in done.stderr
    assert called("session", "delete", "kitchen", "--yes", "--unsent-too").returncode == 0
    assert set(listed(called)) == {"garden"}


def test_without_a_terminal_it_says_how_to_delete_unasked(talked, called):
    done = called("session", "delete", "kitchen", "--unsent-too")
    assert (done.returncode, done.stdout) == (2, "")
    assert "say --yes" in done.stderr
    assert set(listed(called)) == {"kitchen", "garden"}


@pytest.mark.parametrize("command", ["show", "close", "delete"])
def test_an_unknown_session_is_said_to_be(talked, called, command):
    done = called("session", command, "attic")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no session 'attic'" in done.stderr


def test_a_blank_name_is_refused(talked, called):
    done = called("session", "rename", "kitchen", "  ")
    assert done.returncode == 2
    assert "at least one character" in done.stderr
