"""Re-sync: verify a session's rows at Honcho window by window, and mark what is missing as late.

A copy to another Honcho is `sync_session` itself, on a store that keeps its place in the part.
"""

from __future__ import annotations

import random
import time
from itertools import takewhile
from typing import TYPE_CHECKING, Protocol

from afterturn_models.errors import HonchoFailure
from afterturn_models.policy.verify import Findings, compare
from afterturn_models.values import Postponement, Standing
from afterturn_worker.flows.failures import later
from afterturn_worker.flows.lease import Lease, LeaseLostError, SyncLimits
from afterturn_worker.flows.ports import LeaseStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from afterturn_models.store.resync import Verifiable
    from afterturn_models.values import Claim
    from afterturn_worker.honcho.port import HonchoPort

_WINDOW = 99  # rows a look-up, and the one before them: windows share a row, so that order is seen


class VerifyStore(LeaseStore, Protocol):
    """What a verification needs of Postgres."""

    def verifiable(
        self, session_id: UUID, *, after: int, upto: int, limit: int
    ) -> Sequence[Verifiable]:
        """Read which rows are to be at Honcho."""
        ...

    def last_in_turn(self, session_id: UUID, *, upto: int) -> Verifiable | None:
        """Read the last row up to `upto` that was sent in its turn."""
        ...

    def found(self, claim: Claim, findings: Findings, *, saved: int, lease: float) -> bool:
        """Write down a window's findings and that it is done; False where the lease was lost."""
        ...

    def send_late(self, session_id: UUID, rows: Sequence[UUID]) -> None:
        """Have missing rows sent late."""
        ...


def verify_part(
    session_id: UUID,
    store: VerifyStore,
    honcho: HonchoPort,
    limits: SyncLimits,
    *,
    repair: bool,
    clock: Callable[[], float] = time.monotonic,
    jitter: Callable[[], float] = random.random,
) -> Standing:
    """Verify what is left of a part, for one task's share; with `repair`, mend what is missing.

    Safe to run twice, late, or beside its twin.
    """
    asked = clock()
    claim = store.claim(session_id, lease=limits.lease)
    if claim is None:
        return store.standing(session_id)
    lease = Lease(store, claim, limits, clock, leased_from=asked)
    try:
        while lease.saved < lease.due:
            if lease.used_up:
                lease.postpone(Postponement(saved=lease.saved, seconds=0.0))
                return Standing.MORE
            _verify_window(lease, store, honcho, repair=repair)
        return Standing.SYNCED if lease.release(late=False) else Standing.MORE
    except HonchoFailure as failure:
        delay = later(failure, lease, jitter())
        lease.postpone(delay)
        return Standing.PARKED if delay.parked else Standing.WAITING
    except LeaseLostError:
        return Standing.BUSY


def _verify_window(lease: Lease, store: VerifyStore, honcho: HonchoPort, *, repair: bool) -> None:
    session = lease.claim.session_id
    rows = _window(store, session, after=lease.saved, upto=lease.due)
    last = rows[-1].index if rows else lease.due
    found = Findings()
    if rows:
        before = store.last_in_turn(session, upto=lease.saved)
        shared = before is not None and before.honcho_session == rows[0].honcho_session
        looked = [before, *rows] if before is not None and shared else rows
        seen = honcho.sightings(
            lease.claim.workspace,
            rows[0].honcho_session,
            [row.id for row in looked],
            deadline=lease.time_left(),
        )
        found = compare(
            [row.id for row in looked], seen, late={row.id for row in looked if row.late}
        )
        _count_once(found, {row.id for row in rows})
        if repair and found.missing:
            store.send_late(session, found.missing)
    lease.renewed(lambda: store.found(lease.claim, found, saved=last, lease=lease.limits.lease))
    lease.settled(last)


def _window(store: VerifyStore, session: UUID, *, after: int, upto: int) -> Sequence[Verifiable]:
    """Read the next rows, all of one session of Honcho."""
    rows = store.verifiable(session, after=after, upto=upto, limit=_WINDOW)
    return list(takewhile(lambda row: row.honcho_session == rows[0].honcho_session, rows))


def _count_once(found: Findings, window: set[UUID]) -> None:
    """Leave to the window before what was found of the row that is shared with it."""
    found.checked = len(window)
    found.missing = [row for row in found.missing if row in window]
    found.doubled = [row for row in found.doubled if row in window]
