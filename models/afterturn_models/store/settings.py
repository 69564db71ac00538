"""Settings in Postgres: shared by every agent and worker, by scope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from afterturn_models.values import Scope

if TYPE_CHECKING:
    from uuid import UUID

_SET = text("""
INSERT INTO settings (workspace_id, scope, subject, key, value)
VALUES (:workspace, :scope, :subject, :key, :value)
ON CONFLICT (workspace_id, scope, subject, key)
DO UPDATE SET value = excluded.value, updated_at = clock_timestamp()
""").bindparams(bindparam("value", type_=JSONB()))
_UNSET = text("""
DELETE FROM settings
WHERE workspace_id = :workspace AND scope = :scope AND subject = :subject AND key = :key
""")
_READ = text("""
SELECT scope, key, value FROM settings
WHERE workspace_id = :workspace
  AND (scope = 'workspace' OR (scope = 'agent' AND subject = :agent)
       OR (scope = 'session' AND subject = CAST(:session AS text)))
""")


def set_setting(
    connection: Connection, workspace_id: int, scope: Scope, subject: str, key: str, value: Any
) -> None:
    """Say `key` at a scope; it holds from the next turn everywhere.

    `subject` is the agent's peer or the session's id, and "" for the workspace.
    """
    connection.execute(
        _SET,
        {
            "workspace": workspace_id,
            "scope": scope.value,
            "subject": subject,
            "key": key,
            "value": value,
        },
    )


def unset_setting(
    connection: Connection, workspace_id: int, scope: Scope, subject: str, key: str
) -> bool:
    """Say nothing of `key` at a scope any more; tells whether anything was said."""
    found = connection.execute(
        _UNSET,
        {"workspace": workspace_id, "scope": scope.value, "subject": subject, "key": key},
    )
    return found.rowcount == 1


def settings_by_scope(
    connection: Connection, workspace_id: int, agent: str, session_id: UUID | None
) -> dict[Scope, dict[str, Any]]:
    """Read what is said at each scope that a session of `agent` lies in."""
    said: dict[Scope, dict[str, Any]] = {scope: {} for scope in Scope}
    for row in connection.execute(
        _READ, {"workspace": workspace_id, "agent": agent, "session": session_id}
    ):
        said[Scope(row.scope)][row.key] = row.value
    return said
