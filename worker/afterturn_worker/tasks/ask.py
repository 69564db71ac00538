"""`afterturn.ask`: answers what an agent waits for, once, and only while it waits."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from celery import Task, shared_task
from celery.exceptions import Ignore

from afterturn_models import signatures
from afterturn_models.asks import Answer, Failure, Op
from afterturn_models.errors import AfterturnError, StoreUnavailableError
from afterturn_worker.boundary import log, outcomes
from afterturn_worker.flows.ask import answer
from afterturn_worker.flows.views import own_word
from afterturn_worker.resources import resources

_NO_STORE = "Memory cannot be reached now (its Postgres is away); go on without it."
_NOT_SET_UP = "The workers are not set up: {error}"


class Masked(Task[Any, Any]):
    """A task whose arguments show nowhere: Celery's `inspect` gives them out as they are."""

    Request = "afterturn_worker.masked:MaskedRequest"


# Celery puts a result's text into its log line and its event: here it is memory, so none of it.
@shared_task(bind=True, base=Masked, name=signatures.ASK, acks_late=True, resultrepr_maxsize=0)
def ask(
    self: Task[Any, Any], session_id: str, op: str, user: str, arguments: dict[str, Any]
) -> dict[str, Any]:
    """Answer an ask that is still waited for; gives an `Answer` as JSON.

    Raises Ignore where it is not: Celery then stores no result over the one of the worker that
    did take it.
    """
    process = resources()
    seconds = process.awaited.take(str(self.request.id))
    if seconds is None:
        raise Ignore
    came = Answer(failure=Failure.DEFECT, sentence="The worker failed; its log says why.")
    with outcomes(self.name, self.request.id, session_id):
        try:
            came = answer(
                UUID(session_id),
                Op(op),
                arguments,
                user=user,
                own=own_word(process.settings),
                store=process.store,
                honcho=process.honcho,
                seconds=seconds,
            )
        except StoreUnavailableError as error:
            log.warning("postgres_unavailable", error=str(error))
            came = Answer(failure=Failure.OUTAGE, sentence=_NO_STORE)
        except AfterturnError as error:
            log.warning("not_answered", error=str(error))
            came = Answer(failure=Failure.OUTAGE, sentence=_NOT_SET_UP.format(error=error))
        if came.failure is not None:
            log.info("unanswered", op=op, failure=came.failure.value)
    return came.as_json()
