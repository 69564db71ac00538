"""Sync: one session's captured rows to Honcho, each once, in order, whatever is killed.

Claim the cursor, read what is beyond it, commit the intent, look at the time left on the lease,
POST once, and settle it together with the next intent. An outcome that is unknown is left to be
looked up after the settling time; nothing sleeps here, and no transaction is open over a request.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from afterturn_models.errors import (
    AccessRefused,
    HonchoFailure,
    NotStored,
    OutcomeUnknown,
    RateLimited,
)
from afterturn_models.policy.batch import MAX_MESSAGES, Batch, next_batch
from afterturn_models.policy.retry import Backoff
from afterturn_models.values import (
    AGENT_OBSERVING,
    USER_OBSERVING,
    Intent,
    Observing,
    Outgoing,
    Postponement,
    Role,
    Standing,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from afterturn_models.values import Claim
    from afterturn_worker.flows.ports import SyncStore
    from afterturn_worker.honcho.port import HonchoPort

_READ = 200  # rows at a time: a full batch and what stays here in between
_SHORTEST = 0.5  # seconds; a request that must be over sooner is not begun
_LONGEST_WAIT = 3600.0  # seconds that a Retry-After may hold a session back


@dataclass(frozen=True, slots=True)
class SyncLimits:
    """How long a sync may take, in seconds.

    `lease` exceeds `request` by `margin`; `settling` exceeds what Honcho needs to give up a
    request whose client is gone (its lock timeout is 5 s). After `slice` a run leaves the rest
    of a long backlog to the relay: a task stays well under the visibility timeout, and the slot
    is free for other sessions and for the worker's own beat.
    """

    lease: float = 20.0
    request: float = 10.0
    settling: float = 12.0
    margin: float = 2.0
    parked: float = 30.0
    slice: float = 30.0
    backoff: Backoff = field(default_factory=Backoff)


class _LeaseLost(Exception):  # noqa: N818 - it ends a run, and is nobody's error
    """Another worker has the session, or may have it before a request would be over."""


def sync_session(
    session_id: UUID,
    store: SyncStore,
    honcho: HonchoPort,
    limits: SyncLimits,
    *,
    clock: Callable[[], float] = time.monotonic,
    jitter: Callable[[], float] = random.random,
) -> Standing:
    """Bring a session to where everything due is settled, as far as it can be done now.

    Safe to run twice, late, or beside its twin. Raises StoreUnavailableError where Postgres
    cannot be reached: the lease then runs out, and the relay comes back to it.
    """
    asked = clock()
    claim = store.claim(session_id, lease=limits.lease)
    if claim is None:
        return store.standing(session_id)
    run = _Run(store, honcho, limits, claim, clock, jitter, leased_from=asked)
    try:
        return run.settle_and_drain()
    except _LeaseLost:
        return Standing.BUSY


class _Run:
    """One claim, from its first statement to its last."""

    def __init__(
        self,
        store: SyncStore,
        honcho: HonchoPort,
        limits: SyncLimits,
        claim: Claim,
        clock: Callable[[], float],
        jitter: Callable[[], float],
        *,
        leased_from: float,
    ) -> None:
        self._store = store
        self._honcho = honcho
        self._limits = limits
        self._claim = claim
        self._clock = clock
        self._jitter = jitter
        # The lease counts from before the statement that gave it: our clock never shows more
        # time left than Postgres does.
        self._leased_from = leased_from
        self._until = leased_from + limits.slice
        self._saved = claim.last_saved_index
        self._due = claim.due_index
        self._intent = claim.intent

    def settle_and_drain(self) -> Standing:
        try:
            if self._intent is not None and not self._claim.settled:
                return self._settle_later(None)
            if self._intent is not None:
                self._look_up(self._intent)
            return self._drain()
        except OutcomeUnknown as failure:
            # Only a send commits an intent that this run may have to leave behind as unknown.
            if self._intent is not None and self._intent is not self._claim.intent:
                return self._settle_later(failure)
            return self._retry_later(failure)
        except HonchoFailure as failure:
            return self._retry_later(failure)

    def _look_up(self, intent: Intent) -> None:
        """Find out what became of an intent; send what is certainly not there.

        An intent that lists rows is the rest of a batch of which some were found: the drain,
        which starts over from `saved`, would double those.
        """
        rows = self._intended(intent)
        found: set[UUID] = set()
        if rows:
            found = self._honcho.find(
                self._claim.workspace,
                rows[0].honcho_session,
                [row.id for row in rows],
                deadline=self._time_left(),
            )
        missing = [row for row in rows if row.id not in found]
        if missing and not found and intent.rows is None:
            self._intent = None  # as if it had never been sent: the drain takes it up
            return
        if missing:
            self._send(missing, Intent(intent.first, intent.last, tuple(r.id for r in missing)))
        self._settled(intent.last)

    def _intended(self, intent: Intent) -> list[Outgoing]:
        rows = self._store.outgoing(
            self._claim.session_id,
            after=intent.first - 1,
            upto=intent.last,
            limit=intent.last - intent.first + 1,
        )
        listed = None if intent.rows is None else set(intent.rows)
        return [
            row for row in rows if row.content is not None and (listed is None or row.id in listed)
        ]

    def _drain(self) -> Standing:
        ahead: Sequence[Outgoing] = ()
        while True:
            if self._saved >= self._due:
                if self._store.release(self._claim, saved=self._saved):
                    return Standing.SYNCED
                self._advance(None)  # more came due before the release: go on
                continue
            if self._clock() > self._until:
                return self._leave_the_rest()
            ahead = self._read_on(ahead)
            batch = next_batch(ahead)
            if batch is None or not batch.messages:
                self._settled(batch.last if batch else self._due)
                continue
            self._introduce(batch)
            self._send(batch.messages, batch.intent)
            self._settled(batch.last)

    def _read_on(self, ahead: Sequence[Outgoing]) -> Sequence[Outgoing]:
        """Give the rows beyond `saved`: what is left of `ahead` where it fills a batch, or ends."""
        left = [row for row in ahead if row.index > self._saved]
        if left and (len(left) >= MAX_MESSAGES or left[-1].index >= self._due):
            return left
        return self._store.outgoing(
            self._claim.session_id, after=self._saved, upto=self._due, limit=_READ
        )

    def _introduce(self, batch: Batch) -> None:
        """Add peers before their first message, which would join them without configuration."""
        workspace, session = self._claim.workspace, batch.messages[0].honcho_session
        speakers = {row.peer: _observing(row.role) for row in batch.messages}
        unknown = self._store.unknown_members(workspace, session, speakers)
        if not unknown:
            return
        # The agent joins with the first message, whoever speaks: it is the one who observes.
        joining = {peer: speakers[peer] for peer in unknown}
        joining.setdefault(self._claim.agent_peer, AGENT_OBSERVING)
        self._honcho.add_peers(workspace, session, joining, deadline=self._time_left())
        self._store.note_members(workspace, session, joining)

    def _send(self, rows: Sequence[Outgoing], intent: Intent) -> None:
        self._advance(intent)
        self._honcho.send(
            self._claim.workspace, rows[0].honcho_session, rows, deadline=self._time_left()
        )

    def _settled(self, last: int) -> None:
        """Note that everything up to `last` is settled; it is written with the next statement."""
        self._saved = last
        self._intent = None

    def _advance(self, intent: Intent | None) -> None:
        asked = self._clock()
        due = self._store.advance(
            self._claim, saved=self._saved, intent=intent, lease=self._limits.lease
        )
        if due is None:
            raise _LeaseLost
        self._leased_from, self._due, self._intent = asked, due, intent

    def _time_left(self) -> float:
        """Give the deadline of a request, in seconds: within the lease, or not begun at all."""
        leased = self._limits.lease - (self._clock() - self._leased_from)
        left = min(self._limits.request, leased - self._limits.margin)
        if left < _SHORTEST:
            raise _LeaseLost
        return left

    def _leave_the_rest(self) -> Standing:
        self._postpone(Postponement(saved=self._saved, seconds=0.0))
        return Standing.WAITING

    def _settle_later(self, failure: HonchoFailure | None) -> Standing:
        self._postpone(
            Postponement(
                saved=self._saved,
                seconds=self._limits.settling,
                error=str(failure) if failure else None,
                settling=True,
            )
        )
        return Standing.WAITING

    def _retry_later(self, failure: HonchoFailure) -> Standing:
        attempt = 1 if self._saved > self._claim.last_saved_index else self._claim.attempts + 1
        wait = self._limits.backoff.delay(attempt, self._jitter())
        if isinstance(failure, RateLimited) and failure.retry_after is not None:
            asked = min(max(failure.retry_after, 0.0), _LONGEST_WAIT)
            wait = asked + wait * 0.1  # not all at the same moment
        parked = str(failure) if isinstance(failure, AccessRefused) else None
        self._postpone(
            Postponement(
                saved=self._saved,
                seconds=self._limits.parked if parked else wait,
                error=str(failure),
                # A look-up that failed leaves its intent; a send that stored nothing does not.
                keep_intent=self._intent is not None and not self._stored_nothing(failure),
                parked=parked,
            )
        )
        return Standing.PARKED if parked else Standing.WAITING

    def _stored_nothing(self, failure: HonchoFailure) -> bool:
        """Tell whether the intent may go: it was this run's own, and no other row of it is there."""
        intent = self._intent
        own = intent is not None and intent is not self._claim.intent and intent.rows is None
        return own and isinstance(failure, NotStored)

    def _postpone(self, delay: Postponement) -> None:
        if not self._store.postpone(self._claim, delay):
            raise _LeaseLost


def _observing(role: Role) -> Observing:
    return USER_OBSERVING if role is Role.USER else AGENT_OBSERVING
