"""Workspaces in Postgres: found, or made where they are missing, by whoever needs one first.

Every session, agent and setting refers to its workspace's row, so none of those who look for it
may lock it: it is inserted only where it is missing, and never updated for that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Row, TextClause

# What a statement begins with to have the workspace called `:workspace` in `workspace`, by its id.
ROOM = """known AS (
    SELECT id FROM workspaces WHERE name = :workspace
), made AS (
    INSERT INTO workspaces (name)
    SELECT CAST(:workspace AS text) WHERE NOT EXISTS (SELECT FROM known)
    ON CONFLICT (name) DO NOTHING
    RETURNING id
), workspace AS (
    SELECT id FROM known UNION ALL SELECT id FROM made
)"""
_MAKE_SQL = "WITH {room} SELECT id FROM workspace"
_MAKE = text(_MAKE_SQL.format(room=ROOM))
_LOOKS = 5


def looked(
    connection: Connection, statement: TextClause, parameters: Mapping[str, Any]
) -> Sequence[Row[Any]]:
    """Run a statement with `ROOM` in it until it gives rows; none where it never does.

    None come where another made the workspace in the same moment; the next look sees that.
    """
    found: Sequence[Row[Any]] = []
    for _ in range(_LOOKS):
        found = connection.execute(statement, parameters).all()
        if found:
            break
    return found


def make_workspace(connection: Connection, name: str) -> int:
    """Give a workspace's id; it may be set up before any agent has spoken in it."""
    found: int = looked(connection, _MAKE, {"workspace": name})[0].id
    return found
