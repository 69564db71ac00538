"""The prefetch tasks: their results wait in the Redis backend for the next turn to pop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from celery import shared_task

from afterturn_models import signatures
from afterturn_worker.boundary import outcomes
from afterturn_worker.flows.prefetch import prefetch_context, prefetch_dialectic
from afterturn_worker.resources import resources

if TYPE_CHECKING:
    from celery import Task


# Celery puts a result's text into its log line and its event: here it is memory, so none of it.
@shared_task(bind=True, name=signatures.PREFETCH_CONTEXT, acks_late=True, resultrepr_maxsize=0)
def context(self: Task[Any, Any], session_id: str, turn: int) -> dict[str, Any] | None:
    """Fetch summary, representations and card."""
    with outcomes(self.name, self.request.id, session_id):
        process = resources()
        return prefetch_context(
            UUID(session_id), turn, process.store, process.honcho, process.settings
        )
    return None


@shared_task(bind=True, name=signatures.PREFETCH_DIALECTIC, acks_late=True, resultrepr_maxsize=0)
def dialectic(self: Task[Any, Any], session_id: str, turn: int) -> dict[str, Any] | None:
    """Ask the dialectic what bears on the last message."""
    with outcomes(self.name, self.request.id, session_id):
        process = resources()
        return prefetch_dialectic(
            UUID(session_id), turn, process.store, process.honcho, process.settings
        )
    return None
