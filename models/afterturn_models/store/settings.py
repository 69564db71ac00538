"""Settings in Postgres: shared by every agent and worker, by scope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from afterturn_models.keys import names_of
from afterturn_models.shared import field_called, shareable, shared_source
from afterturn_models.store.directories import directory_map, replace_map
from afterturn_models.values import Scope

if TYPE_CHECKING:
    from uuid import UUID

    from afterturn_models.sources import Source

_SET = text("""
INSERT INTO settings (workspace_id, scope, subject, key, value)
VALUES (:workspace, :scope, :subject, :key, :value)
ON CONFLICT (workspace_id, scope, subject, key)
DO UPDATE SET value = excluded.value, updated_at = clock_timestamp()
""").bindparams(bindparam("value", type_=JSONB()))
_UNSET = text("""
DELETE FROM settings
WHERE workspace_id = :workspace AND scope = :scope AND subject = :subject AND key = ANY(:keys)
""")
_READ = text("""
SELECT scope, key, value,
       count(*) OVER () || ' ' || CAST(max(updated_at) OVER () AS text) AS stamp
FROM settings
WHERE workspace_id = :workspace
  AND (scope = 'workspace' OR (scope = 'agent' AND subject = :agent)
       OR (scope = 'session' AND subject = CAST(:session AS text)))
""")
NOTHING_SAID = "0 "  # the stamp of no settings at all, as `store.capture` makes it
_SESSION = text("""
SELECT id, agent_peer FROM sessions WHERE workspace_id = :workspace AND key = :key
""")


def set_setting(
    connection: Connection, workspace_id: int, scope: Scope, subject: str, key: str, value: Any
) -> None:
    """Say `key` at a scope; it holds from the next turn and the next task everywhere.

    `subject` is the agent's peer or the session's id, and "" for the workspace. The map of
    `sessions` is replaced as a whole, in the caller's transaction. Raises ConfigurationError for
    what the model of settings refuses, and for what is not kept at that scope.
    """
    stored, found = shareable(key, value, scope)
    if stored == "sessions":
        replace_map(connection, workspace_id, found)
        return
    parameters = _place(workspace_id, scope, subject)
    connection.execute(_SET, {**parameters, "key": stored, "value": found})


def unset_setting(
    connection: Connection, workspace_id: int, scope: Scope, subject: str, key: str
) -> bool:
    """Say nothing of `key` at a scope any more; tells whether anything was said.

    Raises ConfigurationError where there is no such setting.
    """
    field = field_called(key)
    if field == "sessions":
        return scope is Scope.WORKSPACE and replace_map(connection, workspace_id, {})
    parameters = _place(workspace_id, scope, subject)
    return connection.execute(_UNSET, {**parameters, "keys": names_of(field)}).rowcount > 0


def _place(workspace_id: int, scope: Scope, subject: str) -> dict[str, Any]:
    return {"workspace": workspace_id, "scope": scope.value, "subject": subject}


def settings_by_scope(
    connection: Connection, workspace_id: int, agent: str, session_id: UUID | None
) -> dict[Scope, dict[str, Any]]:
    """Read what is said at each scope that a session of `agent` lies in."""
    return settings_as_stamped(connection, workspace_id, agent, session_id)[0]


def settings_as_stamped(
    connection: Connection, workspace_id: int, agent: str, session_id: UUID | None
) -> tuple[dict[Scope, dict[str, Any]], str]:
    """Read what is said at each scope, and the stamp that a capture gives while that holds."""
    said: dict[Scope, dict[str, Any]] = {scope: {} for scope in Scope}
    stamp = NOTHING_SAID
    for row in connection.execute(
        _READ, {"workspace": workspace_id, "agent": agent, "session": session_id}
    ):
        said[Scope(row.scope)][row.key] = row.value
        stamp = row.stamp
    return said, stamp


def shared_sources(
    connection: Connection,
    workspace_id: int,
    agent: str,
    session_id: UUID | None = None,
    *,
    workspace: str = "",
    session: str = "",
) -> list[Source]:
    """Read what Postgres says as sources of settings, narrowest scope first.

    For `Loaded.with_shared`. The names of `workspace` and `session` only tell people the place.
    """
    said = settings_by_scope(connection, workspace_id, agent, session_id)
    if sessions := directory_map(connection, workspace_id):
        said[Scope.WORKSPACE]["sessions"] = sessions
    names = {Scope.SESSION: session, Scope.AGENT: agent, Scope.WORKSPACE: workspace}
    return [shared_source(scope, name, said[scope]) for scope, name in names.items()]


def session_called(connection: Connection, workspace_id: int, key: str) -> tuple[UUID, str] | None:
    """Find a session's id and its agent's peer by its name; None where there is none."""
    row = connection.execute(_SESSION, {"workspace": workspace_id, "key": key}).one_or_none()
    return None if row is None else (row.id, row.agent_peer)
