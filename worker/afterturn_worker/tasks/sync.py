"""`afterturn.sync_session`: sync what is due, then send off the prefetches of the last turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from celery import shared_task

from afterturn_models import signatures
from afterturn_models.values import Standing
from afterturn_worker.boundary import outcomes
from afterturn_worker.flows.prefetch import due_fetches
from afterturn_worker.flows.sync import sync_session
from afterturn_worker.flows.views import own_word
from afterturn_worker.resources import resources
from afterturn_worker.sending import send_or_leave

if TYPE_CHECKING:
    from celery import Celery, Task

    from afterturn_worker.resources import Resources

_SOON = 5.0  # seconds; a hint for later than that is the relay's
# Whoever leaves a session fires the prefetches of what is settled: they then see what was just said.
_LEFT = {Standing.SYNCED, Standing.MORE, Standing.WAITING}


@shared_task(bind=True, name=signatures.SYNC_SESSION, acks_late=True)
def sync(self: Task[Any, Any], session_id: str, late: bool = False) -> dict[str, str] | None:
    """Bring a session up to date; gives its standing, None where it could not be told.

    With `late`, rows out of their turn are sent as well.
    """
    with outcomes(self.name, self.request.id, session_id):
        process, session = resources(), UUID(session_id)
        standing = sync_session(
            session,
            process.store,
            process.honcho,
            process.bulk_limits if late else process.limits,
            late=late,
            own=own_word(process.settings),
            pace=process.pace,
            again=lambda seconds: _come_back(self.app, session, seconds, late=late),
        )
        fire_prefetches(self.app, process, session, standing)
        if standing is Standing.MORE:
            _go_on(self.app, session, late=late)
        return {"standing": standing.value}
    return None


def fire_prefetches(app: Celery, process: Resources, session: UUID, standing: Standing) -> None:
    """Send off what is to be fetched for the next turn of a session that was left like this."""
    if standing not in _LEFT:
        return
    for fetch in due_fetches(session, process.store, own_word(process.settings)):
        send_or_leave(app, fetch)


def _go_on(app: Celery, session: UUID, *, late: bool) -> None:
    """Hint at the rest; a turn that came to a session under repair does not wait for the bulk."""
    send_or_leave(app, signatures.sync_session(session))
    if late:
        send_or_leave(app, signatures.sync_session(session, in_bulk=True))


def _come_back(app: Celery, session: UUID, seconds: float, *, late: bool) -> None:
    if seconds <= _SOON:
        send_or_leave(app, signatures.sync_session(session, in_bulk=late, after=seconds))
