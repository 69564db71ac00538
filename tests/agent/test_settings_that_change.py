"""A recall setting that changes in Postgres holds from the next turn of an agent that runs."""

from __future__ import annotations

import threading

import pytest

from afterturn.notices import tell
from afterturn_models.notices import settings_key
from afterturn_models.store.settings import set_setting, unset_setting
from afterturn_models.values import Scope
from support.statements import counted


@pytest.fixture
def say(memory, look):
    """Give a function that says a setting for the workspace, or takes it back."""

    def change(key, value=None):
        services = memory._services
        with services.database.statement() as connection:
            workspace = look.session("talk")["workspace_id"]
            if value is None:
                unset_setting(connection, workspace, Scope.WORKSPACE, "", key)
            else:
                set_setting(connection, workspace, Scope.WORKSPACE, "", key, value)

    return change


def test_tools_are_offered_no_more_and_again(memory, say):
    session = memory.session(name="talk")
    session.begin_turn("one").end("two")
    assert session.tools()
    say("recallMode", "context")
    session.begin_turn("three").end("four")
    assert session.tools() == []
    say("recallMode")
    session.begin_turn("five").end("six")
    assert session.tools()


def test_what_is_injected_changes_and_the_header_does_not(memory, say, look):
    session = memory.session(name="talk")
    first = session.begin_turn("one")
    first.end("two")
    say("recallMode", "tools")
    session.begin_turn("three").end("four")
    look.put("talk", 2, context="likes tea")
    turn = session.begin_turn("five")
    assert (turn.context, turn.system) == ("", first.system)


@pytest.fixture
def command(run, memory):
    """Give a function that runs `afterturn` in a process of its own."""

    def started(*arguments):
        done = run("-m", "afterturn", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return started


def test_without_a_change_a_turn_is_one_statement_at_its_end(memory):
    session = memory.session(name="talk")
    session.begin_turn("one").end("two")
    with counted() as statements:
        turn = session.begin_turn("three")
        assert statements == []
        turn.end("four")
    assert len(statements) == 1


def test_what_the_command_line_changes_holds_for_the_very_next_turn(memory, command, look):
    session = memory.session(name="talk")
    session.begin_turn("one").end("two")
    look.put("talk", 1, context="likes tea")
    said = command("config", "set", "recallMode", "tools")
    assert "Redis" not in said
    with counted() as statements:
        turn = session.begin_turn("three")
    assert (turn.context, turn.recall, len(statements)) == ("", None, 1)
    with counted() as statements:
        turn.end("four")
    assert len(statements) == 1  # its capture finds nothing that is not known by now
    look.put("talk", 2, context="likes tea")
    command("config", "unset", "recallMode")
    assert "likes tea" in session.begin_turn("five").context


def test_every_session_of_the_workspace_hears_of_it_once(memory, command):
    first, second = memory.session(name="talk"), memory.session(name="walk")
    command("recall", "context")
    for session in (first, second):
        with counted() as statements:
            session.begin_turn("one")
            assert len(statements) == 1
            assert session.tools() == []
            session.begin_turn("two")
        # The turn before was left open, and is captured: that is the other one.
        assert len(statements) == 2


def test_what_was_told_before_a_session_opened_is_no_news(memory, redis_url, workspace):
    tell(redis_url, workspace)
    session = memory.session(name="talk")
    with counted() as statements:
        session.begin_turn("one")
    assert statements == []


def test_an_emptied_redis_is_news_once_where_anything_was_told(memory, look, redis_url, workspace):
    session = memory.session(name="talk")
    tell(redis_url, workspace)
    session.begin_turn("one").end("two")
    look.redis.delete(settings_key(workspace))
    for expected in (1, 0):
        with counted() as statements:
            turn = session.begin_turn("three")
        assert len(statements) == expected
        turn.end("four")


def test_where_only_tools_recall_the_notice_is_all_that_is_looked_at(memory, look, say):
    session = memory.session(name="talk")
    say("recallMode", "tools")
    session.begin_turn("one").end("two")
    look.redis.config_resetstat()
    session.begin_turn("three")
    asked = {
        name: stats["calls"]
        for name, stats in look.redis.info("commandstats").items()
        if name in {"cmdstat_get", "cmdstat_getdel"}
    }
    assert asked == {"cmdstat_get": 1}


def test_a_postgres_that_hangs_keeps_no_turn_waiting(
    memory, say, redis_url, workspace, monkeypatch
):
    """What held goes on holding, and the change is heard of as soon as Postgres answers."""
    session = memory.session(name="talk")
    session.begin_turn("one").end("two")
    say("recallMode", "context")
    hangs, read = threading.Event(), session._recollection._read_settings

    def slow():
        assert hangs.wait(30)
        read()

    monkeypatch.setattr("afterturn.recollection._PATIENCE", 0.01)
    monkeypatch.setattr(session._recollection, "_read_settings", slow)
    tell(redis_url, workspace)
    session.begin_turn("three")
    assert session.tools()
    reader = session._recollection._reader
    session.begin_turn("again")  # starts no second one
    assert session._recollection._reader is reader
    hangs.set()
    reader.join(30)
    assert session.tools() == []


def test_with_redis_away_the_command_says_when_it_holds(memory, command, monkeypatch):
    session = memory.session(name="talk")
    session.begin_turn("one").end("two")
    monkeypatch.setenv("AFTERTURN_REDIS_URL", "redis://127.0.0.1:1/0")
    assert "at the end of their next turn" in command("config", "set", "recallMode", "context")
    session.begin_turn("three").end("four")
    assert session.tools() == []
