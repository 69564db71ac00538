"""`afterturn.compact_session`: summarise what lies further back of a history, where that is due."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from celery import shared_task

from afterturn_models import signatures
from afterturn_worker.boundary import outcomes
from afterturn_worker.flows.compaction import compact_session
from afterturn_worker.flows.views import own_word
from afterturn_worker.resources import resources
from afterturn_worker.sending import send_or_leave

if TYPE_CHECKING:
    from celery import Task


@shared_task(bind=True, name=signatures.COMPACT_SESSION, acks_late=True)
def compact(self: Task[Any, Any], session_id: str, force: bool = False) -> dict[str, Any] | None:
    """Compact a session; gives what came of it, None where it could not be told.

    A model takes seconds, and a minute where it is ill: summaries get a quarter of a worker's
    threads, and what finds none is left to the relay.
    """
    with outcomes(self.name, self.request.id, session_id):
        process, session = resources(), UUID(session_id)
        if not process.summaries.acquire(blocking=False):
            process.compactions.want(session)
            return {"outcome": "busy", "made_by": [], "covers_to": None, "error": None}
        try:
            done = compact_session(
                session,
                process.compactions,
                process.summarisers,
                process.compaction_limits,
                force=force,
                own=own_word(process.settings),
            )
        finally:
            process.summaries.release()
        if done.outcome == "more":
            send_or_leave(self.app, signatures.compact_session(session))
        return done.as_json()
    return None
