"""The protocol of a leased cursor, as SQL for any table that has its columns.

A session's cursor and a re-sync part are claimed, advanced, released and postponed alike. Leases
run on Postgres' own clock. Every statement but the claim holds only where the epoch is still the
claimer's own, and tells so: a worker that was frozen past its lease changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, UUID

from afterturn_models.store.sessions import SAID_OF_SESSION, by_scope
from afterturn_models.values import Claim, Intent, Postponement, Standing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import RowMapping

_UUIDS = ARRAY(UUID(as_uuid=True))

# SKIP LOCKED: whoever holds the row's lock is another claimer (and then has the session), or an
# agent that just raised `due_index` (and then hints after its commit), or a statement of a moment
# (and then the relay comes back to it). Waiting would gain nothing.
_CLAIM = """
WITH free AS (
    SELECT {id} FROM {table} c
    WHERE {key} AND parked IS NULL
      AND run_at <= clock_timestamp()
      AND (lease_until IS NULL OR lease_until <= clock_timestamp())
      AND (last_saved_index < due_index OR intent_first IS NOT NULL OR ({late} AND :late))
    FOR UPDATE SKIP LOCKED
)"""
# What follows on the rows that are `free`, whoever picked them.
CLAIMED = """, claimed AS (
    UPDATE {table} c
    SET lease_owner = :owner,
        lease_until = clock_timestamp() + make_interval(secs => :lease),
        epoch = c.epoch + 1
    FROM free WHERE {same}
    RETURNING c.*
)
SELECT claimed.*, w.name AS workspace, s.user_peer, s.agent_peer, s.details, {said} AS said,
       coalesce(claimed.settle_at <= clock_timestamp(), false) AS settled
FROM claimed
JOIN sessions s ON s.id = claimed.session_id
JOIN workspaces w ON w.id = s.workspace_id
"""
_STANDING = """
SELECT CASE
    WHEN parked IS NOT NULL THEN 'parked'
    WHEN last_saved_index >= due_index AND intent_first IS NULL THEN 'synced'
    WHEN lease_until > clock_timestamp() THEN 'busy'
    WHEN run_at > clock_timestamp() THEN 'waiting'
    ELSE 'busy' END
FROM {table} WHERE {key}
"""
_ADVANCE = """
UPDATE {table}
SET last_saved_index = greatest(last_saved_index, :saved),
    last_saved_at = CASE WHEN :saved > last_saved_index THEN clock_timestamp() ELSE last_saved_at END,
    intent_first = :first, intent_last = :last, intent_rows = :rows,
    settle_at = NULL,
    attempts = CASE WHEN :saved > last_saved_index THEN 0 ELSE attempts END,
    last_error = CASE WHEN :saved > last_saved_index THEN NULL ELSE last_error END,
    lease_until = clock_timestamp() + make_interval(secs => :lease)
WHERE {key} AND epoch = :epoch
RETURNING due_index
"""
_RELEASE = """
UPDATE {table}
SET last_saved_index = greatest(last_saved_index, :saved),
    last_saved_at = CASE WHEN :saved > last_saved_index THEN clock_timestamp() ELSE last_saved_at END,
    intent_first = NULL, intent_last = NULL, intent_rows = NULL, settle_at = NULL,
    narrowed_to = NULL, attempts = 0, last_error = NULL,
    lease_owner = NULL, lease_until = NULL
WHERE {key} AND epoch = :epoch AND due_index <= :saved AND NOT ({late} AND :late)
"""
_POSTPONE = """
UPDATE {table}
SET last_saved_index = greatest(last_saved_index, :saved),
    last_saved_at = CASE WHEN :saved > last_saved_index THEN clock_timestamp() ELSE last_saved_at END,
    attempts = CASE WHEN CAST(:error AS text) IS NULL AND NOT :settling
                    THEN CASE WHEN :saved > last_saved_index THEN 0 ELSE attempts END
                    WHEN :saved > last_saved_index THEN 1 ELSE attempts + 1 END,
    narrowed_to = :narrowed_to,
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
WHERE {key} AND epoch = :epoch
"""


class Leases:
    """The statements for one table; `keys` name the row, and are given with each call.

    `has_late`: rows behind the cursor may be due too.
    """

    def __init__(self, table: str, keys: Sequence[str], *, has_late: bool) -> None:
        late = "late" if has_late else "false"
        words = {
            "table": table,
            "id": ", ".join(keys),
            "key": " AND ".join(f"{key} = :{key}" for key in keys),
            "same": " AND ".join(f"c.{key} = free.{key}" for key in keys),
            "late": late,
            "said": SAID_OF_SESSION,
        }
        self._has_late = has_late
        self._claim = text((_CLAIM + CLAIMED).format(**words))
        self._standing = text(_STANDING.format(**words))
        self._advance = text(_ADVANCE.format(**words)).bindparams(bindparam("rows", type_=_UUIDS))
        self._release = text(_RELEASE.format(**words))
        self._postpone = text(_POSTPONE.format(**words))

    def claim(
        self,
        connection: Connection,
        keys: Mapping[str, Any],
        *,
        owner: str,
        lease: float,
        late: bool = False,
    ) -> Claim | None:
        """Take the lease for `lease` seconds; with `late`, for rows out of their turn too.

        None where there is nothing to do, it is not time yet, or another worker has it:
        `standing` tells which.
        """
        found = connection.execute(
            self._claim, {**keys, "owner": owner, "lease": lease, "late": late}
        )
        row = found.mappings().one_or_none()
        return as_claim(row, has_late=self._has_late) if row is not None else None

    def standing(self, connection: Connection, keys: Mapping[str, Any]) -> Standing:
        """Tell where the work stands, without claiming it."""
        value = connection.execute(self._standing, dict(keys)).scalar()
        return Standing(value) if value is not None else Standing.GONE

    def advance(
        self,
        connection: Connection,
        keys: Mapping[str, Any],
        epoch: int,
        *,
        saved: int,
        intent: Intent | None,
        lease: float,
    ) -> int | None:
        """Settle every row up to `saved`, commit the next `intent`, renew the lease, in one.

        Gives the `due_index` of now; None where the lease was lost, and then nothing was changed.
        """
        parameters = {
            **keys,
            "epoch": epoch,
            "saved": saved,
            "first": intent.first if intent else None,
            "last": intent.last if intent else None,
            "rows": list(intent.rows) if intent and intent.rows is not None else None,
            "lease": lease,
        }
        return connection.execute(self._advance, parameters).scalar()

    def release(
        self,
        connection: Connection,
        keys: Mapping[str, Any],
        epoch: int,
        *,
        saved: int,
        late: bool = False,
    ) -> bool:
        """Settle every row up to `saved` and give the lease back, unless more has come due: False.

        With `late`, rows out of their turn count as due too.

        The question and the release are one statement on the row that a capture raises, so that
        no hint is lost between two claims.
        """
        found = connection.execute(
            self._release, {**keys, "epoch": epoch, "saved": saved, "late": late}
        )
        return found.rowcount == 1

    def postpone(
        self, connection: Connection, keys: Mapping[str, Any], epoch: int, delay: Postponement
    ) -> bool:
        """Give the lease back until later; False where it was lost, and nothing was changed."""
        parameters = {
            **keys,
            "epoch": epoch,
            "saved": delay.saved,
            "delay": delay.seconds,
            "error": delay.error,
            "settling": delay.settling,
            "keep_intent": delay.keep_intent or delay.settling,
            "parked": delay.parked,
            "narrowed_to": delay.narrowed_to,
        }
        return connection.execute(self._postpone, parameters).rowcount == 1


def as_claim(row: RowMapping, *, has_late: bool) -> Claim:
    """Read a claim off the row that `CLAIMED` gives."""
    intent = None
    if row["intent_first"] is not None:
        rows = tuple(row["intent_rows"]) if row["intent_rows"] is not None else None
        intent = Intent(row["intent_first"], row["intent_last"], rows)
    return Claim(
        session_id=row["session_id"],
        epoch=row["epoch"],
        workspace=row["workspace"],
        agent_peer=row["agent_peer"],
        last_saved_index=row["last_saved_index"],
        due_index=row["due_index"],
        attempts=row["attempts"],
        intent=intent,
        settled=row["settled"],
        late=has_late and row["late"],
        narrowed_to=row["narrowed_to"],
        user_peer=row["user_peer"],
        details=row["details"],
        said=by_scope(row["said"]),
    )
