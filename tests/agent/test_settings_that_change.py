"""A recall setting that changes in Postgres holds from the next turn of an agent that runs."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, event

from afterturn_models.store.settings import set_setting, unset_setting
from afterturn_models.values import Scope


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


def test_without_a_change_a_turns_end_is_one_statement(memory):
    session = memory.session(name="talk")
    session.begin_turn("one").end("two")
    statements = []

    def noted(_connection, _cursor, statement, *_more):
        statements.append(statement)

    turn = session.begin_turn("three")
    event.listen(Engine, "before_cursor_execute", noted)
    try:
        turn.end("four")
    finally:
        event.remove(Engine, "before_cursor_execute", noted)
    assert len(statements) == 1
