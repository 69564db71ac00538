"""History in Postgres: pages of a session's messages in both directions, and what is known of it.

Every statement is found by the index on session and index: what it reads is what it gives, however
long the session is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, RowMapping, text

from afterturn_models.values import Delivery, Message, Role, ToolCall

if TYPE_CHECKING:
    import datetime as dt
    import uuid

# What was sent is read only where it is not what was captured.
_SHOWN = """
SELECT id, index, turn, role, peer, content, at, delivery, part, parts, tokens,
       details->>'sent' AS sent, details->'call' AS call
FROM messages
"""
_BEFORE = text(
    f"{_SHOWN} WHERE session_id = :session AND index < :before ORDER BY index DESC LIMIT :limit"
)
_AFTER_SQL = (
    f"{_SHOWN} WHERE session_id = {{session}} AND index > :after ORDER BY index LIMIT :limit"
)
_AFTER = text(_AFTER_SQL.format(session=":session"))
# One row without a message where the session is there and nothing in it is newer.
_NEWER_SQL = """
SELECT newer.* FROM sessions s LEFT JOIN LATERAL ({after}) newer ON true
WHERE s.id = :session ORDER BY newer.index
"""
_NEWER = text(_NEWER_SQL.format(after=_AFTER_SQL.format(session="s.id")))
# The turns are found by walking back over the index: nothing before them is read.
_WITHIN = """
session_id = :session AND (role <> 'tool' OR :tools) AND index > coalesce((
    SELECT before.index FROM messages before JOIN sessions s ON s.id = before.session_id
    WHERE before.session_id = :session
      AND before.turn <= (s.turns - :limit + :leap - 1) / :leap * :leap
    ORDER BY before.index DESC LIMIT 1), 0)
"""
_LAST_TURNS = text(f"{_SHOWN} WHERE {_WITHIN} ORDER BY index")
# It is on the first row of a turn, of which the user's words are the first part.
_FROZEN_SQL = """
(SELECT details->>'system' AS block, peer, index FROM messages
 WHERE session_id = :session AND role = 'user' AND part = 0 AND jsonb_exists(details, 'system')
   AND {where} ORDER BY index LIMIT 1)
"""
_LATELY = "index >= (SELECT next_index FROM sessions WHERE id = :session) - :lately"
_FROZEN = text(f"""
{_FROZEN_SQL.format(where="index <= :begin")} UNION ALL {_FROZEN_SQL.format(where=_LATELY)}
ORDER BY index LIMIT 1
""")
_BEGIN, _RECENT = 200, 2000  # rows in which a frozen block is looked for
_END = 2**62


def page_before(
    connection: Connection, session_id: uuid.UUID, *, before: int | None, limit: int
) -> list[Message]:
    """Read the `limit` rows before index `before` (None: the last ones), oldest first."""
    found = connection.execute(
        _BEFORE,
        {"session": session_id, "before": _END if before is None else before, "limit": limit},
    )
    return [as_message(row) for row in found.mappings()][::-1]


def page_after(
    connection: Connection, session_id: uuid.UUID, *, after: int, limit: int
) -> list[Message]:
    """Read up to `limit` rows beyond index `after`, oldest first."""
    found = connection.execute(_AFTER, {"session": session_id, "after": after, "limit": limit})
    return [as_message(row) for row in found.mappings()]


def newer(
    connection: Connection, session_id: uuid.UUID, *, after: int, limit: int
) -> list[Message] | None:
    """Read what `page_after` does; None where the session was deleted."""
    found = connection.execute(_NEWER, {"session": session_id, "after": after, "limit": limit})
    rows = found.mappings().all()
    return [as_message(row) for row in rows if row["id"] is not None] if rows else None


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
    return [as_message(row) for row in found.mappings()]


def frozen_block(connection: Connection, session_id: uuid.UUID) -> tuple[str, str] | None:
    """Read the block of memory that was frozen into a session's system prompt, and who spoke then.

    The block is "" where it was empty, and is to stay so; None where none was. It is on a
    session's first row as a rule, and further back where the session was older already when it
    was told to freeze: it is looked for in the first 200 rows and the last 2,000, no matter how
    many there are.
    """
    bounds = {"session": session_id, "begin": _BEGIN, "lately": _RECENT}
    row = connection.execute(_FROZEN, bounds).one_or_none()
    return None if row is None else (row.block, row.peer)


def as_message(row: RowMapping | dict[str, Any]) -> Message:
    """Make a message of a row as the statements here give it; texts that are equal are one."""
    known: dict[str, Any] = dict(row)
    sent, call = known.pop("sent"), known.pop("call")
    return Message(
        **known
        | {
            "role": Role(row["role"]),
            "delivery": Delivery(row["delivery"]),
            "sent": row["content"] if sent is None else sent,
            "call": None if call is None else ToolCall(**call),
        }
    )


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """What is known of a session without its messages.

    `messages` and `turns` are how many were captured, `tokens` what the messages come to, `lag`
    how many of them are not settled at Honcho yet, `parked` what a person must do first.
    `compactions` are the summaries that were made, `compacted_to` the last message that one covers.
    """

    id: uuid.UUID
    key: str
    honcho_session: str
    user_peer: str
    agent_peer: str
    title: str | None
    directory: str | None
    messages: int
    turns: int
    tokens: int
    lag: int
    parked: str | None
    compactions: int
    compacted_to: int
    created_at: dt.datetime
    last_turn_at: dt.datetime | None
    closed_at: dt.datetime | None


_INFO = text("""
SELECT s.id, s.key, s.honcho_session, s.user_peer, s.agent_peer, s.title, s.directory,
       s.next_index - 1 AS messages, s.turns, s.token_total AS tokens,
       s.next_index - 1 - c.last_saved_index AS lag, c.parked,
       made.compactions, made.compacted_to, s.created_at, s.last_turn_at, s.closed_at
FROM sessions s JOIN cursors c ON c.session_id = s.id
CROSS JOIN LATERAL (
    SELECT count(*) AS compactions, coalesce(max(covers_to), 0) AS compacted_to
    FROM compactions WHERE session_id = s.id
) made
WHERE s.id = :session
""")


def session_info(connection: Connection, session_id: uuid.UUID) -> SessionInfo | None:
    """Read what is known of a session, and none of its messages; None where it was deleted."""
    row = connection.execute(_INFO, {"session": session_id}).one_or_none()
    return None if row is None else SessionInfo(**row._mapping)


@dataclass(frozen=True, slots=True)
class Summary:
    """A summary of the messages from `covers_from` to `covers_to`, and what made it."""

    covers_from: int
    covers_to: int
    summary: str
    tokens: int
    made_by: str
    created_at: dt.datetime


_SUMMARIES = text("""
SELECT covers_from, covers_to, summary, tokens, made_by, created_at
FROM compactions WHERE session_id = :session AND covers_to > :after
ORDER BY covers_to LIMIT :limit
""")


def summaries(
    connection: Connection, session_id: uuid.UUID, *, after: int, limit: int
) -> list[Summary]:
    """Read up to `limit` summaries that cover more than index `after`, in their order."""
    found = connection.execute(_SUMMARIES, {"session": session_id, "after": after, "limit": limit})
    return [_summary(row) for row in found]


def _summary(row: Row[Any]) -> Summary:
    return Summary(**row._mapping)
