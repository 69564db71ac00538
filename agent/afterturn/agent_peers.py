"""Agents by the ids that their host gives them, and the peers that they are; kept for a process.

The peer comes from Postgres, where a worker writes down what Honcho's agentPeerMap says. Honcho
itself is never asked here.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from afterturn_models.errors import StoreUnavailableError
from afterturn_models.lru import Lru
from afterturn_models.policy.text import clean_text
from afterturn_models.signatures import map_agents
from afterturn_models.store.agents import MAIN, AgentPeer, note_agents, provisional_peer

if TYPE_CHECKING:
    from collections.abc import Callable

    from afterturn.capture import Capturer
    from afterturn.dispatch import Dispatcher
    from afterturn_models.db import Database

_KEPT = 1024
_AGAIN = 5.0  # seconds until Postgres is asked again for an agent that is not mapped yet


@dataclass(frozen=True, slots=True)
class _Known:
    agent: AgentPeer
    at: float

    @property
    def counts(self) -> bool:
        return self.agent.mapped or time.monotonic() - self.at < _AGAIN


class AgentPeers:
    """The agents of one workspace; safe between threads."""

    def __init__(
        self,
        database: Database,
        capturer: Capturer,
        dispatcher: Dispatcher,
        workspace: str,
        default: Callable[[], AgentPeer],
    ) -> None:
        """`default` gives the configured agent, whose peer nobody else decides."""
        self._database = database
        self._capturer = capturer
        self._dispatcher = dispatcher
        self._workspace = workspace
        self._default = default
        self._known: Lru[str, _Known] = Lru(_KEPT)

    def peer(self, agent: str | None) -> str:
        """Give an agent's peer; None, `main` and the configured agent's name mean that one.

        What Postgres does not know yet is written down there, and a worker asked to bring it and
        Honcho's map together. While Postgres is away, one that was never seen here is
        `agent-<id>` for the time being. Raises SchemaError.
        """
        agent_id = clean_text(agent or "").strip()
        default = self._default()
        if agent_id in {"", MAIN, default.agent_id, default.peer}:
            self._note({default.agent_id: default.peer})
            return default.peer
        wanted = {
            default.agent_id: default.peer,
            agent_id: provisional_peer(agent_id),
        }
        self._note(wanted)
        known = self._known.get(agent_id)
        return known.agent.peer if known else wanted[agent_id]

    def forked(self) -> None:
        """Go on in a forked child."""
        self._known.forked()

    def _note(self, wanted: dict[str, str]) -> None:
        kept = {agent_id: self._known.get(agent_id) for agent_id in wanted}
        if all(known and known.counts for known in kept.values()) or self._capturer.away:
            return
        try:
            with self._database.statement() as connection:
                found = note_agents(connection, self._workspace, wanted)
        except StoreUnavailableError as error:
            self._capturer.note_away(error)
            return
        now = time.monotonic()
        for agent_id, agent in found.items():
            self._known.put(agent_id, _Known(agent, now))
        if not all(agent.mapped for agent in found.values()):
            self._dispatcher.send(map_agents(self._workspace))
