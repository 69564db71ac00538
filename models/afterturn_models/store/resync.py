"""Re-sync jobs in Postgres: a part a session, leased and fenced like a cursor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import Text

from afterturn_models.errors import CopyUnderWayError
from afterturn_models.store.leases import Leases

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence
    from uuid import UUID

PARTS = Leases("resync_parts", ["job_id", "session_id"], has_late=False)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which sessions a job takes: one by its key, all of a workspace, or all."""

    session: str | None = None
    workspace: str | None = None

    def as_json(self) -> dict[str, str]:
        """Give what was chosen, for the job's row."""
        chosen = {"session": self.session, "workspace": self.workspace}
        return {key: value for key, value in chosen.items() if value is not None}


# A copy takes everything that was captured to be sent; the others what is settled, since what is
# still on its way is not missing. A copy goes on where the last one to its target ended, with what
# that one may have had under way: a second copy doubles nothing.
_CREATE = text("""
WITH job AS (
    INSERT INTO resync_jobs (kind, target, selection) VALUES (:kind, :target, :selection)
    RETURNING id
), parts AS (
    INSERT INTO resync_parts (job_id, session_id, due_index, last_saved_index,
                              intent_first, intent_last, intent_rows)
    SELECT job.id, s.id, CASE WHEN :kind = 'copy' THEN s.next_index - 1 ELSE c.last_saved_index END,
           coalesce(former.last_saved_index, 0), former.intent_first, former.intent_last,
           former.intent_rows
    FROM job CROSS JOIN sessions s
    JOIN cursors c ON c.session_id = s.id JOIN workspaces w ON w.id = s.workspace_id
    LEFT JOIN LATERAL (
        SELECT p.* FROM resync_parts p JOIN resync_jobs f ON f.id = p.job_id
        WHERE :kind = 'copy' AND f.kind = 'copy' AND f.target = :target AND p.session_id = s.id
        ORDER BY p.last_saved_index DESC, f.created_at DESC LIMIT 1
    ) former ON true
    WHERE (CAST(:workspace AS text) IS NULL OR w.name = :workspace)
      AND (CAST(:session AS text) IS NULL OR s.key = :session)
    RETURNING session_id
)
SELECT job.id, (SELECT count(*) FROM parts) AS parts FROM job
""").bindparams(bindparam("selection", type_=JSONB()), bindparam("target", type_=Text()))
_UNDER_WAY = text("""
SELECT EXISTS (
    SELECT FROM resync_jobs j WHERE j.kind = 'copy' AND j.target = :target AND (
        j.state = 'running' OR EXISTS (SELECT FROM resync_parts p WHERE p.job_id = j.id
                                       AND p.lease_until > clock_timestamp())))
FROM pg_advisory_xact_lock(hashtext('afterturn copy ' || :target))
""").bindparams(bindparam("target", type_=Text()))


def create_job(
    connection: Connection, kind: str, target: str | None, chosen: Selection
) -> tuple[UUID, int]:
    """Make a job (`verify`, `repair` or `copy`); gives its id and how many sessions it has.

    It needs a transaction. Raises CopyUnderWayError where a copy to the same target runs, or was
    cancelled a moment ago and is still stopping: two at once would double what they copy.
    """
    if target is not None and connection.execute(_UNDER_WAY, {"target": target}).scalar():
        raise CopyUnderWayError(
            f"a copy to {target!r} is under way; watch it with: afterturn resync --list"
        )
    row = connection.execute(
        _CREATE,
        {
            "kind": kind,
            "target": target,
            "selection": chosen.as_json(),
            "workspace": chosen.workspace,
            "session": chosen.session,
        },
    ).one()
    return row.id, row.parts


_TAKE = text("""
WITH due AS (
    SELECT p.job_id, p.session_id
    FROM resync_parts p JOIN resync_jobs j ON j.id = p.job_id AND j.state = 'running'
    WHERE p.last_saved_index < p.due_index AND p.parked IS NULL
      AND p.run_at <= clock_timestamp()
      AND (p.lease_until IS NULL OR p.lease_until <= clock_timestamp())
      AND (p.relayed_at IS NULL OR p.relayed_at <= clock_timestamp() - make_interval(secs => :again))
    ORDER BY p.run_at LIMIT :most
    FOR UPDATE OF p SKIP LOCKED
)
UPDATE resync_parts p SET relayed_at = clock_timestamp()
FROM due WHERE p.job_id = due.job_id AND p.session_id = due.session_id
RETURNING p.job_id, p.session_id
""")


def take_due_parts(connection: Connection, *, again: float, most: int) -> list[tuple[UUID, UUID]]:
    """Find parts of running jobs that nobody works on, and note that they were hinted."""
    found = connection.execute(_TAKE, {"again": again, "most": most})
    return [(row.job_id, row.session_id) for row in found]


# A repair is done when what it found missing has been sent as well.
_FINISH = text("""
UPDATE resync_jobs j SET state = 'done', finished_at = clock_timestamp()
WHERE j.state = 'running'
  AND NOT EXISTS (SELECT FROM resync_parts p WHERE p.job_id = j.id
                  AND (p.last_saved_index < p.due_index OR p.intent_first IS NOT NULL))
  AND NOT (j.kind = 'repair' AND EXISTS (
      SELECT FROM resync_parts p JOIN messages m ON m.session_id = p.session_id
      WHERE p.job_id = j.id AND m.late = 'due' AND m.delivery = 'send'))
""")


def finish_jobs(connection: Connection) -> int:
    """Close the jobs whose every part is done; gives how many."""
    return connection.execute(_FINISH).rowcount


@dataclass(frozen=True, slots=True)
class Job:
    """A job as a person sees it: its state, how far it is, and what it found so far."""

    id: UUID
    kind: str
    target: str | None
    state: str
    created_at: dt.datetime
    sessions: int
    sessions_done: int
    rows: int
    rows_done: int
    checked: int
    missing: int
    doubled: int
    misplaced: int
    copied: int
    refused: int
    last_error: str | None


_JOBS = text("""
SELECT j.id, j.kind, j.target, j.state, j.created_at,
       count(p.session_id) AS sessions,
       count(p.session_id) FILTER (WHERE p.last_saved_index >= p.due_index
                                   AND p.intent_first IS NULL) AS sessions_done,
       coalesce(sum(p.due_index), 0)::bigint AS rows,
       coalesce(sum(least(p.last_saved_index, p.due_index)), 0)::bigint AS rows_done,
       coalesce(sum((p.findings->>'checked')::bigint), 0)::bigint AS checked,
       coalesce(sum((p.findings->>'missing')::bigint), 0)::bigint AS missing,
       coalesce(sum((p.findings->>'doubled')::bigint), 0)::bigint AS doubled,
       coalesce(sum((p.findings->>'misplaced')::bigint), 0)::bigint AS misplaced,
       coalesce(sum((p.findings->>'copied')::bigint), 0)::bigint AS copied,
       coalesce(sum((p.findings->>'refused')::bigint), 0)::bigint AS refused,
       max(p.last_error) FILTER (WHERE p.last_saved_index < p.due_index) AS last_error
FROM resync_jobs j LEFT JOIN resync_parts p ON p.job_id = j.id
WHERE CAST(:job AS uuid) IS NULL OR j.id = :job
GROUP BY j.id ORDER BY j.created_at DESC LIMIT :limit
""")


def jobs(connection: Connection, job_id: UUID | None = None, *, limit: int = 20) -> list[Job]:
    """Read the last jobs, or one."""
    return [Job(*row) for row in connection.execute(_JOBS, {"job": job_id, "limit": limit})]


_CANCEL = text("""
UPDATE resync_jobs SET state = 'cancelled', finished_at = clock_timestamp()
WHERE id = :job AND state = 'running'
""")


def cancel_job(connection: Connection, job_id: UUID) -> bool:
    """Stop a running job; what was done stays done. False where it does not run."""
    return connection.execute(_CANCEL, {"job": job_id}).rowcount == 1


_TARGET = text("SELECT target FROM resync_jobs WHERE id = :job AND state = 'running'")


def job_target(connection: Connection, job_id: UUID) -> str | None:
    """Name where a copy goes; None where it does not run, or the job is none."""
    return connection.execute(_TARGET, {"job": job_id}).scalar()


_PART = text("""
SELECT j.kind, j.target, j.state, p.findings FROM resync_jobs j
JOIN resync_parts p ON p.job_id = j.id
WHERE j.id = :job AND p.session_id = :session
""")
_FINDINGS = text("""
UPDATE resync_parts SET findings = :findings
WHERE job_id = :job AND session_id = :session AND epoch = :epoch
""").bindparams(bindparam("findings", type_=JSONB()))
_DETAILS = text("""
SELECT s.key, w.name AS workspace, p.findings
FROM resync_parts p JOIN sessions s ON s.id = p.session_id JOIN workspaces w ON w.id = s.workspace_id
WHERE p.job_id = :job AND (coalesce((p.findings->>'missing')::bigint, 0) > 0
      OR coalesce((p.findings->>'doubled')::bigint, 0) > 0
      OR coalesce((p.findings->>'misplaced')::bigint, 0) > 0
      OR coalesce((p.findings->>'refused')::bigint, 0) > 0)
ORDER BY s.key LIMIT :limit
""")


@dataclass(frozen=True, slots=True)
class Part:
    """What a worker needs to know of its part."""

    kind: str
    target: str | None
    running: bool
    findings: dict[str, Any]


def part(connection: Connection, job_id: UUID, session_id: UUID) -> Part | None:
    """Read a part; None where the job or the session is gone."""
    row = connection.execute(_PART, {"job": job_id, "session": session_id}).one_or_none()
    return Part(row.kind, row.target, row.state == "running", row.findings) if row else None


def note_findings(
    connection: Connection, job_id: UUID, session_id: UUID, epoch: int, findings: dict[str, Any]
) -> bool:
    """Write down what a part has found; False where the lease was lost."""
    found = connection.execute(
        _FINDINGS,
        {"job": job_id, "session": session_id, "epoch": epoch, "findings": findings},
    )
    return found.rowcount == 1


def details(connection: Connection, job_id: UUID, *, limit: int = 100) -> list[dict[str, Any]]:
    """Read what was found, session by session, of those where something is not as it should be."""
    return [
        dict(row)
        for row in connection.execute(_DETAILS, {"job": job_id, "limit": limit}).mappings()
    ]


@dataclass(frozen=True, slots=True)
class Verifiable:
    """A row that is to be at Honcho, without its text."""

    id: UUID
    index: int
    honcho_session: str
    late: bool


_VERIFIABLE = text("""
SELECT id, index, honcho_session, late IS NOT NULL AS late FROM messages
WHERE session_id = :session AND index > :after AND index <= :upto
  AND delivery = 'send' AND late IS DISTINCT FROM 'due'
ORDER BY index LIMIT :limit
""")
_BEFORE = text("""
SELECT id, index, honcho_session, late IS NOT NULL AS late FROM messages
WHERE session_id = :session AND index <= :upto AND delivery = 'send' AND late IS NULL
ORDER BY index DESC LIMIT 1
""")


def verifiable(
    connection: Connection, session_id: UUID, *, after: int, upto: int, limit: int
) -> Sequence[Verifiable]:
    """Read which rows are to be at Honcho; those on their way are not."""
    found = connection.execute(
        _VERIFIABLE, {"session": session_id, "after": after, "upto": upto, "limit": limit}
    )
    return [
        Verifiable(row.id, row._mapping["index"], row.honcho_session, row.late) for row in found
    ]


def last_in_turn(connection: Connection, session_id: UUID, *, upto: int) -> Verifiable | None:
    """Read the last row up to `upto` that was sent in its turn."""
    row = connection.execute(_BEFORE, {"session": session_id, "upto": upto}).one_or_none()
    if row is None:
        return None
    return Verifiable(row.id, row._mapping["index"], row.honcho_session, row.late)
