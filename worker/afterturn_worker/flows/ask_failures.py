"""Why an ask has no answer, in sentences that a model or a person can act on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from afterturn_models.asks import Answer, Failure, Op
from afterturn_models.errors import (
    AccessRefused,
    Missing,
    NotStored,
    RateLimited,
    Unreachable,
)

if TYPE_CHECKING:
    from afterturn_models.errors import HonchoFailure

_WRITES = frozenset({Op.SET_PROFILE, Op.CONCLUDE, Op.UNCONCLUDE, Op.DELETE_SESSION})
_MAY_BE_MADE = " The change may have been made all the same: look before you repeat it."


class Unanswered(Exception):  # noqa: N818 - named for what happened, as the errors of Honcho's are
    """An ask that ends without a value: why, and the sentence that says so."""

    def __init__(self, failure: Failure, sentence: str) -> None:
        super().__init__(sentence)
        self.answer = Answer(failure=failure, sentence=sentence)


def failed(error: HonchoFailure, op: Op, seconds: float, *, late: bool) -> Answer:
    """Say what came of a request to Honcho that failed.

    `late`: the time is over, so that it was the deadline that ended it. A write that may have been
    made says so; an outage never reads as "nothing known".
    """
    failure, sentence = _said(error, seconds, late=late)
    if op in _WRITES and not isinstance(error, NotStored):
        sentence += _MAY_BE_MADE
    return Answer(failure=failure, sentence=sentence)


def _said(error: HonchoFailure, seconds: float, *, late: bool) -> tuple[Failure, str]:
    match error:
        case RateLimited():
            wait = f" for {error.retry_after:.0f} s" if error.retry_after else ""
            return Failure.OUTAGE, f"Honcho takes no more requests now; wait{wait}."
        case Unreachable():
            return Failure.OUTAGE, "Honcho cannot be reached now; go on without it."
        case NotStored():
            return Failure.REFUSED, _refused(error)
    if late and not error.status:
        sentence = f"Honcho did not answer within {seconds:.1f} s; go on without it."
        return Failure.TIMEOUT, sentence
    return Failure.OUTAGE, f"Honcho failed ({error}); go on without it, or ask again later."


def _refused(error: NotStored) -> str:
    if isinstance(error, AccessRefused):
        return "Honcho refuses the workers' key: a person must set it (HONCHO_API_KEY)."
    if isinstance(error, Missing):
        return f"Honcho does not know it ({error})."
    return f"Honcho does not take it: {error}."
