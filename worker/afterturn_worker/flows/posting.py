"""One POST of a sync, under the lease and the pace of all workers, and what a refusal leads to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from afterturn_models.errors import Rejected
from afterturn_models.policy.batch import MAX_MESSAGES
from afterturn_models.values import Intent, Outgoing
from afterturn_worker.flows.failures import as_sent, narrowed
from afterturn_worker.flows.introducing import Introducing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any
    from uuid import UUID

    from afterturn_worker.flows.introducing import SyncHoncho
    from afterturn_worker.flows.lease import Lease
    from afterturn_worker.flows.ports import PacePort, SyncStore


class NotNow(Exception):  # noqa: N818 - nothing went wrong
    """All workers together send as much as they may; come back in `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Poster:
    """Looks for rows at Honcho and sends them, for the holder of one lease."""

    def __init__(
        self,
        lease: Lease,
        store: SyncStore,
        honcho: SyncHoncho,
        pace: PacePort,
        *,
        late: bool,
        own: Mapping[str, Any],
    ) -> None:
        """Send for a task that also does (`late`) what can wait behind every turn.

        `own` are the worker's settings, behind all that is said of the session.
        """
        self._lease = lease
        self._claim = lease.claim
        self._store = store
        self._honcho = honcho
        self._pace = pace
        self._can_wait = late
        self._introducing = Introducing(lease.claim, own)

    def found(self, rows: Sequence[Outgoing]) -> set[UUID]:
        """Tell which rows, all of one session of Honcho, are there."""
        if not rows:
            return set()
        return self._honcho.find(
            self._claim.workspace,
            rows[0].honcho_session,
            [row.id for row in rows],
            deadline=self._lease.time_left(),
        )

    def taken(self, rows: Sequence[Outgoing], intent: Intent) -> bool:
        """Send rows; False where Honcho refused them, and what to do about that is done.

        Nothing of what was refused is there, so there is no intent either.
        """
        self.introduce(rows)
        done = self._taken(rows, intent)
        if not done:
            self._lease.intent = None
        return done

    def send_rest(self, rows: Sequence[Outgoing], intent: Intent) -> None:
        """Send rows of a batch of which others are there.

        An intent that lists them all stands until the last is settled: the cursor does not tell
        which of the batch are there, and whoever starts over from it would double some.
        """
        while rows:
            part = rows[: self._lease.most]
            left = tuple(row.id for row in rows)
            if self._taken(part, Intent(intent.first, intent.last, left)):
                rows = rows[len(part) :]
            else:
                rows = self.listed(left)

    def listed(self, rows: Sequence[UUID]) -> list[Outgoing]:
        """Read those of these rows that are to be sent."""
        found = self._store.listed(self._claim.session_id, rows)
        return [row for row in found if row.content is not None]

    def introduce(self, rows: Sequence[Outgoing]) -> None:
        """Introduce to Honcho whoever of these rows it has not been told of."""
        workspace, session = self._claim.workspace, rows[0].honcho_session
        wanted = self._introducing.wanted(rows)
        unknown = self._store.unknown_members(workspace, session, wanted)
        if unknown:
            joining = {name: each for name, each in wanted.items() if name in unknown}
            self._introducing.introduce(self._honcho, session, joining, self._lease.time_left)
            self._store.note_members(workspace, session, joining)

    def _taken(self, rows: Sequence[Outgoing], intent: Intent) -> bool:
        try:
            self._send(rows, intent)
        except Rejected as refusal:
            if not refusal.about_content:
                raise
            self._deal_with(rows, refusal)
            return False
        self._lease.most = MAX_MESSAGES
        return True

    def _deal_with(self, rows: Sequence[Outgoing], refusal: Rejected) -> None:
        decided = narrowed(rows, refusal)
        self._lease.most = decided.most
        if decided.mend:
            self._lease.own(self._store.mend(self._claim, rows[0].id))
        elif decided.reason is not None:
            self._lease.own(self._store.quarantine(self._claim, rows[0].id, decided.reason))

    def _send(self, rows: Sequence[Outgoing], intent: Intent) -> None:
        wait, place = self._pace.admit(can_wait=self._can_wait)
        if wait > 0:
            raise NotNow(wait)
        try:
            self._lease.advance(intent)
            self._honcho.send(
                self._claim.workspace,
                rows[0].honcho_session,
                as_sent(rows),
                deadline=self._lease.time_left(),
            )
        finally:
            self._pace.leave(place)
