"""The backlog: how much is not at Honcho yet, since when, and why."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is captured and not yet settled; the age is seconds, None where nothing waits."""

    sessions: int
    messages: int
    unsent: int
    oldest_age: float | None
    parked: int
    quarantined: int
    last_error: str | None
    last_error_age: float | None


_BACKLOG = text("""
WITH waiting AS (
    SELECT c.session_id, c.last_saved_index FROM cursors c JOIN sessions s ON s.id = c.session_id
    WHERE c.last_saved_index < s.next_index - 1
), unsent AS (
    SELECT count(*) AS n, min(captured_at) AS oldest FROM (
        SELECT m.captured_at FROM waiting w JOIN messages m ON m.session_id = w.session_id
             AND m.index > w.last_saved_index AND m.delivery = 'send' AND m.late IS NULL
        UNION ALL
        SELECT captured_at FROM messages WHERE late = 'due' AND delivery = 'send'
    ) AS rows
), failed AS (
    SELECT last_error, last_error_at FROM cursors
    WHERE last_error IS NOT NULL ORDER BY last_error_at DESC LIMIT 1
)
SELECT (SELECT count(*) FROM sessions) AS sessions,
       (SELECT coalesce(sum(next_index - 1), 0) FROM sessions)::bigint AS messages,
       unsent.n AS unsent,
       extract(epoch FROM clock_timestamp() - unsent.oldest)::float8 AS oldest_age,
       (SELECT count(*) FROM cursors WHERE parked IS NOT NULL) AS parked,
       (SELECT count(*) FROM messages WHERE delivery = 'quarantined') AS quarantined,
       (SELECT last_error FROM failed) AS last_error,
       (SELECT extract(epoch FROM clock_timestamp() - last_error_at)::float8 FROM failed)
           AS last_error_age
FROM unsent
""")


def backlog(connection: Connection) -> Backlog:
    """Read what is waiting, over every session."""
    return Backlog(**connection.execute(_BACKLOG).one()._mapping)
