"""Agents: bring a workspace's agentPeerMap at Honcho and ours together, so that neither loses one.

Honcho replaces metadata whole, and knows no compare-and-set: so one worker at a time reads, merges
and writes, under a lease in Postgres. A program that keeps no lease may still write back what it
read before us; so an agent counts as mapped only once a later look has found it there.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from afterturn_models.errors import HonchoFailure, OutcomeUnknown
from afterturn_models.policy.ids import is_valid_id

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from afterturn_models.store.agents import AgentPeer
    from afterturn_worker.flows.lease import SyncLimits
    from afterturn_worker.honcho.recall_port import RecallPort

log = structlog.get_logger("afterturn.agents")

AGENT_PEER_MAP = "agentPeerMap"  # OpenClaw's key in a workspace's metadata
LOOK_AFTER = 2.0  # seconds from a write to the look that tells whether it stayed
_AFTER_FAILURE = 15.0  # seconds until a Honcho that failed is asked again
_SHORTEST = 0.5  # seconds; a request that must be over sooner is not begun


class MapStore(Protocol):
    """What it takes of Postgres; what changes anything does so under the taker's lease alone."""

    def take_map(self, workspace: str, *, lease: float) -> str | None:
        """Take the lease; gives the name it is held by, None where it is not to be had."""
        ...

    def map_waits(self, workspace: str) -> bool:
        """Tell whether an agent is not mapped yet."""
        ...

    def agents(self, workspace: str) -> Sequence[AgentPeer]:
        """Read every agent."""
        ...

    def people(self, workspace: str, names: Collection[str]) -> set[str]:
        """Tell which of these peers are people."""
        ...

    def rename_agents(self, workspace: str, owner: str, peers: Mapping[str, str]) -> None:
        """Give agents other peers."""
        ...

    def note_mapped(self, workspace: str, owner: str, ids: Collection[str]) -> None:
        """Note that Honcho's map has these agents."""
        ...

    def leave_map(self, workspace: str, owner: str, *, seconds: float) -> bool:
        """Give the lease back; nobody takes it for `seconds`."""
        ...


@dataclass(frozen=True, slots=True)
class Merged:
    """Honcho's map with our agents in it, the peers that ours are to have, and who was in it."""

    map: dict[str, Any]
    renamed: dict[str, str]
    there: frozenset[str]


def merged(
    theirs: Mapping[str, Any],
    ours: Sequence[AgentPeer],
    found: Mapping[str, str | None],
    people: Collection[str] = (),
) -> Merged:
    """Merge our agents into Honcho's map.

    What is in the map stays as it is: it may be another program's, and it wins over a peer that
    we made up. `found` are peers of agents that the map lacks, and whose metadata names them.
    No agent becomes one of `people`.
    """
    whole, renamed = dict(theirs), {}
    for agent in ours:
        there = theirs.get(agent.agent_id) or found.get(agent.agent_id)
        theirs_counts = isinstance(there, str) and is_valid_id(there) and there not in people
        if agent.made_up and theirs_counts and there != agent.peer:
            renamed[agent.agent_id] = str(there)
        peer = renamed.get(agent.agent_id, agent.peer)
        whole[agent.agent_id] = theirs.get(agent.agent_id) or peer
    ids = {agent.agent_id for agent in ours}
    return Merged(whole, renamed, frozenset(ids & {key for key in theirs if theirs[key]}))


def map_agents(
    workspace: str,
    store: MapStore,
    honcho: RecallPort,
    limits: SyncLimits,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """Bring both maps together; True where somebody has to come back in `LOOK_AFTER` seconds.

    Safe to run twice, delayed, or beside its twin. Raises HonchoFailure and
    StoreUnavailableError: the relay comes back to it then.
    """
    asked = clock()
    owner = store.take_map(workspace, lease=limits.lease)
    if owner is None:
        return False  # whoever has it looks at its end whether more has come

    def time_left() -> float:
        left = limits.lease - limits.margin - (clock() - asked)
        return max(0.0, min(limits.request, left))

    try:
        more = _Run(workspace, store, honcho, owner, time_left, limits.request / 2).merge()
    except HonchoFailure as failure:
        # A request whose end is not known may be carried out until the settling time is over.
        unknown = isinstance(failure, OutcomeUnknown)
        store.leave_map(workspace, owner, seconds=max(_AFTER_FAILURE, limits.settling * unknown))
        raise
    store.leave_map(workspace, owner, seconds=LOOK_AFTER if more else 0.0)
    return more or store.map_waits(workspace)


class _Run:
    """What one task does for one workspace while it has the lease."""

    def __init__(
        self,
        workspace: str,
        store: MapStore,
        honcho: RecallPort,
        owner: str,
        time_left: Callable[[], float],
        reserve: float,
    ) -> None:
        """Look for renames while more than `reserve` seconds are left, which the write needs."""
        self._workspace = workspace
        self._store = store
        self._honcho = honcho
        self._owner = owner
        self._time_left = time_left
        self._reserve = reserve

    def merge(self) -> bool:
        """Look, and write where the map lacks an agent; tell whether somebody has to come back."""
        metadata = self._metadata()
        every = self._store.agents(self._workspace)
        ours, found = self._looked_up(every, _map_in(metadata))
        if self._time_left() < _SHORTEST:
            return True
        if found:
            # Read again right before the write: what another writes in between would be lost.
            metadata = self._metadata()
        theirs = _map_in(metadata)
        result = merged(theirs, ours, found, self._people(theirs, found))
        if result.renamed:
            log.info("agents_renamed", workspace=self._workspace, peers=result.renamed)
            self._store.rename_agents(self._workspace, self._owner, result.renamed)
        more = result.map != theirs or len(ours) < len(every)
        if result.map != theirs and self._time_left() >= _SHORTEST:
            self._honcho.set_workspace_metadata(
                self._workspace,
                {**metadata, AGENT_PEER_MAP: result.map},
                deadline=self._time_left(),
            )
        return self._noted(ours, result) or more

    def _metadata(self) -> dict[str, Any]:
        return self._honcho.workspace_metadata(self._workspace, deadline=self._time_left())

    def _people(self, theirs: Mapping[str, Any], found: Mapping[str, str | None]) -> set[str]:
        named = {peer for peer in (*theirs.values(), *found.values()) if isinstance(peer, str)}
        return self._store.people(self._workspace, named)

    def _looked_up(
        self, every: Sequence[AgentPeer], theirs: Mapping[str, Any]
    ) -> tuple[list[AgentPeer], dict[str, str | None]]:
        """Look for agents that the map lacks among the peers: they may have been renamed.

        Gives the agents of whom that is known in the time that there is, and what was found.
        """
        ours: list[AgentPeer] = []
        found: dict[str, str | None] = {}
        for agent in every:
            if agent.made_up and not agent.mapped and not theirs.get(agent.agent_id):
                if self._time_left() < self._reserve:
                    continue  # the next task's
                found[agent.agent_id] = self._honcho.peer_of_agent(
                    self._workspace, agent.agent_id, deadline=self._time_left()
                )
            ours.append(agent)
        return ours, found

    def _noted(self, ours: Sequence[AgentPeer], result: Merged) -> bool:
        """Note in its peer's metadata, and as mapped, each agent whom this look has found.

        Tells whether some are left to the next task.
        """
        new = [agent for agent in ours if not agent.mapped and agent.agent_id in result.there]
        done = []
        for agent in new:
            if self._time_left() < _SHORTEST:
                break
            peer = result.renamed.get(agent.agent_id, agent.peer)
            self._honcho.note_agent(
                self._workspace, peer, agent.agent_id, deadline=self._time_left()
            )
            done.append(agent.agent_id)
        if done:
            self._store.note_mapped(self._workspace, self._owner, done)
        return len(done) < len(new)


def _map_in(metadata: Mapping[str, Any]) -> dict[str, Any]:
    found = metadata.get(AGENT_PEER_MAP)
    return dict(found) if isinstance(found, dict) else {}
