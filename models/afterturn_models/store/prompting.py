"""What a request to a model is made of: the newest summary, and rows by pages that end with a budget.

No statement here reads more of a history than it gives, but for the one row that shows where a
page ends: a page is found by the index on session and index, and texts beyond it are left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from afterturn_models.store.history import as_message

if TYPE_CHECKING:
    import uuid

    from afterturn_models.values import Message

PER_MESSAGE = 4  # tokens that a request has around each message
# Where all is too much, a tool's answer in an older turn is cut to so many tokens: a page counts it
# at that, and reads no more of it than so many times its share.
OLDER_ANSWER, PRUNED_BY = 200, 8
_END = 2**62


@dataclass(frozen=True, slots=True)
class Summarised:
    """The newest summary of a session, and the rows that it stands for, both ends included."""

    covers_from: int
    covers_to: int
    text: str


_SUMMARY = text("""
SELECT (SELECT min(covers_from) FROM compactions WHERE session_id = :session) AS covers_from,
       covers_to, summary AS text
FROM compactions WHERE session_id = :session ORDER BY covers_to DESC LIMIT 1
""")
# The sum runs over rows without their texts: those are fetched of what is given alone.
_PAGE = """
SELECT id, index, turn, role, peer, content, at, delivery, part, parts, tokens,
       details->>'sent' AS sent, details->'call' AS call, details->>'counted' AS counted
FROM (
    SELECT found.*, sum(cost) OVER (ORDER BY index {order}) - cost AS before
    FROM (
        SELECT messages.*, :each + CASE role
            WHEN 'tool' THEN greatest(counted.tokens / :by, least(counted.tokens, :answer))
            ELSE counted.tokens END AS cost
        FROM messages, LATERAL (
            SELECT coalesce(tokens, char_length(content) / 4 + 1) AS tokens
        ) counted
        WHERE session_id = :session AND index > :after AND index < :until
        ORDER BY index {order} LIMIT :limit
    ) found
) page
WHERE before <= :tokens ORDER BY index
"""
_NEWEST = text(_PAGE.format(order="DESC"))
_OLDEST = text(_PAGE.format(order="ASC"))
_ASKED = text("""
SELECT index - part AS first, index AS last FROM messages
WHERE session_id = :session AND index > :after AND index < :until AND role = 'user'
ORDER BY index DESC LIMIT 1
""")


def newest_summary(connection: Connection, session_id: uuid.UUID) -> Summarised | None:
    """Read the newest summary of a session; None where it has none.

    It stands for everything from the first compaction's first row on.
    """
    row = connection.execute(_SUMMARY, {"session": session_id}).one_or_none()
    return None if row is None else Summarised(row.covers_from, row.covers_to, row.text)


def newest_rows(
    connection: Connection,
    session_id: uuid.UUID,
    *,
    after: int,
    until: int | None = None,
    tokens: int,
    limit: int,
) -> list[Message]:
    """Read the newest rows beyond `after` and before `until` (None: all), oldest first.

    `limit` rows at most, and no more than come to `tokens`, and the one with which they do.
    """
    return _page(connection, session_id, newest=True, bounds=(after, until, tokens, limit))


def oldest_rows(
    connection: Connection,
    session_id: uuid.UUID,
    *,
    after: int = 0,
    until: int,
    tokens: int,
    limit: int,
) -> list[Message]:
    """Read the oldest rows beyond `after` and before `until`, oldest first, in the same way."""
    return _page(connection, session_id, newest=False, bounds=(after, until, tokens, limit))


def last_asked(
    connection: Connection, session_id: uuid.UUID, *, after: int, until: int
) -> tuple[int, int] | None:
    """Find what the user said last before `until`: its first and last row; None where nothing is."""
    found = connection.execute(_ASKED, {"session": session_id, "after": after, "until": until})
    row = found.one_or_none()
    return None if row is None else (row.first, row.last)


def _page(
    connection: Connection,
    session_id: uuid.UUID,
    *,
    newest: bool,
    bounds: tuple[int, int | None, int, int],
) -> list[Message]:
    after, until, tokens, limit = bounds
    found = connection.execute(
        _NEWEST if newest else _OLDEST,
        {
            "session": session_id,
            "after": after,
            "until": _END if until is None else until,
            "tokens": tokens,
            "limit": limit,
            "each": PER_MESSAGE,
            "by": PRUNED_BY,
            "answer": OLDER_ANSWER,
        },
    )
    return [as_message(dict(row)) for row in found.mappings()]
