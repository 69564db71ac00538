"""Peers as a person reads them: who is known in a workspace, as what, and where they speak."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

if TYPE_CHECKING:
    import datetime as dt


@dataclass(frozen=True, slots=True)
class PeerLine:
    """A peer as a list shows it; `agents` are the ids of those agents that it is."""

    name: str
    kind: str
    agents: tuple[str, ...]
    sessions: int
    last_turn_at: dt.datetime | None


# Whoever joins a shared chat is a member there, and no session's user.
_PEERS = text("""
WITH room AS (
    SELECT id FROM workspaces WHERE name = :workspace
), places AS (
    SELECT p.name AS peer, CAST(NULL AS text) AS place, CAST(NULL AS timestamptz) AS at
    FROM peers p JOIN room ON p.workspace_id = room.id
    UNION ALL
    SELECT side.peer, s.honcho_session, s.last_turn_at
    FROM sessions s JOIN room ON s.workspace_id = room.id
    CROSS JOIN LATERAL (VALUES (s.user_peer), (s.agent_peer)) AS side (peer)
    UNION ALL
    SELECT m.peer, m.honcho_session, NULL FROM members m JOIN room ON m.workspace_id = room.id
), spoken AS (
    SELECT peer, count(DISTINCT place) AS sessions, max(at) AS last_turn_at
    FROM places GROUP BY peer
), called AS (
    SELECT a.peer, array_agg(a.agent_id ORDER BY a.agent_id) AS agents
    FROM agents a JOIN room ON a.workspace_id = room.id GROUP BY a.peer
)
SELECT spoken.peer AS name, coalesce(known.kind, 'user') AS kind,
       coalesce(called.agents, '{}') AS agents, spoken.sessions, spoken.last_turn_at
FROM spoken CROSS JOIN room
LEFT JOIN peers known ON known.workspace_id = room.id AND known.name = spoken.peer
LEFT JOIN called ON called.peer = spoken.peer
ORDER BY spoken.last_turn_at DESC NULLS LAST, spoken.peer LIMIT :most
""")


def list_peers(connection: Connection, workspace: str, *, most: int = 100) -> list[PeerLine]:
    """Give a workspace's peers, those with the latest turn first."""
    found = connection.execute(_PEERS, {"workspace": workspace, "most": most})
    return [
        PeerLine(row.name, row.kind, tuple(row.agents), row.sessions, row.last_turn_at)
        for row in found
    ]
