"""The prefetch tasks: their results wait in the Redis backend for the next turn to pop."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from celery import shared_task
from celery.exceptions import Ignore

from afterturn_models import signatures
from afterturn_worker.boundary import outcomes
from afterturn_worker.flows.prefetch import LeftAloneError, prefetch_context, prefetch_dialectic
from afterturn_worker.flows.views import own_word
from afterturn_worker.resources import resources
from afterturn_worker.sending import send_or_leave

if TYPE_CHECKING:
    from celery import Task

_AGAIN = 1.0  # seconds after which a dialectic that found no room in this worker is tried again


# Celery puts a result's text into its log line and its event: here it is memory, so none of it.
@shared_task(bind=True, name=signatures.PREFETCH_CONTEXT, acks_late=True, resultrepr_maxsize=0)
def context(self: Task[Any, Any], session_id: str, turn: int) -> dict[str, Any] | None:
    """Fetch summary, representations and cards."""
    with outcomes(self.name, self.request.id, session_id):
        process = resources()
        return prefetch_context(
            UUID(session_id),
            turn,
            process.store,
            process.honcho,
            own=own_word(process.settings),
            seconds=process.settings.request_seconds,
        )
    return None


@shared_task(bind=True, name=signatures.PREFETCH_DIALECTIC, acks_late=True, resultrepr_maxsize=0)
def dialectic(self: Task[Any, Any], session_id: str, turn: int) -> dict[str, Any] | None:
    """Ask the dialectic what bears on the last message.

    Chats take seconds, and a minute where their LLM is ill: they get half of a worker's threads,
    so that syncs and contexts always find one.
    """
    with outcomes(self.name, self.request.id, session_id):
        process = resources()
        if not process.chats.acquire(blocking=False):
            task = signatures.prefetch_dialectic(UUID(session_id), turn)
            send_or_leave(self.app, replace(task, after=_AGAIN))
            raise Ignore  # no result yet: the next try's
        try:
            return prefetch_dialectic(
                UUID(session_id),
                turn,
                process.store,
                process.honcho,
                own=own_word(process.settings),
                seconds=process.settings.chat_seconds,
            )
        except LeftAloneError:
            raise Ignore from None
        finally:
            process.chats.release()
    return None
