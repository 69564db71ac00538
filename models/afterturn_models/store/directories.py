"""The manual map in Postgres: which session a directory belongs to, for every agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

if TYPE_CHECKING:
    from collections.abc import Mapping

_READ = text("""
SELECT directory, session_key FROM directory_maps
WHERE workspace_id = :workspace ORDER BY directory
""")
_MAP = text("""
INSERT INTO directory_maps (workspace_id, directory, session_key)
VALUES (:workspace, :directory, :key)
ON CONFLICT (workspace_id, directory) DO UPDATE SET session_key = excluded.session_key
""")
_UNMAP = text("""
DELETE FROM directory_maps WHERE workspace_id = :workspace AND directory = :directory
""")
_CLEAR = text("DELETE FROM directory_maps WHERE workspace_id = :workspace")


def directory_map(connection: Connection, workspace_id: int) -> dict[str, str]:
    """Give the session's name for each directory that was mapped by hand."""
    found = connection.execute(_READ, {"workspace": workspace_id})
    return {row.directory: row.session_key for row in found}


def map_directory(connection: Connection, workspace_id: int, directory: str, key: str) -> None:
    """Map a directory, by its absolute path, to a session's name."""
    connection.execute(_MAP, {"workspace": workspace_id, "directory": directory, "key": key})


def unmap_directory(connection: Connection, workspace_id: int, directory: str) -> bool:
    """Let a directory have no session of its own; tells whether it had one."""
    found = connection.execute(_UNMAP, {"workspace": workspace_id, "directory": directory})
    return found.rowcount == 1


def replace_map(connection: Connection, workspace_id: int, sessions: Mapping[str, str]) -> bool:
    """Make `sessions` the whole map, within the caller's transaction; tells whether there was one."""
    cleared = connection.execute(_CLEAR, {"workspace": workspace_id}).rowcount
    for directory, key in sessions.items():
        map_directory(connection, workspace_id, directory, key)
    return cleared > 0
