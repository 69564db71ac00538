"""Leases on many rows at once: what a drain of many sessions asks of Postgres, one statement for all.

The protocol is that of `Leases`, the same claim, intent and epoch for each row. Only rows whose
way is plain are taken: no intent was found, and no refusal is being narrowed down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, UUID
from sqlalchemy.types import BigInteger

from afterturn_models.store.leases import CLAIMED, as_claim
from afterturn_models.store.sessions import SAID_OF_SESSION

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping, Sequence

    from afterturn_models.values import Claim, Intent

_PLAIN = "last_saved_index < due_index AND parked IS NULL AND intent_first IS NULL AND narrowed_to IS NULL"
_DRAINABLE = """
SELECT session_id FROM {table} c WHERE {which} AND session_id = ANY(:sessions) AND {plain}
"""
_CLAIM = """
WITH free AS (
    SELECT {id} FROM {table} c
    WHERE {which} AND {plain} AND run_at <= clock_timestamp()
      AND (lease_until IS NULL OR lease_until <= clock_timestamp())
    ORDER BY run_at LIMIT :most
    FOR UPDATE SKIP LOCKED
)"""
_ADVANCE = """
UPDATE {table} c
SET last_saved_index = greatest(c.last_saved_index, r.saved),
    last_saved_at = CASE WHEN r.saved > c.last_saved_index THEN clock_timestamp()
                         ELSE c.last_saved_at END,
    intent_first = r.first, intent_last = r.last, intent_rows = NULL, settle_at = NULL,
    attempts = CASE WHEN r.saved > c.last_saved_index THEN 0 ELSE c.attempts END,
    last_error = CASE WHEN r.saved > c.last_saved_index THEN NULL ELSE c.last_error END,
    lease_until = clock_timestamp() + make_interval(secs => :lease)
FROM unnest(:sessions, :epochs, :saved, :firsts, :lasts) AS r (session_id, epoch, saved, first, last)
WHERE {which} AND c.session_id = r.session_id AND c.epoch = r.epoch
RETURNING c.session_id, c.due_index
"""
_RELEASE = """
UPDATE {table} c
SET last_saved_index = greatest(c.last_saved_index, r.saved),
    last_saved_at = CASE WHEN r.saved > c.last_saved_index THEN clock_timestamp()
                         ELSE c.last_saved_at END,
    intent_first = NULL, intent_last = NULL, intent_rows = NULL, settle_at = NULL,
    narrowed_to = NULL, attempts = 0, last_error = NULL,
    lease_owner = NULL, lease_until = NULL
FROM unnest(:sessions, :epochs, :saved) AS r (session_id, epoch, saved)
WHERE {which} AND c.session_id = r.session_id AND c.epoch = r.epoch AND c.due_index <= r.saved
RETURNING c.session_id
"""
_IDS = ARRAY(UUID(as_uuid=True))
_NUMBERS = ARRAY(BigInteger())


@dataclass(frozen=True, slots=True)
class Step:
    """What one session's holder writes: settled up to `saved`, and the next intent, if any."""

    claim: Claim
    saved: int
    intent: Intent | None = None


class ManyLeases:
    """The statements for the rows of one table: every cursor, or every part of one job."""

    def __init__(self, table: str, keys: Sequence[str], *, which: str, has_late: bool) -> None:
        """`which` is the condition on a row `c` of the table that makes it one of these."""
        words = {
            "table": table,
            "id": ", ".join(keys),
            "same": " AND ".join(f"c.{key} = free.{key}" for key in keys),
            "which": which,
            "plain": _PLAIN,
            "said": SAID_OF_SESSION,
        }
        sessions = bindparam("sessions", type_=_IDS)
        numbers = [bindparam(name, type_=_NUMBERS) for name in ("epochs", "saved")]
        intents = [bindparam(name, type_=_NUMBERS) for name in ("firsts", "lasts")]
        self._has_late = has_late
        self._drainable = text(_DRAINABLE.format(**words)).bindparams(sessions)
        self._claim = text((_CLAIM + CLAIMED).format(**words))
        self._advance = text(_ADVANCE.format(**words)).bindparams(sessions, *numbers, *intents)
        self._release = text(_RELEASE.format(**words)).bindparams(sessions, *numbers)

    def drainable(
        self, connection: Connection, keys: Mapping[str, Any], sessions: Sequence[uuid.UUID]
    ) -> set[uuid.UUID]:
        """Tell for which of these sessions the way is plain."""
        found = connection.execute(self._drainable, {**keys, "sessions": list(sessions)})
        return set(found.scalars())

    def claim(
        self,
        connection: Connection,
        keys: Mapping[str, Any],
        *,
        owner: str,
        lease: float,
        most: int,
    ) -> list[Claim]:
        """Take the lease for `lease` seconds on up to `most` rows that nobody works on."""
        found = connection.execute(
            self._claim, {**keys, "owner": owner, "lease": lease, "most": most}
        )
        return [as_claim(row, has_late=self._has_late) for row in found.mappings()]

    def advance(
        self,
        connection: Connection,
        keys: Mapping[str, Any],
        steps: Sequence[Step],
        *,
        lease: float,
    ) -> dict[uuid.UUID, int]:
        """Settle, commit the next intents, renew the leases, all in one; intents list no rows.

        Gives the `due_index` of each session whose lease was still held; the others were left as
        they are.
        """
        parameters = {
            **keys,
            **_settled(steps),
            "firsts": [step.intent.first if step.intent else None for step in steps],
            "lasts": [step.intent.last if step.intent else None for step in steps],
            "lease": lease,
        }
        found = connection.execute(self._advance, parameters)
        return {row.session_id: row.due_index for row in found}

    def release(
        self, connection: Connection, keys: Mapping[str, Any], steps: Sequence[Step]
    ) -> set[uuid.UUID]:
        """Settle and give the leases back; names the sessions for which that was done.

        The others have had more come due, or their lease was lost.
        """
        return set(connection.execute(self._release, {**keys, **_settled(steps)}).scalars())


def _settled(steps: Sequence[Step]) -> dict[str, list[Any]]:
    return {
        "sessions": [step.claim.session_id for step in steps],
        "epochs": [step.claim.epoch for step in steps],
        "saved": [step.saved for step in steps],
    }


CURSORS = ManyLeases("cursors", ["session_id"], which="true", has_late=True)
# What a target refused is noted in the part, and left to the task that reads those notes.
COPIES = ManyLeases(
    "resync_parts",
    ["job_id", "session_id"],
    which=(
        "c.job_id = :job_id AND NOT jsonb_exists(c.findings, 'refused_rows') AND EXISTS ("
        "SELECT FROM resync_jobs j WHERE j.id = c.job_id AND j.kind = 'copy' AND j.state = 'running')"
    ),
    has_late=False,
)
