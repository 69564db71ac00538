"""Draining: many sessions synced at once by one task, each by the protocol of `sync_session`.

A session's steps are the same, in the same order: claim, intent, a look at the time left, one
POST, settle. Only what many sessions ask of Postgres at one moment goes there as one statement,
and requests wait in an event loop in place of a thread each. What is out of the ordinary (a
refusal, an outcome to be looked up) is left to the task that does one session.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from afterturn_models.errors import HonchoFailure, Rejected
from afterturn_models.policy.batch import next_batch
from afterturn_models.values import Postponement, Standing
from afterturn_worker.flows.failures import as_sent, narrowed
from afterturn_worker.flows.lease import Lease, LeaseLostError, SyncLimits
from afterturn_worker.flows.leaving import leave_after
from afterturn_worker.flows.ports import Unpaced
from afterturn_worker.flows.posting import NotNow, Poster

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any
    from uuid import UUID

    from afterturn_models.policy.batch import Batch
    from afterturn_models.values import Claim, Intent, Outgoing
    from afterturn_worker.flows.introducing import SyncHoncho
    from afterturn_worker.flows.ports import PacePort, SyncStore

WIDTH = 128  # sessions at once: more in flight gained nothing, a shared client fell behind
_PATIENCE = 5.0  # seconds that a session waits for its place among the requests of all workers
_SLICE = 20.0  # seconds after which a drain claims nothing more, and leaves the rest to another


class DrainStore(Protocol):
    """What many sessions ask of Postgres; calls made at one moment share a statement.

    Each lease that it takes or renews is as long as those of `Drain.limits`.
    """

    async def claim(self, *, most: int) -> Sequence[Claim]:
        """Take the lease on up to `most` sessions that are due and plain to sync."""
        ...

    async def outgoing(self, session_id: UUID, *, after: int, upto: int) -> Sequence[Outgoing]:
        """Read the next rows beyond `after` up to `upto`, in order."""
        ...

    async def advance(self, claim: Claim, *, saved: int, intent: Intent) -> int | None:
        """Settle up to `saved`, commit the next intent, renew the lease; gives `due_index`."""
        ...

    async def release(self, claim: Claim, *, saved: int) -> bool:
        """Settle and give the lease back; False where more is due, or it was lost."""
        ...


class Sender(Protocol):
    """Stores messages at a Honcho, without a thread that waits for it."""

    async def send(
        self, workspace: str, session: str, messages: Sequence[Outgoing], *, deadline: float
    ) -> None:
        """Store up to 100 messages by one request (see `HonchoPort.send`)."""
        ...


@dataclass(frozen=True, slots=True)
class Drain:
    """What a drain works with.

    `store` and `honcho` serve one session's rare steps (introducing, leaving it), in threads;
    `own` are the worker's settings of recall. `left` is told of each session that was left, and
    how, in a thread too.
    """

    many: DrainStore
    sender: Sender
    store: SyncStore
    honcho: SyncHoncho
    limits: SyncLimits
    own: Mapping[str, Any]
    left: Callable[[UUID, Standing], None]
    pace: PacePort = field(default_factory=Unpaced)
    width: int = WIDTH
    clock: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = random.random

    async def run(self) -> bool:
        """Drain what is due, for one task's share; True where there was more than that.

        Safe beside its twins and beside `sync_session`. Raises StoreUnavailableError where
        Postgres cannot be reached: the leases then run out, and the relay comes back to them.
        """
        until = self.clock() + _SLICE
        busy: set[asyncio.Task[None]] = set()
        more = True
        try:
            while True:
                room = self.width - len(busy)
                more_time = self.clock() < until
                if more and more_time and room * 4 >= self.width:
                    asked = self.clock()
                    claims = await self.many.claim(most=room)
                    more = len(claims) == room
                    busy |= {asyncio.create_task(self._session(each, asked)) for each in claims}
                if not busy:
                    return more
                done, busy = await asyncio.wait(busy, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            for task in busy:
                task.cancel()
            await asyncio.gather(*busy, return_exceptions=True)

    async def _session(self, claim: Claim, asked: float) -> None:
        lease = Lease(self.store, claim, self.limits, self.clock, leased_from=asked)
        try:
            standing = await self._synced(lease)
        except LeaseLostError:
            return  # whoever has it fires what comes next
        await asyncio.to_thread(self.left, claim.session_id, standing)

    async def _synced(self, lease: Lease) -> Standing:
        try:
            return await _OneOfMany(self, lease).drain()
        except NotNow as full:
            await asyncio.to_thread(lease.postpone, Postponement(lease.saved, full.seconds))
            return Standing.WAITING
        except HonchoFailure as failure:
            return await asyncio.to_thread(leave_after, failure, lease, self.pace, self.jitter())


class _OneOfMany:
    """One session of a drain."""

    def __init__(self, drain: Drain, lease: Lease) -> None:
        self._drain = drain
        self._lease = lease
        parts = lease, drain.store, drain.honcho, drain.pace
        self._poster = Poster(*parts, late=True, own=drain.own)
        self._introduced: set[tuple[str, str]] = set()
        self._ahead: Sequence[Outgoing] = ()

    async def drain(self) -> Standing:
        lease = self._lease
        while lease.saved < lease.due:
            if lease.used_up:
                return await self._hand_over()
            batch = await self._next()
            if batch is None or not batch.messages:
                lease.settled(batch.last if batch else lease.due)
            elif not await self._taken(batch):
                return await self._hand_over()
        if await self._drain.many.release(lease.claim, saved=lease.saved):
            return Standing.SYNCED
        # More came due before the release, or the lease was lost: the ordinary task sees which.
        return await self._hand_over()

    async def _next(self) -> Batch | None:
        lease = self._lease
        self._ahead = lease.ahead(self._ahead) or await self._drain.many.outgoing(
            lease.claim.session_id, after=lease.saved, upto=lease.due
        )
        return next_batch(self._ahead)

    async def _taken(self, batch: Batch) -> bool:
        """Send a batch; False where Honcho refused it, and nothing of it is there."""
        drain, lease, rows = self._drain, self._lease, batch.messages
        await self._introduce(rows)
        place = await self._admitted()
        try:
            asked = drain.clock()
            due = await drain.many.advance(lease.claim, saved=lease.saved, intent=batch.intent)
            lease.advanced(due, batch.intent, asked=asked)
            await drain.sender.send(
                lease.claim.workspace,
                rows[0].honcho_session,
                as_sent(rows),
                deadline=lease.time_left(),
            )
        except Rejected as refusal:
            if not refusal.about_content:
                raise
            lease.intent = None
            lease.most = narrowed(rows, refusal).most if len(rows) > 1 else 1
            return False
        finally:
            await self._give_back(place)
        lease.settled(batch.last)
        return True

    async def _introduce(self, rows: Sequence[Outgoing]) -> None:
        """Introduce whoever is new; what was introduced is not looked at again."""
        speakers = {(row.honcho_session, row.peer) for row in rows}
        if not speakers <= self._introduced:
            await asyncio.to_thread(self._poster.introduce, rows)
            self._introduced |= speakers

    async def _admitted(self) -> str:
        """Wait for a place among all requests, which holds no thread; gives the place.

        Nothing is intended yet: who waits for too long has lost the lease, and sees it next.
        """
        pace = self._drain.pace
        until = self._drain.clock() + _PATIENCE
        while not isinstance(pace, Unpaced):
            wait, place = await asyncio.to_thread(pace.admit, can_wait=True)
            if wait <= 0:
                return place
            if self._drain.clock() + wait > until:
                raise NotNow(wait)
            await asyncio.sleep(wait)
        return ""

    async def _give_back(self, place: str) -> None:
        if place:
            await asyncio.to_thread(self._drain.pace.leave, place)

    async def _hand_over(self) -> Standing:
        """Leave the rest to the task that does one session, at once."""
        lease = self._lease
        await asyncio.to_thread(lease.postpone, Postponement(lease.saved, 0.0))
        return Standing.MORE
