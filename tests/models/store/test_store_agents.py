"""Agents in Postgres: their peers, and the lease under which their map is worked on."""

from __future__ import annotations

import threading

import pytest

from afterturn_models.store import agents
from afterturn_models.store.agents import AgentPeer, provisional_peer

ADA = AgentPeer("ada", "agent-ada")


def note(desk, *ids, **peers):
    wanted = {agent_id: provisional_peer(agent_id) for agent_id in ids} | peers
    return desk.run(agents.note_agents, "w", wanted)


def test_an_agent_is_written_down_once_and_keeps_its_peer(desk):
    assert note(desk, "ada") == {"ada": ADA}
    assert note(desk, ada="another") == {"ada": ADA}
    assert desk.run(agents.agents, "w") == [ADA]
    assert desk.run(agents.agents, "elsewhere") == []


def test_an_agent_that_spoke_under_its_bare_id_keeps_that(desk):
    desk.open(agent_peer="clerk")
    assert note(desk, "clerk", "ann") == {
        "clerk": AgentPeer("clerk", "clerk"),
        "ann": AgentPeer("ann", "agent-ann"),  # ann is a person there
    }


@pytest.mark.parametrize(
    ("agent", "made_up"),
    [
        (ADA, True),
        (AgentPeer("ada", "grace"), True),
        (AgentPeer("ada", "ada"), False),
        (AgentPeer("main", "agent"), False),
    ],
)
def test_which_peers_were_nobodys_choice(agent, made_up):
    assert agent.made_up is made_up


def test_any_id_makes_a_peer_and_two_never_one():
    ids = ["ada", "a b", "a-b", "a  b", "ä", "x" * 300, "x" * 301, ""]
    assert len({provisional_peer(agent_id) for agent_id in ids}) == len(ids)


def test_one_at_a_time_has_the_lease_and_only_where_there_is_work(desk):
    assert desk.run(agents.take_map, "w", "one", 60) is False
    note(desk, "ada")
    assert desk.run(agents.map_waits, "w") is True
    assert desk.run(agents.take_map, "w", "one", 60) is True
    assert desk.run(agents.take_map, "w", "two", 60) is False
    assert desk.run(agents.leave_map, "w", "two", 0) is False
    assert desk.run(agents.leave_map, "w", "one", 0) is True
    assert desk.run(agents.take_map, "w", "two", 60) is True
    desk.run(agents.note_mapped, "w", "two", ["ada"])
    desk.run(agents.leave_map, "w", "two", 0)
    assert desk.run(agents.map_waits, "w") is False
    assert desk.run(agents.take_map, "w", "one", 60) is False


def test_a_lease_that_ran_out_is_anybodys_and_its_holder_changes_nothing(desk):
    note(desk, "ada")
    desk.run(agents.take_map, "w", "one", 60)
    desk.sql("UPDATE workspaces SET map_until = clock_timestamp() - interval '1 second'")
    assert desk.run(agents.take_map, "w", "two", 60) is True
    desk.run(agents.note_mapped, "w", "one", ["ada"])
    desk.run(agents.rename_agents, "w", "one", {"ada": "grace"})
    assert desk.run(agents.agents, "w") == [ADA]


def test_a_rename_holds_for_what_comes_after_it(desk):
    note(desk, "ada", "bob")
    adas, bobs = desk.open(agent_peer="agent-ada"), desk.open(agent_peer="agent-bob")
    desk.capture(adas)
    desk.run(agents.take_map, "w", "one", 60)
    desk.run(agents.rename_agents, "w", "one", {"ada": "grace"})
    assert [agent.peer for agent in desk.run(agents.agents, "w")] == ["grace", "agent-bob"]
    peers = dict(desk.sql("SELECT id, agent_peer FROM sessions"))
    assert (peers[adas.id], peers[bobs.id]) == ("grace", "agent-bob")
    assert desk.sql("SELECT kind FROM peers WHERE name = 'grace'") == [("agent",)]
    assert desk.sql("SELECT count(*) FROM messages WHERE peer = 'grace'") == [(0,)]


def test_people_are_told_from_agents(desk):
    desk.open(user_peer="ann", agent_peer="bot")
    assert desk.run(agents.people, "w", ["ann", "bot", "nobody"]) == {"ann"}


def test_a_workspace_is_relayed_once_in_a_while_and_may_be_taken_meanwhile(desk):
    note(desk, "ada")
    assert desk.run(agents.take_unmapped, again=60, most=10) == ["w"]
    assert desk.run(agents.take_unmapped, again=60, most=10) == []
    assert desk.run(agents.take_map, "w", "one", 60) is True
    assert desk.run(agents.take_unmapped, again=60, most=10) == []
    desk.run(agents.leave_map, "w", "one", 0)
    assert desk.run(agents.take_unmapped, again=60, most=10) == ["w"]


def test_what_is_left_for_a_while_is_left_alone(desk):
    note(desk, "ada")
    desk.run(agents.take_map, "w", "one", 60)
    desk.run(agents.leave_map, "w", "one", 60)
    assert desk.run(agents.take_map, "w", "two", 60) is False
    assert desk.run(agents.take_unmapped, again=60, most=10) == []


def test_agents_that_come_at_once_are_all_written_down(desk):
    found = []

    def come(number: int) -> None:
        found.append(note(desk, *(f"a{n}" for n in range(number, number + 4)))[f"a{number}"])

    threads = [threading.Thread(target=come, args=(number,)) for number in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(found) == 8
    assert len(desk.run(agents.agents, "w")) == 11
