"""The map of agents: Honcho's and ours become one, and neither loses anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterturn_models.errors import OutcomeUnknown, Unreachable
from afterturn_models.store import agents
from afterturn_models.store.agents import AgentPeer, provisional_peer
from afterturn_models.store.sessions import SessionSpec, open_session
from afterturn_worker.flows.agents import map_agents as run_map
from afterturn_worker.flows.agents import merged
from afterturn_worker.flows.lease import SyncLimits
from afterturn_worker.map_store import PostgresMapStore
from support.memory_recall import MemoryRecall

LIMITS = SyncLimits()
WHOLE = {"theme": {"dark": True}, "agentPeerMap": {"openclaws": "claw"}}


class World:
    """One workspace called `w`: agents in Postgres, and a Honcho in memory."""

    def __init__(self, database):
        self.database = database
        self.store = PostgresMapStore(database, "worker")
        self.honcho = MemoryRecall()
        self.now = 100.0

    def note(self, *ids, **peers):
        wanted = {agent_id: provisional_peer(agent_id) for agent_id in ids} | peers
        with self.database.statement() as connection:
            return agents.note_agents(connection, "w", wanted)

    def run(self) -> bool:
        return run_map("w", self.store, self.honcho, LIMITS, clock=lambda: self.now)

    def until_done(self) -> int:
        for runs in range(1, 20):
            if not self.run():
                return runs
            self.pass_()
        raise AssertionError("it never ends")

    def pass_(self) -> None:
        with self.database.statement() as connection:
            connection.exec_driver_sql(
                "UPDATE workspaces SET map_until = map_until - interval '2 seconds'"
            )

    @property
    def map(self):
        return self.honcho.workspaces["w"].get("agentPeerMap")

    @property
    def ours(self):
        return {agent.agent_id: (agent.peer, agent.mapped) for agent in self.store.agents("w")}


@pytest.fixture
def world(database):
    return World(database)


def test_an_empty_map_is_seeded_and_looked_at_again(world):
    world.note(main="agent")
    assert world.run() is True  # written
    assert world.map == {"main": "agent"}
    assert world.ours == {"main": ("agent", False)}
    world.pass_()
    assert world.run() is False
    assert world.ours == {"main": ("agent", True)}
    assert world.honcho.agents == {("w", "agent"): "main"}
    assert world.run() is False
    assert len(world.honcho.asked("set_workspace_metadata")) == 1


def test_every_other_key_and_entry_is_kept(world):
    world.honcho.workspaces["w"] = dict(WHOLE)
    world.note("ada")
    world.until_done()
    assert world.honcho.workspaces["w"] == {
        "theme": {"dark": True},
        "agentPeerMap": {"openclaws": "claw", "ada": "agent-ada"},
    }


def test_what_is_in_the_map_wins_over_a_peer_that_was_made_up(world):
    world.honcho.workspaces["w"] = {"agentPeerMap": {"ada": "grace"}}
    world.note("ada")
    assert world.until_done() == 1
    assert world.ours == {"ada": ("grace", True)}
    assert world.honcho.agents == {("w", "grace"): "ada"}
    assert not world.honcho.asked("set_workspace_metadata")


def test_a_peer_that_somebody_chose_stays_and_the_map_is_not_taken_over(world):
    world.honcho.workspaces["w"] = {"agentPeerMap": {"main": "claw", "ada": "grace"}}
    world.note(main="agent", ada="ada")
    assert world.until_done() == 1
    assert world.ours == {"main": ("agent", True), "ada": ("ada", True)}
    assert world.map == {"main": "claw", "ada": "grace"}


def test_an_agent_that_was_renamed_is_found_among_the_peers(world):
    world.honcho.agents["w", "grace"] = "ada"
    world.note("ada", "bob")
    world.until_done()
    assert world.map == {"ada": "grace", "bob": "agent-bob"}
    assert world.ours["ada"] == ("grace", True)


def test_a_rename_at_honcho_is_taken_over_when_the_next_agent_comes(world):
    world.note("ada")
    world.until_done()
    world.honcho.workspaces["w"] = {"agentPeerMap": {"ada": "grace"}}
    world.note("bob")
    world.until_done()
    assert world.ours == {"ada": ("grace", True), "bob": ("agent-bob", True)}


@pytest.mark.parametrize("by", ["map", "metadata"])
def test_no_agent_becomes_a_person(world, by):
    """Or what is known of that person would be recalled as the agent's own."""
    spec = SessionSpec("w", "talk", user_peer="ann", agent_peer="bot")
    with world.database.statement() as connection:
        open_session(connection, spec)
    world.note("ada")
    if by == "map":
        world.honcho.workspaces["w"] = {"agentPeerMap": {"ada": "ann"}}
    else:
        world.honcho.agents["w", "ann"] = "ada"
    world.until_done()
    assert world.ours == {"ada": ("agent-ada", True)}
    if by == "metadata":
        assert world.map == {"ada": "agent-ada"}


@pytest.mark.parametrize("junk", [None, [], "x", {"ada": None}, {"ada": ""}])
def test_a_map_that_is_none_is_made_one(world, junk):
    world.honcho.workspaces["w"] = {"agentPeerMap": junk, "kept": 1}
    world.note("ada")
    world.until_done()
    assert world.honcho.workspaces["w"] == {"agentPeerMap": {"ada": "agent-ada"}, "kept": 1}


@pytest.mark.parametrize("entry", [{"peer": "x"}, "no id!", 7])
def test_an_entry_that_cannot_be_read_is_left_to_whoever_wrote_it(world, entry):
    world.honcho.workspaces["w"] = {"agentPeerMap": {"ada": entry}}
    world.note("ada")
    world.until_done()
    assert world.map == {"ada": entry}
    assert world.ours == {"ada": ("agent-ada", True)}


def test_what_another_writes_back_from_before_us_is_mended(world):
    world.honcho.workspaces["w"] = {"mine": 1}
    world.note("ada")
    assert world.run() is True
    world.honcho.workspaces["w"] = {"mine": 2}  # it had read before we wrote
    world.pass_()
    world.until_done()
    assert world.honcho.workspaces["w"] == {"mine": 2, "agentPeerMap": {"ada": "agent-ada"}}


def test_what_another_writes_while_we_look_for_renames_is_kept(world):
    world.note("ada")

    def meanwhile(asked):
        if asked.method == "peer_of_agent":
            world.honcho.workspaces["w"]["theirs"] = 1

    world.honcho.before = meanwhile
    world.until_done()
    assert world.honcho.workspaces["w"] == {"theirs": 1, "agentPeerMap": {"ada": "agent-ada"}}


def test_an_agent_that_comes_meanwhile_is_not_left_behind(world):
    world.note("ada")
    world.honcho.before = lambda asked: asked.method == "note_agent" and world.note("bob")
    world.until_done()
    assert world.map == {"ada": "agent-ada", "bob": "agent-bob"}
    assert all(mapped for _, mapped in world.ours.values())


def test_while_one_has_the_lease_another_does_nothing(world):
    world.note("ada")
    world.honcho.before = lambda asked: beside.append(
        run_map("w", PostgresMapStore(world.database, "other"), world.honcho, LIMITS)
    ) if len(beside) < 3 else None  # fmt: skip
    beside: list[bool] = []
    world.run()
    assert beside == [False] * 3
    assert len(world.honcho.asked("set_workspace_metadata")) == 1


@pytest.mark.parametrize(
    "method", ["workspace_metadata", "peer_of_agent", "set_workspace_metadata", "note_agent"]
)
def test_an_outage_is_raised_and_nothing_is_lost(world, method):
    world.honcho.fail(method, Unreachable("refused"))
    world.note("ada")
    with pytest.raises(Unreachable):
        world.until_done()
    assert world.run() is False  # not at once
    for _ in range(8):
        world.pass_()
    world.until_done()
    assert world.map == {"ada": "agent-ada"}
    assert world.ours == {"ada": ("agent-ada", True)}


def test_a_write_whose_end_is_unknown_is_let_settle(world):
    world.honcho.fail("set_workspace_metadata", OutcomeUnknown("timeout"))
    world.note("ada")
    with pytest.raises(OutcomeUnknown):
        world.run()
    with world.database.statement() as connection:
        left = connection.exec_driver_sql(
            "SELECT extract(epoch FROM map_until - clock_timestamp()) FROM workspaces"
        ).scalar()
    assert left > LIMITS.settling


def test_a_task_ends_before_its_lease_does_and_the_next_goes_on(world):
    world.note(*(f"a{number}" for number in range(30)))

    def slow(asked):
        assert world.now - start <= LIMITS.lease - LIMITS.margin
        assert asked.arguments.get("deadline", 1) > 0
        world.now += 1.0

    start = world.now
    world.honcho.before = slow
    for _ in range(20):
        start = world.now
        if not world.run():
            break
        world.pass_()
    assert len(world.map) == 30
    assert all(mapped for _, mapped in world.ours.values())


names = st.sampled_from(["ada", "bob", "main", "eve"])
peers = st.sampled_from(["agent-ada", "agent-bob", "agent", "grace", "ann", "", "no id"])


@given(
    st.dictionaries(names, peers | st.none() | st.just({})),
    st.dictionaries(names, st.tuples(peers.filter(bool), st.booleans())),
    st.dictionaries(names, st.sampled_from(["grace", "ann"])),
)
def test_merging_loses_no_entry_and_is_done_once(theirs, ours, found):
    known = [AgentPeer(agent_id, peer, mapped) for agent_id, (peer, mapped) in ours.items()]
    result = merged(theirs, known, found, {"ann"})
    assert {key: result.map[key] for key in theirs if theirs[key]} == {
        key: value for key, value in theirs.items() if value
    }
    assert set(result.map) == {*theirs, *ours}
    assert "ann" not in result.renamed.values()
    assert not {"main"} & set(result.renamed)
    after = [AgentPeer(a.agent_id, result.renamed.get(a.agent_id, a.peer)) for a in known]
    again = merged(result.map, after, found, {"ann"})
    assert (again.map, again.renamed) == (result.map, {})
    assert again.there == set(ours)
