"""Compactions that are due: noted where a turn is seen to make one, and found by the relay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

_WANT = text("""
INSERT INTO compaction_states AS c (session_id)
SELECT id FROM sessions WHERE id = :session
ON CONFLICT (session_id) DO UPDATE SET wanted = true WHERE NOT c.wanted
""")


def want(connection: Connection, session_id: uuid.UUID) -> None:
    """Note that a compaction is due, so that the relay finds it where its hint is lost."""
    connection.execute(_WANT, {"session": session_id})


_TAKE = text("""
WITH due AS (
    SELECT session_id FROM compaction_states
    WHERE wanted AND run_at <= clock_timestamp()
      AND (lease_until IS NULL OR lease_until <= clock_timestamp())
      AND (relayed_at IS NULL OR relayed_at <= clock_timestamp() - make_interval(secs => :again))
    ORDER BY relayed_at NULLS FIRST, run_at LIMIT :most
    FOR UPDATE SKIP LOCKED
)
UPDATE compaction_states c SET relayed_at = clock_timestamp()
FROM due WHERE c.session_id = due.session_id
RETURNING c.session_id
""")


def take_wanted(connection: Connection, *, again: float, most: int) -> Sequence[uuid.UUID]:
    """Find sessions whose compaction nobody works on, and note that they were hinted."""
    return list(connection.execute(_TAKE, {"again": again, "most": most}).scalars())
