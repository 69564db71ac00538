"""Rows out of their turn: mended or quarantined by a sync, dropped or sent late by a person.

Whoever changes what is to become of a row holds the session's lease, or puts the row behind the
cursor, where nobody has it in hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence
    from uuid import UUID

_UUIDS = ARRAY(PG_UUID(as_uuid=True))

# The cursor's lock keeps a claim out until the row is changed: without it, a worker that lost its
# lease a moment ago could set a row aside that its successor has just sent.
_CHANGE = """
WITH own AS (
    SELECT c.session_id FROM cursors c JOIN messages r ON r.session_id = c.session_id
    WHERE r.id = :row AND c.epoch = :epoch
    FOR UPDATE OF c
)
UPDATE messages m SET {change} FROM own WHERE m.id = :row AND m.session_id = own.session_id
"""
_MEND = text(_CHANGE.format(change="mended = true"))
_QUARANTINE = text(_CHANGE.format(change="delivery = 'quarantined', reason = :reason, late = NULL"))
_LOCK = text("SELECT FROM cursors WHERE session_id = :session AND epoch = :epoch FOR UPDATE")
_SENT = text("""
UPDATE messages SET late = 'sent'
WHERE session_id = :session AND late = 'due' AND id = ANY(:rows)
""").bindparams(bindparam("rows", type_=_UUIDS))
# The intent goes with it: it is known what became of it, and a live turn is not to wait for that.
_MORE = text("""
UPDATE cursors SET
    late = EXISTS (
        SELECT FROM messages WHERE session_id = :session AND late = 'due' AND delivery = 'send'),
    intent_first = NULL, intent_last = NULL, intent_rows = NULL, settle_at = NULL,
    attempts = CASE WHEN :any THEN 0 ELSE attempts END,
    last_error = CASE WHEN :any THEN NULL ELSE last_error END
WHERE session_id = :session
""")


def mend(connection: Connection, row: UUID, *, epoch: int) -> bool:
    """Have a row sent with its special tokens neutralised; False where the lease was lost."""
    return connection.execute(_MEND, {"row": row, "epoch": epoch}).rowcount == 1


def quarantine(connection: Connection, row: UUID, reason: str, *, epoch: int) -> bool:
    """Set a row aside that Honcho never takes; False where the lease was lost."""
    found = connection.execute(_QUARANTINE, {"row": row, "reason": reason, "epoch": epoch})
    return found.rowcount == 1


def note_late_sent(
    connection: Connection, session_id: UUID, rows: Sequence[UUID], *, epoch: int
) -> bool:
    """Note that late rows are at Honcho, and whether more wait; False: the lease was lost.

    An intent that is left is settled with it.

    It needs a transaction: whoever marks a row as late marks the cursor too, so that with the
    cursor locked first, the look for more misses none.
    """
    if connection.execute(_LOCK, {"session": session_id, "epoch": epoch}).one_or_none() is None:
        return False
    connection.execute(_SENT, {"session": session_id, "rows": list(rows)})
    connection.execute(_MORE, {"session": session_id, "any": len(rows) > 0})
    return True


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A row that Honcho refused, as a person sees it; `text` is its beginning."""

    id: UUID
    session: str
    workspace: str
    index: int
    role: str
    at: dt.datetime
    reason: str
    text: str


_LIST = text("""
SELECT m.id, s.key, w.name, m.index, m.role, m.at, m.reason, left(m.content, 80)
FROM messages m JOIN sessions s ON s.id = m.session_id JOIN workspaces w ON w.id = s.workspace_id
WHERE m.delivery = 'quarantined' AND (CAST(:session AS text) IS NULL OR s.key = :session)
ORDER BY m.captured_at, m.index LIMIT :limit
""")
_DROP = text("""
UPDATE messages SET delivery = 'local', reason = 'dropped: ' || reason
WHERE delivery = 'quarantined' AND (:every OR id = ANY(:rows)) RETURNING id
""").bindparams(bindparam("rows", type_=_UUIDS))
# Late wherever the row stands: a worker may have passed it already, and not have said so yet. A
# sync in turn leaves late rows alone, so that none is sent both ways.
_RETRY = text("""
WITH again AS (
    UPDATE messages SET delivery = 'send', reason = NULL, late = 'due'
    WHERE delivery = 'quarantined' AND (:every OR id = ANY(:rows))
    RETURNING id, session_id
), woken AS (
    UPDATE cursors SET late = true
    WHERE session_id IN (SELECT session_id FROM again)
)
SELECT session_id, count(*) AS rows FROM again GROUP BY session_id
""").bindparams(bindparam("rows", type_=_UUIDS))
_REPAIR = text("""
WITH marked AS (
    UPDATE messages m SET late = 'due' FROM cursors c
    WHERE c.session_id = :session AND m.session_id = :session AND m.id = ANY(:rows)
      AND m.delivery = 'send' AND m.index <= c.last_saved_index
      AND m.late IS DISTINCT FROM 'due'
    RETURNING m.id
), woken AS (
    UPDATE cursors SET late = true
    WHERE session_id = :session AND EXISTS (SELECT FROM marked)
)
SELECT count(*) FROM marked
""").bindparams(bindparam("rows", type_=_UUIDS))


def quarantined(
    connection: Connection, *, session: str | None = None, limit: int = 100
) -> list[Quarantined]:
    """List what Honcho refused, oldest first; of one session by its key, or of all."""
    found = connection.execute(_LIST, {"session": session, "limit": limit})
    return [Quarantined(*row) for row in found]


def drop_quarantined(connection: Connection, rows: Sequence[UUID] | None) -> int:
    """Give up sending quarantined rows (None: all); history keeps them. Gives how many."""
    found = connection.execute(_DROP, {"every": rows is None, "rows": list(rows or ())})
    return len(found.all())


def retry_quarantined(
    connection: Connection, rows: Sequence[UUID] | None
) -> tuple[int, list[UUID]]:
    """Have quarantined rows (None: all) sent again; gives how many, and the sessions to hint at."""
    found = connection.execute(_RETRY, {"every": rows is None, "rows": list(rows or ())}).all()
    return sum(row.rows for row in found), [row.session_id for row in found]


def send_late(connection: Connection, session_id: UUID, rows: Sequence[UUID]) -> int:
    """Have rows that are missing at Honcho sent late; gives how many."""
    found = connection.execute(_REPAIR, {"session": session_id, "rows": list(rows)})
    return int(found.scalar_one())
