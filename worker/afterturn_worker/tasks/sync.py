"""`afterturn.sync_session`: sync what is due, then send off the prefetches of the last turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from celery import shared_task
from kombu.exceptions import OperationalError

from afterturn_models import signatures
from afterturn_models.broker import send
from afterturn_models.values import Standing
from afterturn_worker.boundary import log, outcomes
from afterturn_worker.flows.sync import sync_session
from afterturn_worker.resources import resources

if TYPE_CHECKING:
    from celery import Celery, Task


@shared_task(bind=True, name=signatures.SYNC_SESSION, acks_late=True)
def sync(self: Task[Any, Any], session_id: str) -> dict[str, str] | None:
    """Bring a session up to date; gives its standing, None where it could not be told."""
    with outcomes(self.name, self.request.id, session_id):
        process, session = resources(), UUID(session_id)
        standing = sync_session(session, process.store, process.honcho, process.limits)
        # Whoever ends the sync fires the prefetches: they then see what was just said.
        if standing is Standing.SYNCED:
            turn = process.store.take_prefetch(session)
            if turn is not None:
                _fire(self.app, session, turn)
        return {"standing": standing.value}
    return None


def _fire(app: Celery, session: UUID, turn: int) -> None:
    """Send off a turn's prefetches; without a broker the next turn is a cold one, no more."""
    try:
        send(app, signatures.prefetch_context(session, turn))
        send(app, signatures.prefetch_dialectic(session, turn))
    except (OperationalError, OSError) as error:
        log.warning("broker_unavailable", error=str(error))
