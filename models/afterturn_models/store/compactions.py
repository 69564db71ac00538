"""Compactions in Postgres: the lease on a session's, and the commit of a summary under that lease.

Nothing here is held over a request: a claim is a row with a lease on Postgres' own clock, and what
a worker writes counts only where the epoch is still its own. No statement touches a message.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import Connection, text

from afterturn_models.policy.mode import AGENT_KEYS, USER_KEYS, resolve_mode, saves_messages
from afterturn_models.profile import SessionProfile
from afterturn_models.store.sessions import SAID_OF_SESSION, by_scope
from afterturn_models.values import Mode, Scope

if TYPE_CHECKING:
    import datetime as dt
    import uuid
    from collections.abc import Mapping

    from sqlalchemy import Row

Held = Literal["busy", "waiting", "free", "gone"]


@dataclass(frozen=True, slots=True)
class Summary:
    """A compaction as it is stored; see `tables.compactions` for what it says."""

    covers_from: int
    covers_to: int
    text: str
    tokens: int
    made_by: str
    stays_here: bool = False
    honcho_session: str | None = None
    at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class CompactionClaim:
    """A worker's lease on a session's compaction, fenced by `epoch`.

    `total` are the session's tokens, `covered` those that lie behind `last`, its newest summary.
    Rows up to `saved_index` are settled at Honcho. `cooling` says by the kind of summary how often
    it failed and for how many seconds yet it is left alone.
    """

    session_id: uuid.UUID
    epoch: int
    workspace: str
    honcho_session: str
    total: int
    covered: int
    saved_index: int
    forced: bool = False
    failures: int = 0
    last: Summary | None = None
    cooling: Mapping[str, tuple[int, float]] = field(default_factory=dict, compare=False)
    profile: SessionProfile = field(default_factory=SessionProfile, compare=False)
    said: Mapping[Scope, Mapping[str, Any]] = field(default_factory=dict, compare=False)

    @property
    def covered_to(self) -> int:
        """The index up to which the session is summarised; 0 where it is not."""
        return self.last.covers_to if self.last else 0

    @property
    def local(self) -> bool:
        """Tell whether what either peer says now is to stay on this machine."""
        layers = self.profile.layers(self.said)
        modes = (resolve_mode(layers, keys) for keys in (USER_KEYS, AGENT_KEYS))
        return Mode.LOCAL in modes or not saves_messages(layers)


_CLAIM_SQL = """
WITH claimed AS (
    INSERT INTO compaction_states AS c (session_id, forced, lease_owner, lease_until, epoch)
    SELECT id, :force, :owner, clock_timestamp() + make_interval(secs => :lease), 1
    FROM sessions WHERE id = :session
    ON CONFLICT (session_id) DO UPDATE
    SET wanted = true, forced = c.forced OR excluded.forced, epoch = c.epoch + 1,
        lease_owner = excluded.lease_owner, lease_until = excluded.lease_until
    WHERE (c.lease_until IS NULL OR c.lease_until <= clock_timestamp())
      AND (c.run_at <= clock_timestamp() OR excluded.forced)
    RETURNING c.*
)
SELECT claimed.session_id, claimed.epoch, claimed.forced, claimed.failures, claimed.cooling,
       extract(epoch FROM clock_timestamp()) AS now,
       w.name AS workspace, s.honcho_session, s.details, s.token_total, s.covered_tokens,
       coalesce(cursors.last_saved_index, 0) AS saved_index, {said} AS said, {columns}
FROM claimed
JOIN sessions s ON s.id = claimed.session_id
JOIN workspaces w ON w.id = s.workspace_id
LEFT JOIN cursors ON cursors.session_id = s.id
LEFT JOIN LATERAL (
    SELECT * FROM compactions WHERE session_id = s.id ORDER BY covers_to DESC LIMIT 1
) last ON true
"""
_LAST = (
    "last.covers_from, last.covers_to, last.summary, last.tokens, last.made_by, last.stays_here,"
    " last.honcho_session AS held_session, last.created_at"
)
_CLAIM = text(
    _CLAIM_SQL.format(
        said=SAID_OF_SESSION,
        columns=_LAST,
    )
)


def claim(
    connection: Connection, session_id: uuid.UUID, *, owner: str, lease: float, force: bool = False
) -> CompactionClaim | None:
    """Take the lease for `lease` seconds; None where it is not to be had: `held` tells why.

    With `force` a cool-down is not waited for, and whoever takes it up after us is forced too.
    """
    parameters = {"session": session_id, "owner": owner, "lease": lease, "force": force}
    row = connection.execute(_CLAIM, parameters).one_or_none()
    return None if row is None else _claimed(row)


def _claimed(row: Row[Any]) -> CompactionClaim:
    now = float(row.now)
    cooling = {
        kind: (int(one["failures"]), float(one["until"]) - now) for kind, one in row.cooling.items()
    }
    return CompactionClaim(
        session_id=row.session_id,
        epoch=row.epoch,
        workspace=row.workspace,
        honcho_session=row.honcho_session,
        total=row.token_total,
        covered=row.covered_tokens,
        saved_index=row.saved_index,
        forced=row.forced,
        failures=row.failures,
        last=_summary(row),
        cooling=cooling,
        profile=SessionProfile.of(row.details),
        said=by_scope(row.said),
    )


_HELD = text("""
SELECT CASE WHEN c.lease_until > clock_timestamp() THEN 'busy'
            WHEN c.run_at > clock_timestamp() THEN 'waiting'
            ELSE 'free' END
FROM sessions s LEFT JOIN compaction_states c ON c.session_id = s.id WHERE s.id = :session
""")


def held(connection: Connection, session_id: uuid.UUID) -> Held:
    """Tell who has a session's compaction: another worker, a cool-down, nobody; or it is gone."""
    found: Held | None = connection.execute(_HELD, {"session": session_id}).scalar()
    return found or "gone"


_RENEW = text("""
UPDATE compaction_states SET lease_until = clock_timestamp() + make_interval(secs => :lease)
WHERE session_id = :session AND epoch = :epoch
""")


def renew(connection: Connection, claim: CompactionClaim, *, lease: float) -> bool:
    """Hold the lease for `lease` seconds from now; False where it was lost."""
    return _fenced(connection, _RENEW, claim, lease=lease)


# The summary, the tokens that it covers and the lease: one statement, which is one transaction.
_COMMIT = text("""
WITH held AS (
    UPDATE compaction_states
    SET lease_until = clock_timestamp() + make_interval(secs => :lease),
        failures = 0, cooling = cooling - CAST(:kind AS text)
    WHERE session_id = :session AND epoch = :epoch
    RETURNING session_id
), made AS (
    INSERT INTO compactions (session_id, covers_from, covers_to, summary, tokens, made_by,
                             stays_here, honcho_session)
    SELECT session_id, :covers_from, :covers_to, :summary, :tokens, :made_by,
           :stays_here, CAST(:honcho_session AS text)
    FROM held
    WHERE NOT EXISTS (SELECT FROM compactions c
                      WHERE c.session_id = :session AND c.covers_to > :after)
    ON CONFLICT (session_id, covers_to) DO NOTHING
    RETURNING session_id
)
UPDATE sessions SET covered_tokens = covered_tokens + (
    SELECT coalesce(sum(tokens), 0) FROM messages
    WHERE session_id = :session AND index > :after AND index <= :covers_to
)
FROM made WHERE sessions.id = made.session_id
""")


def commit(
    connection: Connection, claim: CompactionClaim, summary: Summary, *, after: int, lease: float
) -> bool:
    """Store a summary of what lies beyond `after`, and hold the lease for `lease` seconds more.

    False where the lease was lost, or somebody has summarised beyond `after`: nothing was stored.
    """
    return _fenced(
        connection,
        _COMMIT,
        claim,
        lease=lease,
        after=after,
        kind=summary.made_by.partition(":")[0],
        covers_from=summary.covers_from,
        covers_to=summary.covers_to,
        summary=summary.text,
        tokens=summary.tokens,
        made_by=summary.made_by,
        stays_here=summary.stays_here,
        honcho_session=summary.honcho_session,
    )


_COOL = text("""
UPDATE compaction_states
SET cooling = cooling || jsonb_build_object(CAST(:kind AS text), jsonb_build_object(
        'failures', CAST(:failures AS integer),
        'until', extract(epoch FROM clock_timestamp()) + CAST(:seconds AS float))),
    last_error = :error
WHERE session_id = :session AND epoch = :epoch
""")


def cool(
    connection: Connection,
    claim: CompactionClaim,
    kind: str,
    *,
    failures: int,
    seconds: float,
    error: str,
) -> bool:
    """Leave a kind of summary alone for `seconds`, after so many failures; False: lease lost."""
    return _fenced(
        connection, _COOL, claim, kind=kind, failures=failures, seconds=seconds, error=error
    )


_RELEASE = text("""
UPDATE compaction_states
SET wanted = false, forced = false, failures = 0, lease_owner = NULL, lease_until = NULL,
    run_at = clock_timestamp()
WHERE session_id = :session AND epoch = :epoch
""")
_POSTPONE = text("""
UPDATE compaction_states
SET lease_owner = NULL, lease_until = NULL,
    run_at = clock_timestamp() + make_interval(secs => :seconds),
    failures = failures + CASE WHEN CAST(:error AS text) IS NULL THEN 0 ELSE 1 END,
    last_error = coalesce(CAST(:error AS text), last_error)
WHERE session_id = :session AND epoch = :epoch
""")


def release(connection: Connection, claim: CompactionClaim) -> bool:
    """Give the lease back, with nothing left to do; False where it was lost."""
    return _fenced(connection, _RELEASE, claim)


def postpone(
    connection: Connection, claim: CompactionClaim, *, seconds: float, error: str | None = None
) -> bool:
    """Give the lease back until later; `error` says what went wrong. False where it was lost."""
    return _fenced(connection, _POSTPONE, claim, seconds=seconds, error=error)


_NEWEST = text("""
SELECT covers_from, covers_to, summary, tokens, made_by, stays_here,
       honcho_session AS held_session, created_at
FROM compactions WHERE session_id = :session ORDER BY covers_to DESC LIMIT 1
""")


def newest(connection: Connection, session_id: uuid.UUID) -> Summary | None:
    """Read a session's newest summary; None where it has none."""
    row = connection.execute(_NEWEST, {"session": session_id}).one_or_none()
    return None if row is None else _summary(row)


def _summary(row: Row[Any]) -> Summary | None:
    if row.covers_to is None:
        return None
    return Summary(
        covers_from=row.covers_from,
        covers_to=row.covers_to,
        text=row.summary,
        tokens=row.tokens,
        made_by=row.made_by,
        stays_here=row.stays_here,
        honcho_session=row.held_session,
        at=row.created_at,
    )


def _fenced(
    connection: Connection, statement: Any, claim: CompactionClaim, **parameters: Any
) -> bool:
    fence = {"session": claim.session_id, "epoch": claim.epoch}
    return bool(connection.execute(statement, {**parameters, **fence}).rowcount == 1)
