"""The cursor's protocol: claim, intent, settle, advance, release, each one fenced statement.

Leases run on Postgres' own clock. Every statement but the claim holds only where the epoch is
still the claimer's own, and tells so: a worker that was frozen past its lease changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, UUID

from afterturn_models.values import Claim, Intent, Postponement, Standing

if TYPE_CHECKING:
    import uuid

# SKIP LOCKED: whoever holds the row's lock is another claimer (and then has the session), or an
# agent that just raised `due_index` (and then hints after its commit). Waiting would gain nothing.
_CLAIM = text("""
WITH free AS (
    SELECT session_id FROM cursors
    WHERE session_id = :session
      AND parked IS NULL
      AND run_at <= clock_timestamp()
      AND (lease_until IS NULL OR lease_until <= clock_timestamp())
      AND (last_saved_index < due_index OR intent_first IS NOT NULL)
    FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE cursors c
    SET lease_owner = :owner,
        lease_until = clock_timestamp() + make_interval(secs => :lease),
        epoch = c.epoch + 1
    FROM free WHERE c.session_id = free.session_id
    RETURNING c.*
)
SELECT claimed.*, w.name AS workspace, s.agent_peer,
       coalesce(claimed.settle_at <= clock_timestamp(), false) AS settled
FROM claimed
JOIN sessions s ON s.id = claimed.session_id
JOIN workspaces w ON w.id = s.workspace_id
""")


def claim(
    connection: Connection, session_id: uuid.UUID, *, owner: str, lease: float
) -> Claim | None:
    """Take the lease on a session's cursor for `lease` seconds.

    None where there is nothing to do, it is not time yet, or another worker has it: `standing`
    tells which.
    """
    row = connection.execute(
        _CLAIM, {"session": session_id, "owner": owner, "lease": lease}
    ).one_or_none()
    return _claim(row) if row is not None else None


def _claim(row: Row[Any]) -> Claim:
    intent = None
    if row.intent_first is not None:
        rows = tuple(row.intent_rows) if row.intent_rows is not None else None
        intent = Intent(row.intent_first, row.intent_last, rows)
    return Claim(
        session_id=row.session_id,
        epoch=row.epoch,
        workspace=row.workspace,
        agent_peer=row.agent_peer,
        last_saved_index=row.last_saved_index,
        due_index=row.due_index,
        attempts=row.attempts,
        intent=intent,
        settled=row.settled,
    )


_STANDING = text("""
SELECT CASE
    WHEN parked IS NOT NULL THEN 'parked'
    WHEN last_saved_index >= due_index AND intent_first IS NULL THEN 'synced'
    WHEN lease_until > clock_timestamp() THEN 'busy'
    WHEN run_at > clock_timestamp() THEN 'waiting'
    ELSE 'busy' END
FROM cursors WHERE session_id = :session
""")


def standing(connection: Connection, session_id: uuid.UUID) -> Standing:
    """Tell where a session's sync stands, without claiming it."""
    value = connection.execute(_STANDING, {"session": session_id}).scalar()
    return Standing(value) if value is not None else Standing.GONE


_ADVANCE = text("""
UPDATE cursors
SET last_saved_index = greatest(last_saved_index, :saved),
    last_saved_at = CASE WHEN :saved > last_saved_index THEN clock_timestamp() ELSE last_saved_at END,
    intent_first = :first, intent_last = :last, intent_rows = :rows,
    settle_at = NULL,
    attempts = CASE WHEN :saved > last_saved_index THEN 0 ELSE attempts END,
    last_error = CASE WHEN :saved > last_saved_index THEN NULL ELSE last_error END,
    lease_until = clock_timestamp() + make_interval(secs => :lease)
WHERE session_id = :session AND epoch = :epoch
RETURNING due_index
""").bindparams(bindparam("rows", type_=ARRAY(UUID(as_uuid=True))))


def advance(
    connection: Connection, claim: Claim, *, saved: int, intent: Intent | None, lease: float
) -> int | None:
    """Settle every row up to `saved`, commit the next `intent`, and renew the lease, in one.

    Gives the `due_index` of now; None where the lease was lost, and then nothing was changed.
    """
    return connection.execute(
        _ADVANCE,
        {
            "session": claim.session_id,
            "epoch": claim.epoch,
            "saved": saved,
            "first": intent.first if intent else None,
            "last": intent.last if intent else None,
            "rows": list(intent.rows) if intent and intent.rows is not None else None,
            "lease": lease,
        },
    ).scalar()


_RELEASE = text("""
UPDATE cursors
SET last_saved_index = greatest(last_saved_index, :saved),
    last_saved_at = CASE WHEN :saved > last_saved_index THEN clock_timestamp() ELSE last_saved_at END,
    intent_first = NULL, intent_last = NULL, intent_rows = NULL, settle_at = NULL,
    attempts = 0, last_error = NULL,
    lease_owner = NULL, lease_until = NULL
WHERE session_id = :session AND epoch = :epoch AND due_index <= :saved
""")


def release(connection: Connection, claim: Claim, *, saved: int) -> bool:
    """Settle every row up to `saved` and give the lease back, unless more has come due: False.

    The question and the release are one statement on the row that a capture raises, so that no
    hint is lost between two claims.
    """
    found = connection.execute(
        _RELEASE, {"session": claim.session_id, "epoch": claim.epoch, "saved": saved}
    )
    return found.rowcount == 1


_POSTPONE = text("""
UPDATE cursors
SET last_saved_index = greatest(last_saved_index, :saved),
    last_saved_at = CASE WHEN :saved > last_saved_index THEN clock_timestamp() ELSE last_saved_at END,
    attempts = CASE WHEN :saved > last_saved_index THEN 1 ELSE attempts + 1 END,
    lease_owner = NULL, lease_until = NULL,
    run_at = clock_timestamp() + make_interval(secs => :delay),
    settle_at = CASE WHEN :settling THEN clock_timestamp() + make_interval(secs => :delay)
                     WHEN :keep_intent THEN settle_at END,
    intent_first = CASE WHEN :keep_intent THEN intent_first END,
    intent_last = CASE WHEN :keep_intent THEN intent_last END,
    intent_rows = CASE WHEN :keep_intent THEN intent_rows END,
    parked = CAST(:parked AS text),
    last_error = coalesce(CAST(:error AS text), last_error),
    last_error_at = CASE WHEN CAST(:error AS text) IS NULL THEN last_error_at
                         ELSE clock_timestamp() END
WHERE session_id = :session AND epoch = :epoch
""")


def postpone(connection: Connection, claim: Claim, delay: Postponement) -> bool:
    """Give the lease back until later; False where it was lost, and then nothing was changed."""
    found = connection.execute(
        _POSTPONE,
        {
            "session": claim.session_id,
            "epoch": claim.epoch,
            "saved": delay.saved,
            "delay": delay.seconds,
            "error": delay.error,
            "settling": delay.settling,
            "keep_intent": delay.keep_intent or delay.settling,
            "parked": delay.parked,
        },
    )
    return found.rowcount == 1


_UNPARK = text("""
UPDATE cursors c SET parked = NULL
FROM sessions s JOIN workspaces w ON w.id = s.workspace_id
WHERE s.id = c.session_id AND w.name = :workspace AND c.parked IS NOT NULL
""")
_PARKED = text("""
SELECT DISTINCT w.name FROM cursors c
JOIN sessions s ON s.id = c.session_id JOIN workspaces w ON w.id = s.workspace_id
WHERE c.parked IS NOT NULL
""")


def parked_workspaces(connection: Connection) -> list[str]:
    """Name the workspaces in which sessions wait for a person."""
    return list(connection.execute(_PARKED).scalars())


def unpark(connection: Connection, workspace: str) -> int:
    """Let a workspace's parked sessions be tried again; gives how many there were."""
    return connection.execute(_UNPARK, {"workspace": workspace}).rowcount
