"""Messages in Postgres: what a sync reads, and what history shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, RowMapping, text

from afterturn_models.values import Delivery, Message, Outgoing, Role

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

_OUTGOING = text("""
SELECT id, index, role, peer, honcho_session, at, part, parts,
       CASE WHEN delivery = 'send' THEN content END AS content
FROM messages
WHERE session_id = :session AND index > :after AND index <= :upto
ORDER BY index LIMIT :limit
""")


def outgoing(
    connection: Connection, session_id: UUID, *, after: int, upto: int, limit: int
) -> Sequence[Outgoing]:
    """Read the rows beyond `after` up to `upto`, in order; text only of those to be sent."""
    rows = connection.execute(
        _OUTGOING, {"session": session_id, "after": after, "upto": upto, "limit": limit}
    )
    return [Outgoing(**{**row, "role": Role(row["role"])}) for row in rows.mappings()]


_HISTORY = text("""
SELECT id, index, turn, role, peer, content, at, delivery, part, parts
FROM messages
WHERE session_id = :session AND index < :before
ORDER BY index DESC LIMIT :limit
""")
_NEWER = text("""
SELECT id, index, turn, role, peer, content, at, delivery, part, parts
FROM messages
WHERE session_id = :session AND index > :after
ORDER BY index LIMIT :limit
""")
_END = 2**62


def page_before(
    connection: Connection, session_id: UUID, *, before: int | None, limit: int
) -> list[Message]:
    """Read the `limit` rows before index `before` (None: the last ones), oldest first."""
    found = connection.execute(
        _HISTORY,
        {"session": session_id, "before": _END if before is None else before, "limit": limit},
    )
    return [_message(row) for row in found.mappings()][::-1]


def page_after(
    connection: Connection, session_id: UUID, *, after: int, limit: int
) -> list[Message]:
    """Read up to `limit` rows beyond index `after`, oldest first."""
    found = connection.execute(_NEWER, {"session": session_id, "after": after, "limit": limit})
    return [_message(row) for row in found.mappings()]


def _message(row: RowMapping) -> Message:
    known = {**row, "role": Role(row["role"]), "delivery": Delivery(row["delivery"])}
    return Message(**known)
