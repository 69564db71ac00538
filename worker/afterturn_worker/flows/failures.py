"""What a failure leads to, as data: wait how long, keep which intent, narrow, mend or set aside."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from afterturn_models.errors import AccessRefused, NotStored, RateLimited
from afterturn_models.policy.batch import MAX_MESSAGES
from afterturn_models.policy.special_tokens import neutralise
from afterturn_models.values import Postponement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from afterturn_models.errors import HonchoFailure, Rejected
    from afterturn_models.values import Outgoing
    from afterturn_worker.flows.lease import Lease

_LONGEST_WAIT = 3600.0  # seconds that a Honcho may ask us to wait


@dataclass(frozen=True, slots=True)
class Refusal:
    """What to do about a batch that Honcho refused for its content.

    `most` messages go into the next one. Where one message was refused alone, it is mended, or
    set aside for `reason`.
    """

    most: int
    mend: bool = False
    reason: str | None = None


def narrowed(rows: Sequence[Outgoing], refusal: Rejected) -> Refusal:
    """Narrow a refusal down to the message that causes it.

    Nothing of a refused batch is stored. What stands before the message that Honcho names goes
    out next, or the first half where it names none, until one message is refused alone. That one
    is mended where it holds special tokens (Honcho refuses some of them), else it is set aside.
    """
    if len(rows) > 1:
        at = refusal.index
        before = at if at is not None and 0 <= at < len(rows) else len(rows) // 2
        return Refusal(most=max(1, before))
    row = rows[0]
    if not row.mended and neutralise(row.content or "")[1]:
        return Refusal(most=1, mend=True)
    return Refusal(most=MAX_MESSAGES, reason=str(refusal))


def as_sent(rows: Sequence[Outgoing]) -> list[Outgoing]:
    """Give rows as Honcho gets them: those that were mended with their tokens neutralised."""
    return [
        replace(row, content=neutralise(row.content or "")[0]) if row.mended else row
        for row in rows
    ]


def later(failure: HonchoFailure, lease: Lease, jitter: float) -> Postponement:
    """Decide when a session is tried again, and what is known of its intent until then.

    `jitter` is a number from 0 to 1.
    """
    attempt = 1 if lease.progress else lease.claim.attempts + 1
    wait = lease.limits.backoff.delay(attempt, jitter)
    if isinstance(failure, RateLimited) and failure.retry_after is not None:
        asked = min(max(failure.retry_after, 0.0), _LONGEST_WAIT)
        wait = asked + wait * 0.1  # not all at the same moment
    parked = str(failure) if isinstance(failure, AccessRefused) else None
    return Postponement(
        saved=lease.saved,
        seconds=lease.limits.parked if parked else wait,
        error=str(failure),
        # A look-up that failed leaves its intent; a send that stored nothing does not.
        keep_intent=lease.intent is not None and not _stored_nothing(failure, lease),
        parked=parked,
    )


def _stored_nothing(failure: HonchoFailure, lease: Lease) -> bool:
    """Tell whether the intent may go: it was this run's own, and no other row of it is there."""
    own = lease.intends_anew and lease.intent is not None
    partial = own and lease.intent is not None and lease.intent.rows and lease.intent.last > 0
    return own and not partial and isinstance(failure, NotStored)
