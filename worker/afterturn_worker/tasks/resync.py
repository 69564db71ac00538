"""`afterturn.resync_part`: one task's share of verifying, repairing or copying a session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from celery import shared_task

from afterturn_models import signatures
from afterturn_models.errors import ConfigurationError
from afterturn_models.store.resync import part
from afterturn_models.values import Postponement, Standing
from afterturn_worker.boundary import outcomes
from afterturn_worker.flows.resync import verify_part
from afterturn_worker.flows.sync import sync_session
from afterturn_worker.flows.views import own_word
from afterturn_worker.resources import resources
from afterturn_worker.sending import send_or_leave

if TYPE_CHECKING:
    from celery import Task

    from afterturn_models.store.resync import Part
    from afterturn_worker.part_stores import CopyStore
    from afterturn_worker.resources import Resources


@shared_task(bind=True, name=signatures.RESYNC_PART, acks_late=True)
def resync_part(self: Task[Any, Any], job_id: str, session_id: str) -> dict[str, str] | None:
    """Do a share of a part, and come back while there is more; gives its standing."""
    with outcomes(self.name, self.request.id, session_id):
        process, job, session = resources(), UUID(job_id), UUID(session_id)
        with process.database.statement() as connection:
            known = part(connection, job, session)
        if known is None or not known.running:
            return {"standing": Standing.GONE.value}
        standing = _work(process, known, job, session)
        if standing is Standing.MORE:
            send_or_leave(self.app, signatures.resync_part(job, session))
        elif standing is Standing.SYNCED and known.kind == "repair":
            send_or_leave(self.app, signatures.sync_session(session, in_bulk=True))
        return {"standing": standing.value}
    return None


def _work(process: Resources, known: Part, job: UUID, session: UUID) -> Standing:
    if known.target is None:
        return verify_part(
            session,
            process.verify_store(job),
            process.honcho,
            process.bulk_limits,
            repair=known.kind == "repair",
        )
    try:
        honcho, workspace = process.target(known.target)
    except ConfigurationError as error:
        return _leave_to_others(process.copy_store(job, None), session, process, error)
    store = process.copy_store(job, workspace)
    own = own_word(process.settings)
    return sync_session(session, store, honcho, process.bulk_limits, own=own)


def _leave_to_others(
    store: CopyStore, session: UUID, process: Resources, error: ConfigurationError
) -> Standing:
    """Say what is missing here where a person sees it; another worker may know the target."""
    claim = store.claim(session, lease=process.limits.lease)
    if claim is not None:
        store.postpone(
            claim,
            Postponement(
                saved=claim.last_saved_index,
                seconds=process.limits.parked,
                error=str(error),
                keep_intent=True,
            ),
        )
    return Standing.WAITING
