"""The two peers of a machine get other names: agents that run go by them, and nothing is torn."""

from __future__ import annotations

import json
import logging

import pytest

from afterturn_models.config_file import set_in_file
from afterturn_models.shared import OPENED_BY
from afterturn_models.sources import our_file
from afterturn_models.store.settings import set_setting
from afterturn_models.values import Scope


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Have what names sessions looked at whenever one is opened."""
    monkeypatch.setattr("afterturn.opening._KEPT", 0.0)


@pytest.fixture
def called_so():
    """Give a function that names a peer in our file, as the command line does."""

    def change(field, name):
        key = {"peer_name": "peerName", "ai_peer": "aiPeer"}[field]
        set_in_file(our_file(), field, key, name)

    return change


def peers(look, key):
    """Give who said what in a session."""
    return [(row["peer"], row["content"]) for row in look.rows(key)]


def test_a_session_that_is_opened_has_them_and_an_open_one_keeps_its_own(memory, look, called_so):
    before = memory.session(name="before")
    turn = before.begin_turn("one")
    called_so("peer_name", "ann")
    called_so("ai_peer", "clerk")
    after = memory.session(name="after")
    after.begin_turn("two").end("TWO")
    turn.end("ONE")
    before.begin_turn("three").end("THREE")
    assert peers(look, "after") == [("ann", "two"), ("clerk", "TWO")]
    assert [peer for peer, _ in peers(look, "before")] == ["user", "agent"] * 2
    assert look.session("after")["details"]["owner"] == "ann"


def test_a_session_that_is_opened_again_goes_on_with_them(memory, look, called_so):
    """As a gateway does with each message; a turn that is under way is not touched."""
    turn = memory.session(name="chat").begin_turn("one")
    called_so("peer_name", "ann")
    memory.session(name="chat").begin_turn("two").end("TWO")
    turn.end("ONE")
    assert peers(look, "chat") == [
        ("ann", "two"), ("agent", "TWO"), ("user", "one"), ("agent", "ONE"),
    ]  # fmt: skip
    assert [row["index"] for row in look.rows("chat")] == [1, 2, 3, 4]


def test_the_agent_goes_by_its_new_name_wherever_it_is_meant(memory, called_so, look):
    called_so("ai_peer", "clerk")
    for agent in (None, "main", "clerk"):
        assert memory.session(name="s", agent=agent).agent_peer == "clerk"
    child = memory.session(name="s").spawn("researcher")
    child.begin_turn("Look.").end("Seen.")
    assert [peer for peer, _ in peers(look, child.key)] == ["clerk", "agent-researcher"]


def test_its_home_is_seeded_for_the_new_name_too(open_memory, look, called_so, tmp_path):
    (tmp_path / "SOUL.md").write_text("Kind.")
    memory = open_memory(memory_folder=str(tmp_path))
    memory.session(name="one")
    called_so("ai_peer", "clerk")
    memory.session(name="two")
    memory.session(name="three")
    seeded = look.query(
        "SELECT s.agent, s.source FROM identity_seeds s JOIN workspaces w ON w.id = s.workspace_id"
        " WHERE w.name = %(workspace)s AND s.kind = 'agent' ORDER BY s.agent",
        workspace=memory.settings.workspace,
    )
    assert [row["agent"] for row in seeded] == ["agent", "clerk"]


def test_the_owners_files_are_the_owners_under_either_name(open_memory, called_so, tmp_path):
    memory = open_memory(memory_folder=str(tmp_path))
    before = memory.session(name="before")
    called_so("peer_name", "ann")
    after, other = memory.session(name="after"), memory.session(name="other", user="user")
    names = [[tool["function"]["name"] for tool in one.tools()] for one in (before, after, other)]
    assert ["memory_read" in one or "memory_get" in one for one in names] == [True, True, False]


def test_keyword_arguments_and_the_environment_come_first(open_memory, called_so, monkeypatch):
    monkeypatch.setenv("AFTERTURN_AI_PEER", "desk")
    memory = open_memory(peer_name="bob")
    called_so("peer_name", "ann")
    called_so("ai_peer", "clerk")
    session = memory.session(name="s")
    assert (session.speaker, session.agent_peer) == ("bob", "desk")


def test_nothing_but_what_opens_sessions_is_read_again(memory, workspace):
    path = our_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    said = {"workspace": "elsewhere", "contextTokens": 500, "sessionPeerPrefix": True}
    path.write_text(json.dumps(said))
    session = memory.session(name="s")
    names = memory._services.names.settings()
    assert (names.workspace, names.context_tokens) == (workspace, 2000)
    assert names.session_peer_prefix
    assert session.key
    assert "workspace" not in OPENED_BY


def test_a_file_that_is_half_written_changes_nothing(memory, called_so, caplog):
    called_so("peer_name", "ann")
    assert memory.session(name="one").speaker == "ann"
    for wrong in ('{"peerName": ', '{"peerName": ""}', "[]"):
        our_file().write_text(wrong)
        with caplog.at_level(logging.WARNING):
            assert memory.session(name=f"two {wrong}").speaker == "ann"
        assert "holds on" in caplog.text
        caplog.clear()
    our_file().unlink()
    assert memory.session(name="three").speaker == "user"


def test_the_user_of_every_agent_is_named_in_postgres(memory, open_memory, look, called_so):
    memory.session(name="one").begin_turn("one").end("ONE")
    with memory._services.database.statement() as connection:
        workspace = look.session("one")["workspace_id"]
        set_setting(connection, workspace, Scope.WORKSPACE, "", "peerName", "ann")
        set_setting(connection, workspace, Scope.AGENT, "desk", "peerName", "bob")
    called_so("peer_name", "eve")
    assert memory.session(name="two").speaker == "ann"
    assert open_memory(ai_peer="desk").session(name="three").speaker == "bob"
