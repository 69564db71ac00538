"""How a session is left that could not be finished now: until when, and with which intent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from afterturn_models.errors import OutcomeUnknown, RateLimited
from afterturn_models.values import Postponement, Standing
from afterturn_worker.flows.failures import later

if TYPE_CHECKING:
    from afterturn_models.errors import HonchoFailure
    from afterturn_worker.flows.lease import Lease
    from afterturn_worker.flows.ports import PacePort

_LONGEST_PAUSE = 60.0  # seconds for which one 429 holds every worker back


def leave_after(failure: HonchoFailure, lease: Lease, pace: PacePort, jitter: float) -> Standing:
    """Leave a session as a failure asks; `jitter` is a number from 0 to 1.

    Raises LeaseLostError where another worker has it by now.
    """
    # Only a send commits an intent that this run may have to leave behind as unknown.
    if isinstance(failure, OutcomeUnknown) and lease.intends_anew:
        return settle_later(lease, failure)
    if isinstance(failure, RateLimited):
        pace.pause(min(failure.retry_after or 1.0, _LONGEST_PAUSE))
    delay = later(failure, lease, jitter)
    lease.postpone(delay)
    return Standing.PARKED if delay.parked else Standing.WAITING


def settle_later(lease: Lease, failure: HonchoFailure | None) -> Standing:
    """Leave an intent whose outcome is unknown, to be looked up after the settling time."""
    error = str(failure) if failure else None
    lease.postpone(Postponement(lease.saved, lease.limits.settling, error, settling=True))
    return Standing.WAITING
