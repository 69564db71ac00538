"""Settings in Postgres: checked before they are written, scoped, and laid between the sources."""

from __future__ import annotations

import itertools

import pytest
from pydantic.alias_generators import to_camel
from sqlalchemy import text

from afterturn_models.db import Database
from afterturn_models.errors import ConfigurationError
from afterturn_models.settings import read
from afterturn_models.settings_model import Settings
from afterturn_models.shared import SHARED, shareable, valid
from afterturn_models.store.directories import directory_map, map_directory, unmap_directory
from afterturn_models.store.sessions import SessionSpec, open_session
from afterturn_models.store.settings import (
    session_called,
    set_setting,
    settings_by_scope,
    shared_sources,
    unset_setting,
)
from afterturn_models.store.workspaces import make_workspace
from afterturn_models.values import Mode, Scope
from support.databases import shared_database

_count = itertools.count(1)


class Room:
    """A workspace with one session, and what is said of its settings."""

    def __init__(self, database) -> None:
        self.database = database
        with database.statement() as connection:
            self.name = f"w{next(_count)}"
            self.id = make_workspace(connection, self.name)
            opened = open_session(connection, SessionSpec(self.name, "talk", "user", "agent"))
        self.session = opened.id

    def subject(self, scope: Scope) -> str:
        return {Scope.WORKSPACE: "", Scope.AGENT: "agent", Scope.SESSION: str(self.session)}[scope]

    def say(self, scope: Scope, key: str, value: object) -> None:
        with self.database.transaction() as connection:
            set_setting(connection, self.id, scope, self.subject(scope), key, value)

    def forget(self, scope: Scope, key: str) -> bool:
        with self.database.transaction() as connection:
            return unset_setting(connection, self.id, scope, self.subject(scope), key)

    def write(self, scope: Scope, key: str, value: str) -> None:
        """Write a row past everything that checks it."""
        with self.database.statement() as connection:
            connection.execute(
                text("INSERT INTO settings VALUES (:w, :scope, :subject, :key, :value)"),
                {"w": self.id, "scope": scope.value, "subject": self.subject(scope), "key": key,
                 "value": value},
            )  # fmt: skip

    def sources(self, session: bool = True):
        with self.database.statement() as connection:
            return shared_sources(
                connection, self.id, "agent", self.session if session else None,
                workspace="w", session="talk",
            )  # fmt: skip

    def load(self, **keywords):
        return read(keywords).with_shared(self.sources())


@pytest.fixture(scope="module")
def one_database(postgres):
    """Give one database for all of these tests: each has a workspace of its own in it."""
    with shared_database(postgres, "settings_of_many") as url:
        database = Database(url)
        yield database
        database.close()


@pytest.fixture
def room(one_database) -> Room:
    return Room(one_database)


ORDER = ("keyword", Scope.SESSION, Scope.AGENT, Scope.WORKSPACE, "environment")


@pytest.mark.parametrize(("near", "far"), list(itertools.combinations(ORDER, 2)))
def test_the_nearer_of_any_two_places_wins(room, monkeypatch, near, far):
    keywords = {}

    def say(place, value):
        if place == "keyword":
            keywords["context_tokens"] = value
        elif place == "environment":
            monkeypatch.setenv("AFTERTURN_CONTEXT_TOKENS", str(value))
        else:
            room.say(place, "contextTokens", value)

    say(far, 111)
    say(near, 222)
    loaded = room.load(**keywords)
    assert loaded.settings.context_tokens == 222
    names = {
        "keyword": "keyword arguments",
        Scope.SESSION: "Postgres (session talk)",
        Scope.AGENT: "Postgres (agent agent)",
        Scope.WORKSPACE: "Postgres (workspace w)",
    }
    assert loaded.origins["context_tokens"] == names[near]


@pytest.mark.parametrize(("near", "far"), list(itertools.combinations(ORDER[1:4], 2)))
def test_a_shorthand_is_not_overruled_from_a_wider_scope(room, near, far):
    room.say(far, "userMemoryMode", "hybrid")
    room.say(near, "memoryMode", "local")
    said = room.load().settings
    assert (said.memory_mode, said.user_memory_mode) == (Mode.LOCAL, None)


VALUES = {
    "memoryMode": "local", "userMemoryMode": "honcho", "agentMemoryMode": "hybrid",
    "writeFrequency": 7, "saveMessages": False, "sessionStrategy": "per-repo",
    "sessionPeerPrefix": True, "gatewayFirst": True, "pinUserPeer": True,
    "userPeerAliases": {"7": "ann"}, "runtimePeerPrefix": "tg_", "sessions": {"/d": "k"},
    "recallMode": "tools", "observation": {"ai": {"observeMe": False}},
    "dialecticReasoningLevel": "max", "firstTurnBaseWait": 1.5, "recallScope": "team",
}  # fmt: skip


@pytest.mark.parametrize(("key", "value"), VALUES.items())
def test_every_kind_of_shared_setting_comes_back_as_it_was_said(room, key, value):
    room.say(Scope.WORKSPACE, key, value)
    field, stored = valid(key, value)
    said = room.load()
    assert said.settings.model_dump(mode="json")[field] == stored
    assert said.origins[field] == "Postgres (workspace w)"
    assert said.warnings == ()
    assert room.forget(Scope.WORKSPACE, key) is True
    assert room.forget(Scope.WORKSPACE, key) is False
    assert field not in room.load().origins


def test_other_names_are_kept_under_ours_and_words_as_what_they_mean(room):
    room.say(Scope.AGENT, "injectionFrequency", "first-turn")
    room.say(Scope.AGENT, "saveMessages", "false")
    room.say(Scope.AGENT, "recall.ask", "scope")
    with room.database.statement() as connection:
        said = settings_by_scope(connection, room.id, "agent", None)[Scope.AGENT]
    assert said == {"injection": "first-turn", "saveMessages": False, "recallAsk": "scope"}
    assert room.forget(Scope.AGENT, "injectionFrequency") is True


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [("memoryMode", "cloud", "memoryMode: Input should be 'hybrid', 'honcho' or 'local'"),
     ("writeFrequency", 0, "a number of turns from 1 to 10000"),
     ("contextTokens", 5, "greater than or equal to 100"),
     ("saveMessages", "maybe", "valid boolean"),
     ("userPeerAliases", ["a"], "valid dictionary"),
     ("memoryMode", None, "unset it instead"),
     ("memorymode", "local", "did you mean memoryMode?"),
     ("databaseUrl", "postgresql://h/d", "belongs to one machine"),
     ("apiKey", "k", "read by workers only")],
)  # fmt: skip
def test_what_cannot_be_is_refused_before_it_is_written(room, key, value, said):
    with pytest.raises(ConfigurationError) as raised:
        room.say(Scope.WORKSPACE, key, value)
    assert said in str(raised.value)
    assert room.sources()[-1].values == {}


@pytest.mark.parametrize(("field", "scopes"), SHARED.items())
def test_each_is_kept_at_its_scopes_only(field, scopes):
    value = _some(field)
    for scope in Scope:
        if scope in scopes:
            assert shareable(field, value, scope)[1] is not None
        else:
            with pytest.raises(ConfigurationError, match=f"not for one {scope.value}"):
                shareable(field, value, scope)


def _some(field):
    """Give a value that the field may have and that is not null."""
    default = Settings().model_dump(mode="json")[field]
    chosen = {"observation_mode": "unified"}
    return VALUES.get(to_camel(field)) or chosen.get(field, default)


def test_what_somebody_wrote_by_hand_is_left_out_and_named(room):
    room.write(Scope.WORKSPACE, "contextTokens", '"lots"')
    room.write(Scope.AGENT, "nonsense", "1")
    room.write(Scope.SESSION, "injectionFrequency", '"first-turn"')
    room.say(Scope.WORKSPACE, "recallMode", "tools")
    loaded = room.load()
    assert (loaded.settings.context_tokens, loaded.settings.recall_mode) == (2000, "tools")
    assert loaded.settings.injection == "every-turn"
    session, agent, workspace = loaded.warnings
    assert "injectionFrequency is not looked at; injection would be" in session
    assert agent.startswith("Postgres (agent agent): there is no setting called 'nonsense'")
    assert workspace.startswith("Postgres (workspace w): contextTokens: Input should be a valid")


def test_two_that_do_not_go_together_leave_the_levels_out(room):
    room.say(Scope.WORKSPACE, "dialecticDepthLevels", ["low", "max"])
    loaded = room.load(dialectic_depth=1)
    assert loaded.settings.dialectic_depth_levels == ()
    assert "more passes than dialecticDepth has; it is left out" in loaded.warnings[-1]
    room.say(Scope.WORKSPACE, "dialecticDepth", 2)
    assert room.load().settings.dialectic_depth_levels == ("low", "max")


def test_the_map_of_directories_is_joined_by_directory(room):
    with room.database.transaction() as connection:
        map_directory(connection, room.id, "/a", "first")
        map_directory(connection, room.id, "/a", "alpha")
        map_directory(connection, room.id, "/b", "beta")
        assert unmap_directory(connection, room.id, "/b") is True
        assert unmap_directory(connection, room.id, "/b") is False
        assert directory_map(connection, room.id) == {"/a": "alpha"}
    loaded = read({"sessions": {"/k": "key"}})
    assert loaded.with_shared(room.sources()).settings.sessions == {"/k": "key", "/a": "alpha"}
    loaded = read(env={"AFTERTURN_SESSIONS": '{"/a": "env", "/e": "env"}'})
    assert loaded.with_shared(room.sources()).settings.sessions == {"/a": "alpha", "/e": "env"}
    room.say(Scope.WORKSPACE, "sessions", {"/c": "gamma"})
    assert room.load().settings.sessions == {"/c": "gamma"}


def test_a_wrong_map_leaves_the_former_one(room):
    room.say(Scope.WORKSPACE, "sessions", {"/c": "gamma"})
    with pytest.raises(ConfigurationError):
        room.say(Scope.WORKSPACE, "sessions", {"/c": 1})
    assert room.load().settings.sessions == {"/c": "gamma"}


def test_others_scopes_are_not_ours(room):
    with room.database.statement() as connection:
        set_setting(connection, room.id, Scope.AGENT, "ada", "contextTokens", 300)
        other = make_workspace(connection, f"other-{room.name}")
        set_setting(connection, other, Scope.WORKSPACE, "", "contextTokens", 300)
    room.say(Scope.SESSION, "contextTokens", 400)
    assert [source.values for source in room.sources(session=False)] == [{}, {}, {}]
    assert room.load().settings.context_tokens == 400


def test_rooms_and_sessions_are_found_by_name(room):
    with room.database.statement() as connection:
        assert make_workspace(connection, room.name) == room.id
        assert session_called(connection, room.id, "talk") == (room.session, "agent")
        assert session_called(connection, room.id, "walk") is None
