"""Sessions in Postgres: opened by key, read by id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

if TYPE_CHECKING:
    from uuid import UUID


@dataclass(frozen=True, slots=True)
class SessionSpec:
    """What a session is opened with: its place, its two peers, and where its key came from."""

    workspace: str
    key: str
    user_peer: str
    agent_peer: str
    title: str | None = None
    directory: str | None = None
    platform_key: str | None = None


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session as an agent holds it after `open_session`."""

    id: UUID
    workspace_id: int
    honcho_session: str
    turns: int
    last_index: int


_OPEN = text("""
WITH workspace AS (
    INSERT INTO workspaces (name) VALUES (:workspace)
    ON CONFLICT (name) DO UPDATE SET name = excluded.name
    RETURNING id
), people AS (
    INSERT INTO peers (workspace_id, name, kind)
    SELECT workspace.id, peer.name, peer.kind
    FROM workspace, (VALUES (:user_peer, 'user'), (:agent_peer, 'agent')) AS peer (name, kind)
    ON CONFLICT (workspace_id, name) DO NOTHING
), opened AS (
    INSERT INTO sessions
        (workspace_id, key, honcho_session, user_peer, agent_peer, title, directory, platform_key)
    SELECT workspace.id, :key, :key, :user_peer, :agent_peer,
           CAST(:title AS text), CAST(:directory AS text), CAST(:platform_key AS text)
    FROM workspace
    ON CONFLICT (workspace_id, key) DO UPDATE SET closed_at = NULL
    RETURNING id, workspace_id, honcho_session, turns, next_index
), cursor AS (
    INSERT INTO cursors (session_id) SELECT id FROM opened
    ON CONFLICT (session_id) DO NOTHING
)
SELECT id, workspace_id, honcho_session, turns, next_index - 1 AS last_index FROM opened
""")


def open_session(connection: Connection, spec: SessionSpec) -> OpenSession:
    """Find or make the session of `spec.key`, with its workspace, peers and cursor."""
    row = connection.execute(
        _OPEN,
        {
            "workspace": spec.workspace,
            "key": spec.key,
            "user_peer": spec.user_peer,
            "agent_peer": spec.agent_peer,
            "title": spec.title,
            "directory": spec.directory,
            "platform_key": spec.platform_key,
        },
    ).one()
    return OpenSession(row.id, row.workspace_id, row.honcho_session, row.turns, row.last_index)


_WORKSPACE = text("SELECT id FROM workspaces WHERE name = :name")


def workspace_id(connection: Connection, name: str) -> int | None:
    """Find a workspace; None where no session was ever opened in it."""
    return connection.execute(_WORKSPACE, {"name": name}).scalar()


_CLOSE = text("""
WITH closed AS (
    UPDATE sessions SET closed_at = clock_timestamp(), due_turn = turns
    WHERE id = :session RETURNING id, next_index
)
UPDATE cursors SET due_index = greatest(due_index, closed.next_index - 1)
FROM closed WHERE cursors.session_id = closed.id
RETURNING last_saved_index < due_index
""")


def close_session(connection: Connection, session_id: UUID) -> bool:
    """Close a session and make everything captured due; tell whether a sync is."""
    return bool(connection.execute(_CLOSE, {"session": session_id}).scalar())


@dataclass(frozen=True, slots=True)
class TurnFacts:
    """What a prefetch needs to know of a session's last turn.

    `user_text` is what the user said in it, and None where their mode keeps it out of Honcho:
    local text is never a query.
    """

    turn: int
    workspace: str
    honcho_session: str
    user_peer: str
    agent_peer: str
    user_text: str | None


_TURN = text("""
SELECT s.turns AS turn, w.name AS workspace, s.honcho_session, s.user_peer, s.agent_peer,
       m.role, m.peer, m.content, m.delivery, m.honcho_session AS row_session
FROM sessions s
JOIN workspaces w ON w.id = s.workspace_id
LEFT JOIN messages m ON m.session_id = s.id AND m.index >= s.turn_first_index
     AND m.turn = s.turns AND m.role IN ('user', 'assistant')
WHERE s.id = :session
ORDER BY m.index
""")


def last_turn(connection: Connection, session_id: UUID) -> TurnFacts | None:
    """Read what was said last, and by whom; None where the session is gone or has no turn."""
    rows = connection.execute(_TURN, {"session": session_id}).all()
    if not rows or rows[0].turn == 0:
        return None
    first = rows[0]
    users = [row for row in rows if row.role == "user"]
    agents = [row for row in rows if row.role == "assistant"]
    sent = [row.content for row in users if row.delivery == "send"]
    return TurnFacts(
        turn=first.turn,
        workspace=first.workspace,
        honcho_session=first.row_session or first.honcho_session,
        user_peer=users[0].peer if users else first.user_peer,
        agent_peer=agents[0].peer if agents else first.agent_peer,
        user_text="\n".join(sent) if sent else None,
    )
