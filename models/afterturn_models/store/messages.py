"""Messages in Postgres: what a sync reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, CursorResult, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, UUID
from sqlalchemy.types import BigInteger

from afterturn_models.values import Outgoing, Role

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

_ROLES = {role.value: role for role in Role}

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
# A session's next rows, up to so many and so many bytes, for many sessions.
_OF_MANY_SQL = """
SELECT wanted.session_id, m.id, m.index, m.role, m.peer, m.honcho_session, m.content, m.at, m.part,
       m.parts, m.mended
FROM unnest(:sessions, :afters, :uptos) AS wanted (session_id, beyond, upto)
CROSS JOIN LATERAL (
    SELECT *, sum(coalesce(octet_length(content), 0)) OVER (ORDER BY index) AS bytes FROM (
        {columns}
        WHERE session_id = wanted.session_id AND index > wanted.beyond AND index <= wanted.upto
        ORDER BY index LIMIT :limit
    ) AS next
) AS m
WHERE m.bytes <= :bytes OR m.index = wanted.beyond + 1
"""
_OF_MANY = text(_OF_MANY_SQL.format(columns=_COLUMNS)).bindparams(
    bindparam("sessions", type_=ARRAY(UUID(as_uuid=True))),
    bindparam("afters", type_=ARRAY(BigInteger())),
    bindparam("uptos", type_=ARRAY(BigInteger())),
)
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


def outgoing_of_many(
    connection: Connection,
    wanted: Sequence[tuple[uuid.UUID, int, int]],
    *,
    limit: int,
    most_bytes: int,
    with_late: bool = False,
) -> dict[uuid.UUID, list[Outgoing]]:
    """Read what `outgoing` does for many sessions at once: each with `after` and `upto`.

    Of each at most `limit` rows and about `most_bytes` of text, one row at least.
    """
    sessions, afters, uptos = zip(*wanted, strict=True)
    parameters = {
        "sessions": list(sessions),
        "afters": list(afters),
        "uptos": list(uptos),
        "limit": limit,
        "bytes": most_bytes,
        "with_late": with_late,
    }
    found: dict[uuid.UUID, list[Outgoing]] = {session: [] for session in sessions}
    for session, row, index, role, *rest in _all(connection.execute(_OF_MANY, parameters)):
        found[session].append(Outgoing(row, index, _ROLES[role], *rest))
    return {session: sorted(rows, key=_index) for session, rows in found.items()}


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


def _all(found: CursorResult[Any]) -> Sequence[Sequence[Any]]:
    """Fetch every row at once: one after the other took as long again."""
    return found.all()


def _index(row: Outgoing) -> int:
    return row.index


def _as_outgoing(found: CursorResult[Any]) -> Sequence[Outgoing]:
    return [
        Outgoing(row, index, _ROLES[role], peer, session, content, *rest)
        for row, index, role, peer, session, *rest, content in _all(found)
    ]
