"""In force: keyword arguments, then Postgres, then all the rest; frozen while a session is held."""

from __future__ import annotations

import pytest

from afterturn import Memory
from afterturn_models.values import Mode
from support.tcp_proxy import TcpProxy
from support.waiting import eventually


@pytest.fixture(autouse=True)
def probes_are_quick(monkeypatch):
    monkeypatch.setattr("afterturn.breaker._EVERY", 0.1)


@pytest.fixture
def say(look, workspace):
    """Give a function that writes a setting into Postgres."""

    def write(key, value, scope="workspace", subject=""):
        look.query(
            "INSERT INTO workspaces (name) VALUES (%(w)s) ON CONFLICT DO NOTHING", w=workspace
        )
        look.query(
            "INSERT INTO settings (workspace_id, scope, subject, key, value)"
            " SELECT id, %(scope)s, %(subject)s, %(key)s, to_jsonb(%(value)s::text)"
            " FROM workspaces WHERE name = %(workspace)s",
            scope=scope,
            subject=subject,
            key=key,
            value=value,
            workspace=workspace,
        )

    return write


def test_the_nearest_word_counts(agent_env, say, look, monkeypatch):
    monkeypatch.setenv("AFTERTURN_CONTEXT_TOKENS", "1111")
    monkeypatch.setenv("AFTERTURN_INJECTION", "first-turn")
    monkeypatch.setenv("AFTERTURN_RECALL_MODE", "context")
    say("injection", "frozen")
    say("recallMode", "tools")
    say("recallMode", "hybrid", "agent", "agent")
    with Memory.open(injection="every-turn") as memory:
        settings = memory.session(name="talk").in_force.settings
    assert settings.injection == "every-turn"  # a keyword argument
    assert settings.recall_mode == "hybrid"  # Postgres, for the agent
    assert settings.context_tokens == 1111  # the environment
    assert settings.dialectic_cadence == 1  # the default
    with Memory.open() as memory:
        assert memory.session(name="talk").in_force.settings.injection == "frozen"


def test_what_is_said_otherwise_holds_from_the_next_turn(memory, say):
    session = memory.session(name="talk")
    say("recallMode", "tools")
    assert session.in_force.settings.recall_mode == "hybrid"
    session.begin_turn("a").end("b")
    assert session.in_force.settings.recall_mode == "tools"


def test_a_wrong_word_in_postgres_is_none(memory, say):
    say("contextTokens", "many")
    say("injection", "sometimes")
    settings = memory.session(name="talk").in_force.settings
    assert (settings.context_tokens, settings.injection) == (2000, "every-turn")


def test_a_session_that_opened_cold_learns_when_postgres_is_back(
    agent_env, say, look, shared_database
):
    say("recallMode", "tools")
    say("userMemoryMode", "local")
    with TcpProxy(shared_database) as proxy, Memory.open(database_url=proxy.url) as memory:
        proxy.refuse()
        session = memory.session(name="talk")
        turn = session.begin_turn("a")
        assert (session.in_force.settings.recall_mode, turn.recall) == ("hybrid", None)
        assert turn.end("b").spooled
        proxy.accept()
        eventually(lambda: not memory._services.capturer.away)
        second = session.begin_turn("c")
        assert not second.end("d").spooled
        assert session.in_force.settings.recall_mode == "tools"
        assert session.in_force.user_mode is Mode.LOCAL
        assert session.begin_turn("e").system == turn.system  # whatever it learned


def test_the_header_says_the_mode_of_the_user(agent_env, say):
    say("userMemoryMode", "honcho")
    with Memory.open() as memory:
        assert "Mode: honcho." in memory.session(name="talk").system
    with Memory.open(user_memory_mode="local") as memory:
        assert "Mode: local." in memory.session(name="talk").system


@pytest.mark.parametrize("word", ["false", "true"])
def test_whether_messages_are_saved_is_read_as_a_capture_does(memory, say, look, word):
    say("saveMessages", word)
    session = memory.session(name="talk")
    session.begin_turn("a").end("b")
    sent = look.rows("talk")[0]["delivery"] == "send"
    assert session.in_force.saves is sent is (word == "true")
