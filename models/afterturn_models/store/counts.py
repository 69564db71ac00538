"""Counts of one session: how much was said in it, and how much of that is not at Honcho yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

if TYPE_CHECKING:
    from uuid import UUID


@dataclass(frozen=True, slots=True)
class Counts:
    """Captured messages of a session, and those of them that are still to be sent."""

    messages: int
    unsent: int


_COUNTS = text("""
SELECT s.next_index - 1 AS messages,
       (SELECT count(*) FROM messages m
        WHERE m.session_id = s.id AND m.index > c.last_saved_index
              AND m.delivery = 'send' AND m.late IS NULL)
       + (SELECT count(*) FROM messages m
          WHERE m.session_id = s.id AND m.late = 'due' AND m.delivery = 'send') AS unsent
FROM sessions s JOIN cursors c ON c.session_id = s.id
WHERE s.id = :session
""")


def counts(connection: Connection, session_id: UUID) -> Counts | None:
    """Count a session's messages; None where it is gone."""
    row = connection.execute(_COUNTS, {"session": session_id}).one_or_none()
    return None if row is None else Counts(row.messages, row.unsent)
