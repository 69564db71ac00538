"""A lease in hand: what is settled under it, what is intended, and how much of it is left."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from afterturn_models.policy.batch import MAX_MESSAGES
from afterturn_models.policy.retry import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from afterturn_models.values import Claim, Intent, Outgoing, Postponement
    from afterturn_worker.flows.ports import LeaseStore

_SHORTEST = 0.5  # seconds; a request that must be over sooner is not begun


@dataclass(frozen=True, slots=True)
class SyncLimits:
    """How long a sync may take, in seconds.

    `lease` exceeds `request` by `margin`; `settling` exceeds what Honcho needs to give up a
    request whose client is gone (its lock timeout is 5 s). A task does `slice` seconds of work at
    most, and leaves the rest to another.
    """

    lease: float = 20.0
    request: float = 10.0
    settling: float = 12.0
    margin: float = 2.0
    parked: float = 30.0
    slice: float = 30.0
    backoff: Backoff = field(default_factory=Backoff)


class LeaseLostError(Exception):
    """Another worker has the session, or may have it before a request would be over."""


class Lease:
    """One claim, from its first statement to its last.

    `saved` is the last index that is settled, which is written with the next statement; `due`
    where the claim ends; `intent` what may be at Honcho and is not known to be; `most` how many
    messages go into a batch, which is few while a refusal is narrowed down, by whichever task.
    """

    def __init__(
        self,
        store: LeaseStore,
        claim: Claim,
        limits: SyncLimits,
        clock: Callable[[], float],
        *,
        leased_from: float,
    ) -> None:
        """Hold `claim`, whose lease counts from before the statement that gave it.

        So our clock never shows more time left than Postgres does.
        """
        self._store = store
        self.claim = claim
        self.limits = limits
        self._clock = clock
        self._leased_from = leased_from
        self._until = leased_from + limits.slice
        self.saved = claim.last_saved_index
        self.due = claim.due_index
        self.intent = claim.intent
        self.most = claim.narrowed_to or MAX_MESSAGES
        self.progress = False

    @property
    def intends_anew(self) -> bool:
        """Tell whether the intent is this claim's own, and not one that it found."""
        return self.intent is not None and self.intent is not self.claim.intent

    @property
    def used_up(self) -> bool:
        """Tell whether this task has done its share."""
        return self._clock() > self._until

    def time_left(self) -> float:
        """Give the deadline of a request, in seconds: within the lease, or not begun at all."""
        leased = self.limits.lease - (self._clock() - self._leased_from)
        left = min(self.limits.request, leased - self.limits.margin)
        if left < _SHORTEST:
            raise LeaseLostError
        return left

    def advance(self, intent: Intent | None) -> None:
        """Write what is settled, commit the next intent, renew the lease."""
        asked = self._clock()
        due = self._store.advance(
            self.claim, saved=self.saved, intent=intent, lease=self.limits.lease
        )
        self.advanced(due, intent, asked=asked)

    def advanced(self, due: int | None, intent: Intent | None, *, asked: float) -> None:
        """Go on after that was written by a statement asked for at `asked`; None: it was lost."""
        if due is None:
            raise LeaseLostError
        self._leased_from, self.due, self.intent = asked, due, intent

    def renewed(self, statement: Callable[[], bool]) -> None:
        """Run a fenced statement that renews the lease; go on only where it was still ours."""
        asked = self._clock()
        self.own(statement())
        self._leased_from = asked

    def ahead(self, rows: Sequence[Outgoing]) -> list[Outgoing]:
        """Give what of rows that were read serves the next batch; none where more is to be read.

        A batch is cut off a full one, or off all that is due, lest it ends where reading did.
        """
        left = [row for row in rows if row.index > self.saved]
        serves = len(left) >= MAX_MESSAGES or (left and left[-1].index >= self.due)
        return left if serves else []

    def settled(self, last: int) -> None:
        """Note that everything up to `last` is settled."""
        self.saved = max(self.saved, last)
        self.intent = None
        self.progress = True

    def release(self, *, late: bool) -> bool:
        """Give the lease back; False where more is due, with `late` out of its turn too."""
        return self._store.release(self.claim, saved=self.saved, late=late)

    def postpone(self, delay: Postponement) -> None:
        """Give the lease back until later."""
        narrowed_to = self.most if self.most < MAX_MESSAGES else None
        if not self._store.postpone(self.claim, replace(delay, narrowed_to=narrowed_to)):
            raise LeaseLostError

    def own(self, done: bool) -> None:
        """Go on only where a fenced statement was done: the lease is still ours."""
        if not done:
            raise LeaseLostError
