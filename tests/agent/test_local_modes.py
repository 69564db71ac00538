"""Local memory files behind the modes that Postgres and configuration hold, asked at each write."""

from __future__ import annotations

import pytest

from afterturn import Memory, WriteRefused
from afterturn_models.db import Database
from afterturn_models.store.settings import set_setting, unset_setting
from afterturn_models.values import Scope
from support.tcp_proxy import TcpProxy
from support.waiting import eventually


@pytest.fixture
def say(look, shared_database):
    """Give a function that sets, or with None unsets, a setting of the session's workspace."""
    database = Database(shared_database)

    def put(scope, subject, key, value):
        workspace = look.session("talk")["workspace_id"]
        with database.statement() as connection:
            if value is None:
                unset_setting(connection, workspace, scope, subject, key)
            else:
                set_setting(connection, workspace, scope, subject, key, value)

    yield put
    database.close()


def writes(files):
    """Tell which of the user's and the agent's file can be written now."""
    taken = []
    for name in ("USER.md", "MEMORY.md"):
        try:
            files.append(name, "x")
            taken.append(True)
        except WriteRefused:
            taken.append(False)
    return tuple(taken)


@pytest.mark.parametrize(
    ("given", "env", "allowed"),
    [
        ({}, {}, (True, True)),
        ({"memory_mode": "honcho"}, {}, (False, False)),
        ({"memory_mode": "local"}, {}, (True, True)),
        ({"agent_memory_mode": "honcho"}, {}, (True, False)),
        ({}, {"AFTERTURN_USER_MEMORY_MODE": "honcho"}, (False, True)),
        ({"memory_mode": "hybrid"}, {"AFTERTURN_USER_MEMORY_MODE": "honcho"}, (True, True)),
    ],
)
def test_configured_modes(agent_env, monkeypatch, tmp_path, given, env, allowed):
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with Memory.open(**given) as memory:
        assert writes(memory.local_files(tmp_path / "m")) == allowed
        assert writes(memory.local_files(str(tmp_path / "m"), memory.session())) == allowed


def test_what_postgres_holds_counts_at_the_next_write_and_the_nearest_scope_wins(
    memory, tmp_path, say, look
):
    session = memory.session(name="talk")
    own, others = memory.local_files(tmp_path, session), memory.local_files(tmp_path)
    assert (writes(own), writes(others)) == ((True, True), (True, True))
    say(Scope.WORKSPACE, "", "memoryMode", "honcho")
    assert (writes(own), writes(others)) == ((False, False), (False, False))
    say(Scope.AGENT, "agent", "agentMemoryMode", "hybrid")
    assert (writes(own), writes(others)) == ((False, True), (False, True))
    say(Scope.SESSION, str(look.id("talk")), "memoryMode", "local")
    assert (writes(own), writes(others)) == ((True, True), (False, True))
    say(Scope.SESSION, str(look.id("talk")), "memoryMode", None)
    say(Scope.WORKSPACE, "", "memoryMode", None)
    assert (writes(own), writes(others)) == ((True, True), (True, True))


def test_a_keyword_comes_before_postgres_and_the_environment_behind_it(
    agent_env, look, tmp_path, monkeypatch, say
):
    monkeypatch.setenv("AFTERTURN_AGENT_MEMORY_MODE", "local")
    with Memory.open(user_memory_mode="hybrid") as memory:
        session = memory.session(name="talk")
        say(Scope.WORKSPACE, "", "memoryMode", "honcho")
        assert writes(memory.local_files(tmp_path, session)) == (True, False)


def test_what_one_process_sets_for_another_agent_is_not_ours(memory, tmp_path, say):
    session = memory.session(name="talk")
    say(Scope.AGENT, "agent-ada", "memoryMode", "honcho")
    assert writes(memory.local_files(tmp_path, session)) == (True, True)
    adas = memory.session(name="adas", agent="ada")  # whose peer is agent-ada
    assert writes(memory.local_files(tmp_path, adas)) == (False, False)


def test_while_postgres_is_away_what_was_seen_last_holds(
    agent_env, shared_database, tmp_path, say, monkeypatch
):
    monkeypatch.setattr("afterturn.breaker._EVERY", 0.1)
    with (
        TcpProxy(shared_database) as proxy,
        Memory.open(database_url=proxy.url, agent_memory_mode="local") as memory,
    ):
        session = memory.session(name="talk")
        seen, unseen = (memory.local_files(tmp_path, session) for _ in range(2))
        say(Scope.WORKSPACE, "", "memoryMode", "honcho")
        assert writes(seen) == (False, True)
        proxy.refuse()
        assert writes(seen) == (False, True)
        assert memory._services.capturer.away
        assert writes(unseen) == (True, True)  # it has asked nobody yet: the configuration
        proxy.accept()
        eventually(lambda: not memory._services.capturer.away)
        assert writes(unseen) == (False, True)


def test_a_session_that_was_opened_without_postgres(agent_env, shared_database, tmp_path):
    with TcpProxy(shared_database) as proxy, Memory.open(database_url=proxy.url) as memory:
        proxy.refuse()
        files = memory.local_files(tmp_path, memory.session(name="talk"))
        assert writes(files) == (True, True)


def test_an_outage_is_paid_for_once(agent_env, shared_database, tmp_path, monkeypatch):
    monkeypatch.setattr("afterturn.breaker._EVERY", 60)
    with TcpProxy(shared_database) as proxy, Memory.open(database_url=proxy.url) as memory:
        files = memory.local_files(tmp_path, memory.session(name="talk"))
        assert writes(files) == (True, True)
        proxy.refuse()
        asked = []
        statement = memory._services.database.statement
        monkeypatch.setattr(
            memory._services.database, "statement", lambda: asked.append(1) or statement()
        )
        for _ in range(5):
            assert writes(files) == (True, True)
        assert len(asked) == 1
