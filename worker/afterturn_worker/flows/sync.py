"""Sync: one session's captured rows to Honcho, each once, in order, whatever is killed.

Claim the cursor, read what is beyond it, commit the intent, look at the time left on the lease,
POST once, and settle it together with the next intent. An outcome that is unknown is left to be
looked up after the settling time; nothing sleeps here, and no transaction is open over a request.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from afterturn_models.errors import HonchoFailure
from afterturn_models.policy.batch import MAX_MESSAGES, next_batch
from afterturn_models.values import Intent, Outgoing, Postponement, Standing
from afterturn_worker.flows.lease import Lease, LeaseLostError, SyncLimits
from afterturn_worker.flows.leaving import leave_after, settle_later
from afterturn_worker.flows.ports import Unpaced
from afterturn_worker.flows.posting import NotNow, Poster

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any
    from uuid import UUID

    from afterturn_worker.flows.introducing import SyncHoncho
    from afterturn_worker.flows.ports import PacePort, SyncStore

_READ = 200  # rows at a time: a full batch and what stays here in between


def sync_session(
    session_id: UUID,
    store: SyncStore,
    honcho: SyncHoncho,
    limits: SyncLimits,
    *,
    late: bool = False,
    own: Mapping[str, Any] | None = None,
    pace: PacePort | None = None,
    again: Callable[[float], None] = lambda _seconds: None,
    clock: Callable[[], float] = time.monotonic,
    jitter: Callable[[], float] = random.random,
) -> Standing:
    """Bring a session to where everything due is settled, as far as it can be done now.

    With `late`, rows out of their turn are sent as well, behind those in turn. `own` are the
    worker's settings of recall, which say who observes whom where nobody else does. `again` is
    told in how many seconds to come back where only the pace of all workers stood in the way.
    Safe to run twice, delayed, or beside its twin. Raises StoreUnavailableError where Postgres
    cannot be reached: the lease then runs out, and the relay comes back to it.
    """
    asked = clock()
    claim = store.claim(session_id, lease=limits.lease, late=late)
    if claim is None:
        return store.standing(session_id)
    lease = Lease(store, claim, limits, clock, leased_from=asked)
    pace = pace or Unpaced()
    poster = Poster(lease, store, honcho, pace, late=late, own=own or {})
    try:
        return _left(lease, _Run(lease, store, poster, late=late), pace, again, jitter)
    except LeaseLostError:
        return Standing.BUSY


def _left(
    lease: Lease,
    run: _Run,
    pace: PacePort,
    again: Callable[[float], None],
    jitter: Callable[[], float],
) -> Standing:
    """Do what can be done now, and leave the session as what came of it asks."""
    try:
        return run.settle_and_drain()
    except NotNow as full:
        # The rest of a batch of which some is there must be found again as such.
        kept = lease.intent is not None
        lease.postpone(Postponement(lease.saved, full.seconds, keep_intent=kept))
        again(full.seconds)
        return Standing.WAITING
    except HonchoFailure as failure:
        return leave_after(failure, lease, pace, jitter())


class _Run:
    """What one task does for one session."""

    def __init__(self, lease: Lease, store: SyncStore, poster: Poster, *, late: bool) -> None:
        self._lease = lease
        self._session = lease.claim.session_id
        self._store = store
        self._poster = poster
        self._with_late = late
        self._late = late and lease.claim.late
        self._ahead: Sequence[Outgoing] = ()

    def settle_and_drain(self) -> Standing:
        lease = self._lease
        if lease.intent is not None and not lease.claim.settled:
            return settle_later(lease, None)
        if lease.intent is not None:
            self._look_up(lease.intent)
        return self._drain()

    def _look_up(self, intent: Intent) -> None:
        """Find out what became of an intent; send what is certainly not there.

        An intent that lists rows is the rest of a batch of which some were found: the drain,
        which starts over from `saved`, would double those. Late rows are listed too, but are
        behind the cursor: those that are not there are late still.
        """
        rows = self._intended(intent)
        found = self._poster.found(rows)
        if intent.last == 0:
            self._note_late(list(found))
            return
        missing = [row for row in rows if row.id not in found]
        if missing and not found and intent.rows is None:
            self._lease.intent = None  # as if never sent: the drain takes it up
            return
        self._poster.send_rest(missing, intent)
        self._lease.settled(intent.last)

    def _intended(self, intent: Intent) -> list[Outgoing]:
        if intent.rows is not None:
            return self._poster.listed(intent.rows)
        rows = self._store.outgoing(
            self._session,
            after=intent.first - 1,
            upto=intent.last,
            limit=intent.last - intent.first + 1,
        )
        return [row for row in rows if row.content is not None]

    def _drain(self) -> Standing:
        lease = self._lease
        while True:
            if lease.saved < lease.due or self._late:
                if lease.used_up:
                    lease.postpone(Postponement(saved=lease.saved, seconds=0.0))
                    return Standing.MORE
                if lease.saved < lease.due:
                    self._in_turn()
                else:
                    self._out_of_turn()
            elif lease.release(late=self._with_late):
                return Standing.SYNCED
            else:
                lease.advance(None)  # more came due before the release: go on
                self._late = self._with_late  # in turn or out of it; a look tells

    def _in_turn(self) -> None:
        """Send the next batch beyond the cursor."""
        lease = self._lease
        self._ahead = lease.ahead(self._ahead) or self._store.outgoing(
            self._session, after=lease.saved, upto=lease.due, limit=_READ
        )
        batch = next_batch(self._ahead, most=lease.most)
        if batch is None or not batch.messages:
            lease.settled(batch.last if batch else lease.due)
        elif self._poster.taken(batch.messages, batch.intent):
            lease.settled(batch.last)
        else:
            self._ahead = ()  # what was read may have been changed

    def _out_of_turn(self) -> None:
        """Send the next rows that are late; their intent names no index, and moves no cursor.

        They are looked for first: whoever found them missing looked a while ago, without the
        lease, and they may have been sent since.
        """
        rows = self._store.late(self._session, limit=MAX_MESSAGES)
        batch = next_batch(rows, most=self._lease.most)
        there = list(self._poster.found(batch.messages)) if batch else []
        if batch is None or there:
            self._note_late(there)
            self._late = batch is not None
            return
        ids = tuple(row.id for row in batch.messages)
        if self._poster.taken(batch.messages, Intent(0, 0, ids)):
            self._note_late(ids)
        else:
            self._lease.advance(None)  # a turn that came meanwhile goes first here too

    def _note_late(self, rows: Sequence[UUID]) -> None:
        """Note what is there, and see what came due in turn meanwhile, which goes first."""
        lease = self._lease
        lease.own(self._store.note_late_sent(lease.claim, rows))
        lease.settled(0)
        lease.advance(None)
        self._late = self._with_late
