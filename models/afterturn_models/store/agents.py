"""Agents in Postgres: their ids, their peers, and the lease under which Honcho's map and ours meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

from afterturn_models.policy.ids import honcho_id
from afterturn_models.store.workspaces import ROOM, looked

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

MAIN = "main"  # the id of the agent that nobody gave one, as OpenClaw calls it
_TEXTS = ARRAY(Text())


@dataclass(frozen=True, slots=True)
class AgentPeer:
    """An agent and the peer that it is; `mapped` once Honcho's agentPeerMap is known to say so."""

    agent_id: str
    peer: str
    mapped: bool = False

    @property
    def made_up(self) -> bool:
        """Tell whether its peer was nobody's choice, so that Honcho's word on it counts."""
        return self.agent_id != MAIN and self.peer != honcho_id(self.agent_id)


def provisional_peer(agent_id: str) -> str:
    """Give the peer of an agent of whom nobody has said which it is (OpenClaw's `agent-<id>`)."""
    return honcho_id(f"agent-{agent_id}")


# An agent that spoke before there were agents' ids has a peer of its own name, and keeps it.
_NOTE_SQL = """
WITH {room}
INSERT INTO agents (workspace_id, agent_id, peer)
SELECT workspace.id, given.agent_id,
       CASE WHEN EXISTS (SELECT FROM peers WHERE peers.workspace_id = workspace.id
                         AND peers.name = given.named AND peers.kind = 'agent')
            THEN given.named ELSE given.peer END
FROM workspace, unnest(:ids, :named, :peers) AS given (agent_id, named, peer)
ORDER BY given.agent_id
ON CONFLICT (workspace_id, agent_id) DO UPDATE SET agent_id = excluded.agent_id
RETURNING agent_id, peer, mapped
"""
_NOTE = text(_NOTE_SQL.format(room=ROOM)).bindparams(
    *(bindparam(name, type_=_TEXTS) for name in ("ids", "named", "peers"))
)


def note_agents(
    connection: Connection, workspace: str, peers: Mapping[str, str]
) -> dict[str, AgentPeer]:
    """Write down agents (`peers` by id) where they are not known; gives each as it is known."""
    found = looked(
        connection,
        _NOTE,
        {
            "workspace": workspace,
            "ids": list(peers),
            "named": [honcho_id(agent_id) for agent_id in peers],
            "peers": list(peers.values()),
        },
    )
    return {row.agent_id: AgentPeer(row.agent_id, row.peer, row.mapped) for row in found}


_AGENTS = text("""
SELECT a.agent_id, a.peer, a.mapped
FROM agents a JOIN workspaces w ON w.id = a.workspace_id
WHERE w.name = :workspace ORDER BY a.agent_id
""")


def agents(connection: Connection, workspace: str) -> list[AgentPeer]:
    """Read every agent of a workspace."""
    rows = connection.execute(_AGENTS, {"workspace": workspace})
    return [AgentPeer(row.agent_id, row.peer, row.mapped) for row in rows]


_UNMAPPED = "EXISTS (SELECT FROM agents a WHERE a.workspace_id = w.id AND NOT a.mapped)"
_TAKE_SQL = """
UPDATE workspaces w
SET map_owner = :owner, map_until = clock_timestamp() + make_interval(secs => :lease)
WHERE w.name = :workspace AND {unmapped}
  AND (w.map_until IS NULL OR w.map_until <= clock_timestamp() OR w.map_owner = 'relay')
"""
_TAKE = text(_TAKE_SQL.format(unmapped=_UNMAPPED))


def take_map(connection: Connection, workspace: str, owner: str, lease: float) -> bool:
    """Take the lease on a workspace's map; False where another has it, or nothing is to be done."""
    parameters = {"workspace": workspace, "owner": owner, "lease": lease}
    return connection.execute(_TAKE, parameters).rowcount == 1


_WAITING_SQL = "SELECT EXISTS (SELECT FROM workspaces w WHERE w.name = :workspace AND {unmapped})"
_WAITING = text(_WAITING_SQL.format(unmapped=_UNMAPPED))


def map_waits(connection: Connection, workspace: str) -> bool:
    """Tell whether an agent of a workspace is not mapped yet."""
    return bool(connection.execute(_WAITING, {"workspace": workspace}).scalar())


_LEAVE = text("""
UPDATE workspaces
SET map_owner = NULL, map_until = clock_timestamp() + make_interval(secs => :seconds)
WHERE name = :workspace AND map_owner = :owner
""")


def leave_map(connection: Connection, workspace: str, owner: str, seconds: float) -> bool:
    """Give the lease back; nobody takes it for `seconds`. False where it was lost."""
    parameters = {"workspace": workspace, "owner": owner, "seconds": seconds}
    return connection.execute(_LEAVE, parameters).rowcount == 1


# What comes after a rename is the new peer's; what was said before stays where it is.
_RENAME = text("""
WITH given AS (
    SELECT w.id AS workspace_id, g.agent_id, g.peer
    FROM workspaces w, unnest(:ids, :peers) AS g (agent_id, peer)
    WHERE w.name = :workspace AND w.map_owner = :owner
), renamed AS (
    UPDATE agents a SET peer = given.peer, updated_at = clock_timestamp()
    FROM given
    WHERE a.workspace_id = given.workspace_id AND a.agent_id = given.agent_id
), known AS (
    INSERT INTO peers (workspace_id, name, kind)
    SELECT DISTINCT given.workspace_id, given.peer, 'agent' FROM given
    ON CONFLICT (workspace_id, name) DO NOTHING
)
UPDATE sessions s SET agent_peer = given.peer
FROM given JOIN agents a ON a.workspace_id = given.workspace_id AND a.agent_id = given.agent_id
WHERE s.workspace_id = given.workspace_id AND s.agent_peer = a.peer
  AND NOT EXISTS (SELECT FROM agents other WHERE other.workspace_id = given.workspace_id
                  AND other.peer = a.peer AND other.agent_id <> a.agent_id)
""").bindparams(*(bindparam(name, type_=_TEXTS) for name in ("ids", "peers")))


def rename_agents(
    connection: Connection, workspace: str, owner: str, peers: Mapping[str, str]
) -> None:
    """Give agents the peers that Honcho has for them, for the holder of the lease."""
    parameters = {
        "workspace": workspace,
        "owner": owner,
        "ids": list(peers),
        "peers": list(peers.values()),
    }
    connection.execute(_RENAME, parameters)


_PEOPLE = text("""
SELECT p.name FROM peers p JOIN workspaces w ON w.id = p.workspace_id
WHERE w.name = :workspace AND p.kind = 'user' AND p.name = ANY(:names)
""").bindparams(bindparam("names", type_=_TEXTS))


def people(connection: Connection, workspace: str, names: Collection[str]) -> set[str]:
    """Tell which of these peers are people here: no agent may become one of them."""
    found = connection.execute(_PEOPLE, {"workspace": workspace, "names": list(names)})
    return set(found.scalars())


_MAPPED = text("""
UPDATE agents a SET mapped = true, updated_at = clock_timestamp()
FROM workspaces w
WHERE w.name = :workspace AND w.map_owner = :owner
  AND a.workspace_id = w.id AND a.agent_id = ANY(:ids)
""").bindparams(bindparam("ids", type_=_TEXTS))


def note_mapped(connection: Connection, workspace: str, owner: str, ids: Collection[str]) -> None:
    """Note that Honcho's map has these agents, for the holder of the lease."""
    parameters = {"workspace": workspace, "owner": owner, "ids": list(ids)}
    connection.execute(_MAPPED, parameters)


_UNDONE_SQL = """
UPDATE workspaces w
SET map_owner = 'relay', map_until = clock_timestamp() + make_interval(secs => :again)
WHERE w.id IN (
    SELECT w.id FROM workspaces w
    WHERE {unmapped} AND (w.map_until IS NULL OR w.map_until <= clock_timestamp())
    LIMIT :most
    FOR UPDATE SKIP LOCKED
)
RETURNING w.name
"""
_UNDONE = text(_UNDONE_SQL.format(unmapped=_UNMAPPED))


def take_unmapped(connection: Connection, *, again: float, most: int) -> Sequence[str]:
    """List workspaces that have agents whom Honcho's map lacks, and that nobody works on.

    Each is listed once in `again` seconds over all workers, and may be taken in the meantime.
    """
    return list(connection.execute(_UNDONE, {"again": again, "most": most}).scalars())
