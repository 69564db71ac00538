"""Deleting a session: never while messages of it are on their way, at Honcho too where that is asked.

Whoever deletes it at Honcho holds the session's lease meanwhile, so that no worker sends.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID


class Deletion(StrEnum):
    """What came of deleting a session."""

    DONE = "done"
    GONE = "gone"  # it was deleted before
    SENDING = "sending"  # a worker is at it now
    UNKNOWN = "unknown"  # what was sent last may be at Honcho, and may come there yet


# Work on it is a sync, or a part of a re-sync that looks it through or copies it.
_AT_WORK = """(coalesce(c.lease_until > clock_timestamp(), false) OR EXISTS (
    SELECT FROM resync_parts p
    WHERE p.session_id = c.session_id AND p.lease_until > clock_timestamp()))"""
# The session's row is locked before the cursor's, as a capture does: neither waits for the other.
_OWN = "own AS MATERIALIZED (SELECT id FROM sessions WHERE id = :session FOR UPDATE)"
_DELETE_SQL = """
WITH {own}, free AS (
    SELECT c.session_id FROM own JOIN cursors c ON c.session_id = own.id
    WHERE NOT {at_work} AND (c.intent_first IS NULL OR :anyway) FOR UPDATE OF c
), deleted AS (
    DELETE FROM sessions s USING free WHERE s.id = free.session_id RETURNING s.workspace_id, s.id
), {unsaid}
SELECT count(*) FROM deleted
"""
# What was said of the session alone is nobody's without it.
_UNSAID = """unsaid AS (
    DELETE FROM settings said USING deleted
    WHERE said.workspace_id = deleted.workspace_id AND said.scope = 'session'
      AND said.subject = CAST(deleted.id AS text)
)"""
_DELETE = text(_DELETE_SQL.format(own=_OWN, at_work=_AT_WORK, unsaid=_UNSAID))
_WHY_SQL = """
SELECT CASE WHEN {at_work} THEN 'sending' WHEN c.intent_first IS NULL THEN 'sending' ELSE 'unknown' END
FROM cursors c WHERE c.session_id = :session
"""
_WHY = text(_WHY_SQL.format(at_work=_AT_WORK))


def delete_session(
    connection: Connection, session_id: UUID, *, unknown_too: bool = False
) -> Deletion:
    """Delete a session here, with its messages and settings, unless they are being sent now.

    At Honcho nothing is deleted. With `unknown_too`, also where it is not known whether the last ones were stored.
    """
    found = connection.execute(_DELETE, {"session": session_id, "anyway": unknown_too})
    return Deletion.DONE if found.scalar_one() else _why(connection, session_id)


def _why(connection: Connection, session_id: UUID) -> Deletion:
    found = connection.execute(_WHY, {"session": session_id}).scalar()
    return Deletion.GONE if found is None else Deletion(found)


_HOLD_SQL = """
WITH free AS (
    SELECT c.session_id FROM cursors c
    WHERE c.session_id = :session AND NOT {at_work} AND c.intent_first IS NULL FOR UPDATE
)
UPDATE cursors SET lease_owner = :owner, epoch = epoch + 1,
    lease_until = clock_timestamp() + make_interval(secs => :lease)
FROM free WHERE cursors.session_id = free.session_id
RETURNING epoch
"""
_HOLD = text(_HOLD_SQL.format(at_work=_AT_WORK))


def hold(connection: Connection, session_id: UUID, *, owner: str, lease: float) -> int | Deletion:
    """Take a session's lease for `lease` seconds, so that nobody sends; gives the epoch of it.

    Where messages are on their way, or may be, it says so instead.
    """
    epoch = connection.execute(
        _HOLD, {"session": session_id, "owner": owner, "lease": lease}
    ).scalar()
    return _why(connection, session_id) if epoch is None else int(epoch)


_LET_GO = text("""
UPDATE cursors SET lease_owner = NULL, lease_until = NULL
WHERE session_id = :session AND epoch = :epoch
""")


def let_go(connection: Connection, session_id: UUID, epoch: int) -> None:
    """Give the lease of `hold` back."""
    connection.execute(_LET_GO, {"session": session_id, "epoch": epoch})


@dataclass(frozen=True, slots=True)
class Place:
    """A session of Honcho that messages went to; `shared`: those of another session here too."""

    honcho_session: str
    shared: bool


# After a rename the name may be another session's, and what was captured before stays in it. All
# messages are looked through for that: what is deleted there is not to be had back.
_PLACES = text("""
WITH mine AS (
    SELECT honcho_session FROM messages WHERE session_id = :session AND delivery = 'send'
    UNION SELECT honcho_session FROM sessions WHERE id = :session
), others AS (
    SELECT s.id, s.honcho_session FROM sessions s, sessions own
    WHERE own.id = :session AND s.workspace_id = own.workspace_id AND s.id <> own.id
), theirs AS (
    SELECT honcho_session FROM others
    UNION SELECT m.honcho_session FROM messages m JOIN others ON others.id = m.session_id
    WHERE m.honcho_session IN (SELECT honcho_session FROM mine)
)
SELECT honcho_session, honcho_session IN (SELECT honcho_session FROM theirs) AS shared
FROM mine ORDER BY honcho_session
""")


def places(connection: Connection, session_id: UUID) -> list[Place]:
    """Name the sessions of Honcho that a session's messages went to."""
    return [Place(**row._mapping) for row in connection.execute(_PLACES, {"session": session_id})]


_DELETE_HELD_SQL = """
WITH {own}, held AS (
    SELECT c.session_id FROM own JOIN cursors c ON c.session_id = own.id
    WHERE c.epoch = :epoch FOR UPDATE OF c
), deleted AS (
    DELETE FROM sessions s USING held WHERE s.id = held.session_id
    RETURNING s.workspace_id, s.id, s.next_index - 1 AS messages
), {unsaid}, forgotten AS (
    DELETE FROM members m USING deleted
    WHERE m.workspace_id = deleted.workspace_id AND m.honcho_session = ANY(:names)
)
SELECT messages FROM deleted
"""
_DELETE_HELD = text(_DELETE_HELD_SQL.format(own=_OWN, unsaid=_UNSAID)).bindparams(
    bindparam("names", type_=ARRAY(Text()))
)


def delete_held(
    connection: Connection, session_id: UUID, epoch: int, *, gone: Sequence[str]
) -> int | None:
    """Delete a session that is held, and forget who is a member of those that are `gone` at Honcho.

    Gives how many messages it had; None where the lease was lost, and nothing was deleted.
    """
    return connection.execute(
        _DELETE_HELD, {"session": session_id, "epoch": epoch, "names": list(gone)}
    ).scalar()
