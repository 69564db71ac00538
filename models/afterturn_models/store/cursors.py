"""The cursor of a session: its lease protocol, and the sessions that wait for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from afterturn_models.store.leases import Leases

if TYPE_CHECKING:
    import uuid

    from afterturn_models.values import Claim, Intent, Postponement, Standing

_CURSORS = Leases("cursors", ["session_id"], has_late=True)


def claim(
    connection: Connection, session_id: uuid.UUID, *, owner: str, lease: float, late: bool = False
) -> Claim | None:
    """Take the lease on a session's cursor (see `Leases.claim`)."""
    keys = {"session_id": session_id}
    return _CURSORS.claim(connection, keys, owner=owner, lease=lease, late=late)


def standing(connection: Connection, session_id: uuid.UUID) -> Standing:
    """Tell where a session's sync stands, without claiming it."""
    return _CURSORS.standing(connection, {"session_id": session_id})


def advance(
    connection: Connection, claim: Claim, *, saved: int, intent: Intent | None, lease: float
) -> int | None:
    """Settle up to `saved`, commit the next intent, renew the lease (see `Leases.advance`)."""
    keys = {"session_id": claim.session_id}
    return _CURSORS.advance(connection, keys, claim.epoch, saved=saved, intent=intent, lease=lease)


def release(connection: Connection, claim: Claim, *, saved: int, late: bool = False) -> bool:
    """Settle up to `saved` and give the lease back, unless more is due (see `Leases.release`)."""
    keys = {"session_id": claim.session_id}
    return _CURSORS.release(connection, keys, claim.epoch, saved=saved, late=late)


def postpone(connection: Connection, claim: Claim, delay: Postponement) -> bool:
    """Give the lease back until later (see `Leases.postpone`)."""
    return _CURSORS.postpone(connection, {"session_id": claim.session_id}, claim.epoch, delay)


_UNPARK = text("""
UPDATE cursors c SET parked = NULL
FROM sessions s JOIN workspaces w ON w.id = s.workspace_id
WHERE s.id = c.session_id AND w.name = :workspace AND c.parked IS NOT NULL
""")
_PARKED = text("""
SELECT DISTINCT w.name FROM cursors c
JOIN sessions s ON s.id = c.session_id JOIN workspaces w ON w.id = s.workspace_id
WHERE c.parked IS NOT NULL
""")


def parked_workspaces(connection: Connection) -> list[str]:
    """Name the workspaces in which sessions wait for a person."""
    return list(connection.execute(_PARKED).scalars())


def unpark(connection: Connection, workspace: str) -> int:
    """Let a workspace's parked sessions be tried again; gives how many there were."""
    return connection.execute(_UNPARK, {"workspace": workspace}).rowcount
