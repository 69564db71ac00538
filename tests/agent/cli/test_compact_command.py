"""`afterturn compact` where no worker runs: what it says, and the newest summary."""

from __future__ import annotations

import json

import psycopg
import pytest

from afterturn import Memory


@pytest.fixture
def kitchen(agent_env, look):
    """Have a session with a turn in it; gives a function that stores a summary of it."""
    with Memory.open() as memory:
        memory.session(name="kitchen").begin_turn("tea?").end("Earl Grey.")

    def summarise(text):
        with psycopg.connect(look._database_url, autocommit=True) as connection:
            connection.execute(
                "INSERT INTO compactions (session_id, covers_from, covers_to, summary, tokens,"
                " made_by) VALUES (%s, 1, 2, %s, 3, 'llm:small')",
                (look.id("kitchen"), text),
            )

    return summarise


def test_without_a_worker_it_says_who_would(kitchen, called):
    done = called("compact", "kitchen")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no worker has taken a task lately, and only workers summarise" in done.stderr


def test_an_unknown_session(agent_env, called):
    done = called("compact", "attic")
    assert done.returncode == 2
    assert "there is no session 'attic'" in done.stderr


def test_there_is_none_yet(kitchen, called):
    assert called("compact", "kitchen", "--show").stdout == "kitchen has no summary yet.\n"
    assert json.loads(called("compact", "kitchen", "--show", "--json").stdout)["newest"] is None


def test_the_newest_is_shown_and_steers_no_terminal(kitchen, called):
    kitchen("Ann likes\n\x1b[2JEarl Grey.")
    shown = called("compact", "kitchen", "--show").stdout
    assert "kitchen: messages up to 2, in 3 tokens, by llm:small, " in shown
    assert shown.endswith("Ann likes\n[2JEarl Grey.\n")
    report = json.loads(called("compact", "kitchen", "--show", "--json").stdout)
    assert report["session"] == "kitchen"
    assert report["newest"]["summary"] == "Ann likes\n\x1b[2JEarl Grey."
    assert (report["newest"]["covers_to"], report["newest"]["made_by"]) == (2, "llm:small")


def test_a_wait_that_cannot_be(kitchen, called):
    assert called("compact", "kitchen", "--wait", "-1").returncode == 2
