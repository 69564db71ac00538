"""Messages in Postgres: what a sync reads, and what history shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, CursorResult, RowMapping, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, UUID

from afterturn_models.values import Delivery, Message, Outgoing, Role

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

# What is late is sent out of its turn, and not in it.
_COLUMNS = """
SELECT id, index, role, peer, honcho_session, at, part, parts, mended,
       CASE WHEN delivery = 'send' AND (late IS NULL OR :with_late) THEN content END AS content
FROM messages
"""
_OUTGOING = text(
    f"{_COLUMNS} WHERE session_id = :session AND index > :after AND index <= :upto"
    " ORDER BY index LIMIT :limit"
)
_LISTED = text(
    f"{_COLUMNS} WHERE session_id = :session AND id = ANY(:rows) ORDER BY index"
).bindparams(bindparam("rows", type_=ARRAY(UUID(as_uuid=True))))
_LATE = text(
    f"{_COLUMNS} WHERE session_id = :session AND late = 'due' AND delivery = 'send'"
    " ORDER BY index LIMIT :limit"
)


def outgoing(
    connection: Connection,
    session_id: uuid.UUID,
    *,
    after: int,
    upto: int,
    limit: int,
    with_late: bool = False,
) -> Sequence[Outgoing]:
    """Read the rows beyond `after` up to `upto`, in order; text only of those to be sent.

    Rows that are sent out of their turn count as not to be sent, but `with_late`.
    """
    rows = connection.execute(
        _OUTGOING,
        {
            "session": session_id,
            "after": after,
            "upto": upto,
            "limit": limit,
            "with_late": with_late,
        },
    )
    return _as_outgoing(rows)


def listed(
    connection: Connection, session_id: uuid.UUID, rows: Sequence[uuid.UUID]
) -> Sequence[Outgoing]:
    """Read the rows with these ids, in order."""
    return _as_outgoing(
        connection.execute(_LISTED, {"session": session_id, "rows": list(rows), "with_late": True})
    )


def late(connection: Connection, session_id: uuid.UUID, *, limit: int) -> Sequence[Outgoing]:
    """Read rows that are to be sent out of their turn, in order."""
    return _as_outgoing(
        connection.execute(_LATE, {"session": session_id, "limit": limit, "with_late": True})
    )


def _as_outgoing(found: CursorResult[Any]) -> Sequence[Outgoing]:
    return [Outgoing(**{**row, "role": Role(row["role"])}) for row in found.mappings()]


_SHOWN = """
SELECT id, index, turn, role, peer, content, at, delivery, part, parts,
       coalesce(details->>'sent', content) AS sent
FROM messages
"""
_HISTORY = text(
    f"{_SHOWN} WHERE session_id = :session AND index < :before ORDER BY index DESC LIMIT :limit"
)
_NEWER = text(
    f"{_SHOWN} WHERE session_id = :session AND index > :after ORDER BY index LIMIT :limit"
)
# The turns are found by walking back over the index: nothing before them is read.
_WITHIN = """
session_id = :session AND (role <> 'tool' OR :tools) AND index > coalesce((
    SELECT before.index FROM messages before JOIN sessions s ON s.id = before.session_id
    WHERE before.session_id = :session
      AND before.turn <= (s.turns - :limit + :leap - 1) / :leap * :leap
    ORDER BY before.index DESC LIMIT 1), 0)
"""
_LAST_TURNS = text(f"{_SHOWN} WHERE {_WITHIN} ORDER BY index")
_FROZEN = text("""
SELECT details->>'system' AS block, peer FROM messages
WHERE session_id = :session AND jsonb_exists(details, 'system')
ORDER BY index LIMIT 1
""")
_END = 2**62


def page_before(
    connection: Connection, session_id: uuid.UUID, *, before: int | None, limit: int
) -> list[Message]:
    """Read the `limit` rows before index `before` (None: the last ones), oldest first."""
    found = connection.execute(
        _HISTORY,
        {"session": session_id, "before": _END if before is None else before, "limit": limit},
    )
    return [_message(row) for row in found.mappings()][::-1]


def page_after(
    connection: Connection, session_id: uuid.UUID, *, after: int, limit: int
) -> list[Message]:
    """Read up to `limit` rows beyond index `after`, oldest first."""
    found = connection.execute(_NEWER, {"session": session_id, "after": after, "limit": limit})
    return [_message(row) for row in found.mappings()]


def last_turns(
    connection: Connection, session_id: uuid.UUID, *, limit: int, tools: bool
) -> list[Message]:
    """Read the messages of the last turns, oldest first; without what tools said, but with `tools`.

    Of more than `limit` turns it leaves out so many at the beginning that `limit` are left at
    most, and always a multiple of half of it: the beginning stays where it is for that many turns.
    """
    found = connection.execute(
        _LAST_TURNS,
        {"session": session_id, "limit": limit, "leap": max(1, limit // 2), "tools": tools},
    )
    return [_message(row) for row in found.mappings()]


def frozen_block(connection: Connection, session_id: uuid.UUID) -> tuple[str, str] | None:
    """Read the block of memory that was frozen into a session's system prompt, and who spoke then.

    The block is "" where it was empty, and is to stay so; None where none was. It is on a
    session's first row as a rule.
    """
    row = connection.execute(_FROZEN, {"session": session_id}).one_or_none()
    return None if row is None else (row.block, row.peer)


def _message(row: RowMapping) -> Message:
    known = {**row, "role": Role(row["role"]), "delivery": Delivery(row["delivery"])}
    return Message(**known)
