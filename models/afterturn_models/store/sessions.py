"""Sessions in Postgres: opened by key, read by id."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.types import Boolean, Text

from afterturn_models.errors import StoreUnavailableError
from afterturn_models.policy.session_name import CHOSEN
from afterturn_models.profile import SessionProfile
from afterturn_models.store.workspaces import ROOM, looked
from afterturn_models.values import Scope

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID


@dataclass(frozen=True, slots=True)
class SessionSpec:
    """What a session is opened with: its place, its two peers, and where its key came from.

    `apart` is the key where `key` belongs to another `source` (see `policy.session_name`).
    `profile` is a `SessionProfile` as JSON, `parent_key` the session that this one is a child of.
    """

    workspace: str
    key: str
    user_peer: str
    agent_peer: str
    title: str | None = None
    directory: str | None = None
    platform_key: str | None = None
    profile: str = "{}"
    parent_key: str | None = None
    apart: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session as an agent holds it after `open_session`.

    `key` is the one that it has, `said` what Postgres said of settings then, by scope, `stamp`
    what tells whether that is still so (see `Captured`), `profile` the session's, whole.
    """

    id: UUID
    workspace_id: int
    honcho_session: str
    turns: int
    last_index: int
    key: str = ""
    said: Mapping[Scope, Mapping[str, Any]] = field(default_factory=dict, compare=False)
    profile: SessionProfile = field(default_factory=SessionProfile, compare=False)
    stamp: str | None = field(default=None, compare=False)


# At each scope that a session lies in.
_AT_ITS_SCOPES = """ FROM settings
     WHERE settings.workspace_id = {workspace}
       AND (scope = 'workspace' OR (scope = 'agent' AND subject = {agent})
            OR (scope = 'session' AND subject = CAST({session} AS text))))"""
# What Postgres says of settings there, as one JSON array.
SAID = "(SELECT jsonb_agg(jsonb_build_array(scope, key, value))" + _AT_ITS_SCOPES

# The same for a statement that reads a session as `s`.
SAID_OF_SESSION = SAID.format(workspace="s.workspace_id", agent="s.agent_peer", session="s.id")

_STAMP = "(SELECT count(*) || ' ' || coalesce(CAST(max(updated_at) AS text), '')" + _AT_ITS_SCOPES
_WHOSE = {"workspace": "opened.workspace_id", "agent": ":agent_peer", "session": "opened.id"}

_OPEN_SQL = """
WITH {room}, people AS (
    INSERT INTO peers (workspace_id, name, kind)
    SELECT workspace.id, peer.name, peer.kind
    FROM workspace, (VALUES (:user_peer, 'user'), (:agent_peer, 'agent')) AS peer (name, kind)
    ON CONFLICT (workspace_id, name) DO NOTHING
), wanted AS (
    -- What another source has taken is left to it; whoever names a session joins whatever is there.
    SELECT CASE WHEN EXISTS (
        SELECT FROM sessions s
        WHERE s.workspace_id = workspace.id AND s.key = :key AND NOT :joins AND s.source <> :source
    ) THEN :apart ELSE :key END AS key
    FROM workspace
), opened AS (
    INSERT INTO sessions
        (workspace_id, key, honcho_session, user_peer, agent_peer, title, directory, platform_key,
         source, details, parent_id)
    SELECT workspace.id, wanted.key, wanted.key, :user_peer, :agent_peer,
           CAST(:title AS text), CAST(:directory AS text), CAST(:platform_key AS text),
           CAST(:source AS text), CAST(:profile AS jsonb), parent.id
    FROM workspace CROSS JOIN wanted
    LEFT JOIN sessions parent ON parent.workspace_id = workspace.id AND parent.key = :parent_key
    -- A session keeps what it was opened with before: whose it is, and its parent.
    ON CONFLICT (workspace_id, key) DO UPDATE
    SET closed_at = NULL, details = sessions.details || excluded.details,
        source = coalesce(sessions.source, excluded.source)
    WHERE :joins OR sessions.source IS NULL OR sessions.source = excluded.source
    RETURNING id, workspace_id, key, honcho_session, turns, next_index, details, parent_id
), inherited AS (
    -- What was said of a session alone holds for the work that is done for it.
    INSERT INTO settings (workspace_id, scope, subject, key, value)
    SELECT parents.workspace_id, parents.scope, CAST(opened.id AS text), parents.key, parents.value
    FROM opened JOIN settings parents
      ON parents.workspace_id = opened.workspace_id AND parents.scope = 'session'
         AND parents.subject = CAST(opened.parent_id AS text)
    ON CONFLICT (workspace_id, scope, subject, key) DO NOTHING
), cursor AS (
    INSERT INTO cursors (session_id) SELECT id FROM opened
    ON CONFLICT (session_id) DO NOTHING
)
SELECT id, workspace_id, key, honcho_session, turns, next_index - 1 AS last_index, details,
       {said} AS said,
       {stamp} AS stamp
FROM opened
"""
_OPEN = text(
    _OPEN_SQL.format(room=ROOM, said=SAID.format(**_WHOSE), stamp=_STAMP.format(**_WHOSE))
).bindparams(
    *(bindparam(name, type_=Text()) for name in ("key", "apart", "source")),
    bindparam("joins", type_=Boolean()),
)


def open_session(connection: Connection, spec: SessionSpec) -> OpenSession:
    """Find or make the session of `spec.key`, with its workspace, peers and cursor.

    Where that key belongs to another source, the session of `spec.apart` is meant. Each statement
    is to commit by itself. Raises StoreUnavailableError.
    """
    joins = spec.source is None or spec.source.startswith(f"{CHOSEN}:")
    # Nothing comes where another took the key in the same moment, too.
    rows = looked(connection, _OPEN, _parameters(spec, joins=joins))
    if not rows:
        raise StoreUnavailableError(f"session {spec.key} cannot be opened: its name changes hands")
    found = rows[0]
    return OpenSession(
        found.id,
        found.workspace_id,
        found.honcho_session,
        found.turns,
        found.last_index,
        key=found.key,
        said=by_scope(found.said),
        profile=SessionProfile.of(found.details),
        stamp=found.stamp,
    )


def _parameters(spec: SessionSpec, *, joins: bool) -> dict[str, Any]:
    return {
        "workspace": spec.workspace,
        "key": spec.key,
        "apart": spec.apart or spec.key,
        "source": spec.source,
        "joins": joins,
        "user_peer": spec.user_peer,
        "agent_peer": spec.agent_peer,
        "title": spec.title,
        "directory": spec.directory,
        "platform_key": spec.platform_key,
        "profile": spec.profile,
        "parent_key": spec.parent_key,
    }


def by_scope(said: list[list[Any]] | None) -> dict[Scope, dict[str, Any]]:
    """Sort rows of scope, key and value, as `SAID` aggregates them."""
    found: dict[Scope, dict[str, Any]] = {scope: {} for scope in Scope}
    for scope, key, value in said or ():
        found[Scope(scope)][key] = value
    return found


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
