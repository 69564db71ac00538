"""What a compaction reads of a history: lines without text, texts by the page, where text has been."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import UUID

from afterturn_models.policy.compaction import Line
from afterturn_models.values import Role

if TYPE_CHECKING:
    import uuid


@dataclass(frozen=True, slots=True)
class Said:
    """A row's text as a summary reads it; `speaker` is the peer, or a tool's name."""

    index: int
    role: Role
    speaker: str
    text: str
    part: int = 0


@dataclass(frozen=True, slots=True)
class Reach:
    """Where the text of some rows has been.

    `stays_here`: some of it was not to leave this machine. `honcho_session` is the one session of
    Honcho that was sent all of it, but for noise; None where there is none.
    """

    stays_here: bool = False
    honcho_session: str | None = None


_LINES = text("""
SELECT index, turn, role, coalesce(tokens, char_length(content) / 4 + 1) AS tokens
FROM messages WHERE session_id = :session AND index > :after ORDER BY index LIMIT :limit
""")


def lines(connection: Connection, session_id: uuid.UUID, *, after: int, limit: int) -> list[Line]:
    """Read a page of rows beyond `after` as a plan sees them, without their text."""
    parameters = {"session": session_id, "after": after, "limit": limit}
    rows = connection.execute(_LINES, parameters)
    return [Line(index, turn, Role(role), tokens) for index, turn, role, tokens in rows]


_SAID = text("""
SELECT index, role, coalesce(details->'call'->>'name', peer) AS speaker, content, part
FROM messages
WHERE session_id = :session AND index > :after AND index <= :upto ORDER BY index LIMIT :limit
""")


def said(
    connection: Connection, session_id: uuid.UUID, *, after: int, upto: int, limit: int
) -> list[Said]:
    """Read a page of texts beyond `after` up to `upto`."""
    parameters = {"session": session_id, "after": after, "upto": upto, "limit": limit}
    rows = connection.execute(_SAID, parameters)
    return [Said(index, Role(role), *rest) for index, role, *rest in rows]


# What a machine began counts as the modes' own: they are not on its rows.
_REACH = text("""
SELECT coalesce(bool_or(reason IN ('mode', 'saveMessages', 'machine')), false) AS stays_here,
       CASE WHEN bool_and(coalesce(reason IN ('noise', 'blank'), false)
                          OR (delivery = 'send' AND late IS DISTINCT FROM 'due'))
             AND count(DISTINCT honcho_session) = 1
            THEN min(honcho_session) END AS honcho_session
FROM messages WHERE session_id = :session AND index > :after AND index <= :upto
""")


def reach(connection: Connection, session_id: uuid.UUID, *, after: int, upto: int) -> Reach:
    """Tell where the text of the rows beyond `after` up to `upto` has been."""
    row = connection.execute(_REACH, {"session": session_id, "after": after, "upto": upto}).one()
    return Reach(row.stays_here, row.honcho_session)


_INDEX = text("SELECT index FROM messages WHERE session_id = :session AND id = :row").bindparams(
    bindparam("row", type_=UUID(as_uuid=True))
)


def index_of(connection: Connection, session_id: uuid.UUID, row: uuid.UUID) -> int | None:
    """Give the index of the row with this id; None where the session has none."""
    return connection.execute(_INDEX, {"session": session_id, "row": row}).scalar()
