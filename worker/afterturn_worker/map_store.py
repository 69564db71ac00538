"""`MapStore` on Postgres: agents and their peers, each method one statement."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from afterturn_models.store import agents

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from afterturn_models.db import Database
    from afterturn_models.store.agents import AgentPeer


class PostgresMapStore:
    """`MapStore` for the worker called `worker`; the lease is one task's own."""

    def __init__(self, database: Database, worker: str) -> None:
        self._database = database
        self._worker = worker

    def take_map(self, workspace: str, *, lease: float) -> str | None:
        """Take the lease."""
        owner = f"{self._worker}/{uuid.uuid4().hex}"
        with self._database.statement() as connection:
            return owner if agents.take_map(connection, workspace, owner, lease) else None

    def map_waits(self, workspace: str) -> bool:
        """Tell whether an agent is not mapped yet."""
        with self._database.statement() as connection:
            return agents.map_waits(connection, workspace)

    def agents(self, workspace: str) -> Sequence[AgentPeer]:
        """Read every agent."""
        with self._database.statement() as connection:
            return agents.agents(connection, workspace)

    def people(self, workspace: str, names: Collection[str]) -> set[str]:
        """Tell which of these peers are people."""
        with self._database.statement() as connection:
            return agents.people(connection, workspace, names)

    def rename_agents(self, workspace: str, owner: str, peers: Mapping[str, str]) -> None:
        """Give agents other peers."""
        with self._database.statement() as connection:
            agents.rename_agents(connection, workspace, owner, peers)

    def note_mapped(self, workspace: str, owner: str, ids: Collection[str]) -> None:
        """Note that Honcho's map has these agents."""
        with self._database.statement() as connection:
            agents.note_mapped(connection, workspace, owner, ids)

    def leave_map(self, workspace: str, owner: str, *, seconds: float) -> bool:
        """Give the lease back."""
        with self._database.statement() as connection:
            return agents.leave_map(connection, workspace, owner, seconds)
