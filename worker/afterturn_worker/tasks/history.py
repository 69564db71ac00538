"""`afterturn.index_history`: what was captured becomes searchable by an index, after the turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from celery import shared_task

from afterturn_models import signatures
from afterturn_models.values import Standing
from afterturn_worker.boundary import outcomes
from afterturn_worker.flows.history import index_history
from afterturn_worker.index_store import PostgresIndex
from afterturn_worker.resources import resources
from afterturn_worker.sending import send_or_leave

if TYPE_CHECKING:
    from celery import Task

_SHARE = 10.0  # seconds of a task; the rest is another's


@shared_task(bind=True, name=signatures.INDEX_HISTORY, acks_late=True)
def index(self: Task[Any, Any], session_id: str) -> None:
    """Index what is not indexed of a session, a share at a time."""
    with outcomes(self.name, self.request.id, session_id):
        session = UUID(session_id)
        standing = index_history(session, PostgresIndex(resources().database), seconds=_SHARE)
        if standing is Standing.MORE:
            send_or_leave(self.app, signatures.index_history(session))
