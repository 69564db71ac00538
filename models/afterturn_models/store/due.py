"""What is due: raised to the end on flush and idleness, found by the relay, fetched once a turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from afterturn_models.policy.cadence import Fetched

if TYPE_CHECKING:
    from uuid import UUID

    from afterturn_models.policy.cadence import Kind

_FLUSH = text("""
WITH raised AS (
    UPDATE sessions SET due_turn = turns WHERE id = :session RETURNING id, next_index
)
UPDATE cursors SET due_index = greatest(due_index, raised.next_index - 1)
FROM raised WHERE cursors.session_id = raised.id
RETURNING due_index
""")


def raise_to_end(connection: Connection, session_id: UUID) -> int | None:
    """Make everything captured due; gives the index to wait for, None for a deleted session."""
    return connection.execute(_FLUSH, {"session": session_id}).scalar()


_SAVED = text("SELECT last_saved_index FROM cursors WHERE session_id = :session")


def last_saved_index(connection: Connection, session_id: UUID) -> int | None:
    """Tell up to which index a session is settled; None for a deleted session."""
    return connection.execute(_SAVED, {"session": session_id}).scalar()


# SKIP LOCKED on both rows: a session that an agent writes to is not quiet, and this statement,
# which holds many rows, never waits for one, so that it can be part of no deadlock.
_QUIET = text("""
WITH quiet AS (
    SELECT s.id FROM sessions s JOIN cursors c ON c.session_id = s.id
    WHERE s.due_turn < s.turns
      AND s.last_turn_at < statement_timestamp() - make_interval(secs => :idle)
    ORDER BY s.last_turn_at LIMIT :most
    FOR UPDATE SKIP LOCKED
), raised AS (
    UPDATE sessions s SET due_turn = s.turns FROM quiet WHERE s.id = quiet.id
    RETURNING s.id, s.next_index
)
UPDATE cursors SET due_index = greatest(due_index, raised.next_index - 1)
FROM raised WHERE cursors.session_id = raised.id
""")


def raise_quiet(connection: Connection, *, idle: float, most: int) -> int:
    """Make due what sessions without a turn for `idle` seconds still hold back; gives how many."""
    return connection.execute(_QUIET, {"idle": idle, "most": most}).rowcount


_TAKE = text("""
WITH due AS (
    SELECT session_id FROM cursors
    WHERE (last_saved_index < due_index OR late)
      AND parked IS NULL
      AND run_at <= clock_timestamp()
      AND (lease_until IS NULL OR lease_until <= clock_timestamp())
      AND (relayed_at IS NULL OR relayed_at <= clock_timestamp() - make_interval(secs => :again))
    -- Turns before repairs, and each once before any again: more may be due than are taken at once.
    ORDER BY last_saved_index >= due_index, relayed_at NULLS FIRST, run_at LIMIT :most
    FOR UPDATE SKIP LOCKED
)
UPDATE cursors SET relayed_at = clock_timestamp()
FROM due WHERE cursors.session_id = due.session_id
RETURNING cursors.session_id, cursors.last_saved_index < cursors.due_index AS in_turn
""")


def take_due(connection: Connection, *, again: float, most: int) -> list[tuple[UUID, bool]]:
    """Find sessions that are due and that nobody works on, and note that they were hinted.

    Each with whether a sync in turn is due, these first; else it is repair, which may wait. A
    session hinted less than `again` seconds ago is left out: relays run in every worker.
    """
    found = connection.execute(_TAKE, {"again": again, "most": most})
    return sorted(((row.session_id, row.in_turn) for row in found), key=lambda one: not one[1])


_FIRE = text("""
UPDATE cursors c SET prefetched_turn = s.turns
FROM sessions s
WHERE s.id = c.session_id AND c.session_id = :session AND c.prefetched_turn < s.turns
  AND c.last_saved_index >= c.due_index  -- a later turn came due: whoever syncs that one fires
RETURNING s.turns AS turn, c.context_turn, c.dialectic_turn, c.empty_dialectics,
          s.token_total - s.covered_tokens AS uncovered
""")


def take_prefetch(connection: Connection, session_id: UUID) -> Fetched | None:
    """Claim the prefetches of a session's last turn, with what was fetched before.

    None where they were claimed already, or are not to be fired yet.
    """
    row = connection.execute(_FIRE, {"session": session_id}).one_or_none()
    return None if row is None else Fetched(**row._mapping)


# The row is locked before it is read, so that of two runs of one task only the first has it.
_CLAIM_SQL = """
WITH before AS (
    SELECT session_id, {column} AS turn FROM cursors WHERE session_id = :session FOR UPDATE
)
UPDATE cursors SET {column} = :turn
FROM before WHERE cursors.session_id = before.session_id AND before.turn < :turn
RETURNING before.turn
"""
_UNCLAIM_SQL = """
UPDATE cursors SET {column} = :before WHERE session_id = :session AND {column} = :turn
"""
_COLUMNS: dict[Kind, str] = {"context": "context_turn", "dialectic": "dialectic_turn"}
_CLAIMS = {kind: text(_CLAIM_SQL.format(column=name)) for kind, name in _COLUMNS.items()}
_UNCLAIMS = {kind: text(_UNCLAIM_SQL.format(column=name)) for kind, name in _COLUMNS.items()}


def claim_fetch(connection: Connection, session_id: UUID, kind: Kind, turn: int) -> int | None:
    """Note that a fetch for `turn` is being made; gives the turn of the one before it.

    None where one for that turn, or a later one, was noted: it is made once, whatever is sent
    twice.
    """
    return connection.execute(_CLAIMS[kind], {"session": session_id, "turn": turn}).scalar()


def unclaim_fetch(
    connection: Connection, session_id: UUID, kind: Kind, turn: int, before: int
) -> None:
    """Take back that a fetch for `turn` was made: it came to nothing, and the next turn's is due."""
    connection.execute(_UNCLAIMS[kind], {"session": session_id, "turn": turn, "before": before})


_EMPTY = text("""
UPDATE cursors SET empty_dialectics = CASE WHEN :empty THEN empty_dialectics + 1 ELSE 0 END
WHERE session_id = :session AND (:empty OR empty_dialectics > 0)
""")


def note_dialectic(connection: Connection, session_id: UUID, *, empty: bool) -> None:
    """Count an answer that had nothing to say, or begin to count again with one that had."""
    connection.execute(_EMPTY, {"session": session_id, "empty": empty})
