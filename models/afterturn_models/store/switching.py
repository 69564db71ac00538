"""Switching memory off and on: what was said before it was, kept where the settings are.

It is a note among the settings of a workspace, under a name that is no setting's: whoever switches
memory on again, on whatever machine, finds it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

if TYPE_CHECKING:
    from collections.abc import Mapping

_NOTE = "_beforeDisable"  # begins as comments do, so that nobody takes it for a setting
_KEEP = text("""
INSERT INTO settings (workspace_id, scope, subject, key, value)
VALUES (:workspace, 'workspace', '', :key, :value)
ON CONFLICT (workspace_id, scope, subject, key) DO NOTHING
""").bindparams(bindparam("value", type_=JSONB()))
_KEPT = text("""
SELECT value FROM settings
WHERE workspace_id = :workspace AND scope = 'workspace' AND subject = '' AND key = :key
""")
_FORGET = text("""
DELETE FROM settings
WHERE workspace_id = :workspace AND scope = 'workspace' AND subject = '' AND key = :key
""")


def keep_former(connection: Connection, workspace_id: int, said: Mapping[str, Any]) -> None:
    """Keep what is said of the workspace now; nothing where that of before is kept already."""
    parameters = {"workspace": workspace_id, "key": _NOTE, "value": dict(said)}
    connection.execute(_KEEP, parameters)


def former(connection: Connection, workspace_id: int) -> dict[str, Any]:
    """Give what was said before memory was switched off; {} where nothing was, or it never was."""
    found = connection.execute(_KEPT, {"workspace": workspace_id, "key": _NOTE}).scalar()
    return found if isinstance(found, dict) else {}


def forget_former(connection: Connection, workspace_id: int) -> None:
    """Keep it no longer: memory is switched on."""
    connection.execute(_FORGET, {"workspace": workspace_id, "key": _NOTE})
