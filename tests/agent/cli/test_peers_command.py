"""`afterturn peers` and `peers map`: who is known in a workspace, and who is whom."""

from __future__ import annotations

import json

import pytest

from afterturn import Memory


@pytest.fixture
def talked(agent_env):
    """Have the owner, two people of a platform and two agents speak."""
    with Memory.open(peer_name="ann") as memory:
        memory.session(name="cli").begin_turn("hello").end("hi")
        memory.session(name="paper", agent="researcher").begin_turn("hello").end("hi")
        memory.session(platform="telegram", user_id=7).begin_turn("hello").end("hi")


def listed(called):
    done = called("peers", "--json")
    assert done.returncode == 0
    return {one["name"]: one for one in json.loads(done.stdout)}


def test_everyone_who_speaks_is_listed(talked, called):
    found = listed(called)
    assert {name: one["kind"] for name, one in found.items()} == {
        "ann": "user", "telegram-7": "user", "agent": "agent", "agent-researcher": "agent",
    }  # fmt: skip
    assert (found["ann"]["sessions"], found["agent"]["sessions"]) == (2, 2)
    assert found["agent-researcher"]["agents"] == ["researcher"]
    assert found["ann"]["last_turn_at"]
    shown = called("peers", "--limit", "2").stdout.splitlines()
    assert len(shown) == 3
    assert shown[0].split()[:2] == ["peer", "is"]


def test_one_who_only_joined_a_shared_chat_is_listed(talked, called, look, workspace):
    look.query(
        "INSERT INTO members (workspace_id, honcho_session, peer, observe_me, observe_others)"
        " SELECT id, 'cli', 'guest', true, false FROM workspaces WHERE name = %(name)s",
        name=workspace,
    )
    assert (listed(called)["guest"]["sessions"], listed(called)["guest"]["kind"]) == (1, "user")


def test_a_workspace_that_nobody_spoke_in(agent_env, called):
    assert called("peers").stdout.startswith("No peer is known in workspace ")
    assert called("peers", "--json").stdout == "[]\n"


def test_the_map_has_agents_and_aliases(talked, called):
    called("config", "set", "userPeerAliases", '{"telegram:7": "bob"}')
    called("config", "set", "pinUserPeer", "true")
    called("config", "set", "runtimePeerPrefix", "tg-")
    found = json.loads(called("peers", "map", "--json").stdout)
    assert found["agentPeerMap"] == {"main": "agent", "researcher": "agent-researcher"}
    assert found["mapped"] == []  # no worker has brought Honcho's map and ours together
    assert found["userPeerAliases"] == {"telegram:7": "bob"}
    shown = called("peers", "map").stdout
    assert "    researcher → agent-researcher (not in the map at Honcho yet)\n" in shown
    assert "    telegram:7 → bob\n" in shown
    assert "Everyone on a platform is user: pinUserPeer is on.\n" in shown
    assert "Other users' peers begin with 'tg-'.\n" in shown


def test_another_word_is_refused(agent_env, called):
    done = called("peers", "mop")
    assert (done.returncode, done.stdout) == (2, "")
    assert "takes `map` or nothing, not 'mop'" in done.stderr
