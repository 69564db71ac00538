"""`afterturn.drain`: sync many due sessions at once, or copy many parts of one re-sync job."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from uuid import UUID

from celery import shared_task

from afterturn_models import signatures
from afterturn_models.store.resync import job_target
from afterturn_models.values import Standing
from afterturn_worker.boundary import outcomes
from afterturn_worker.flows.draining import Drain
from afterturn_worker.flows.views import own_word
from afterturn_worker.resources import resources
from afterturn_worker.sending import send_or_leave
from afterturn_worker.tasks.sync import fire_prefetches

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery, Task

    from afterturn_worker.flows.ports import SyncStore
    from afterturn_worker.gathered import GatheredStore
    from afterturn_worker.honcho.client import HonchoClient
    from afterturn_worker.resources import Resources

_THREADS = 12  # for statements and introductions of one drain


@shared_task(bind=True, name=signatures.DRAIN, acks_late=True)
def drain(self: Task[Any, Any], job_id: str | None = None) -> None:
    """Do a share of what is due, and come back while there is more."""
    with outcomes(self.name, self.request.id, job_id or "all"):
        process, job = resources(), UUID(job_id) if job_id else None
        if not process.draining.acquire(blocking=False):
            return  # the one that runs takes what is due, and the relay looks again
        try:
            more = _copies(self.app, process, job) if job else _cursors(self.app, process)
        finally:
            process.draining.release()
        if more:
            send_or_leave(self.app, signatures.drain(job))


def _cursors(app: Celery, process: Resources) -> bool:
    def left(session: UUID, standing: Standing) -> None:
        fire_prefetches(app, process, session, standing)
        if standing is Standing.MORE:
            send_or_leave(app, signatures.sync_session(session))

    parts = process.gathered(), process.store, process.honcho
    return asyncio.run(_drained(process, *parts, left))


def _copies(app: Celery, process: Resources, job: UUID) -> bool:
    with process.database.statement() as connection:
        target = job_target(connection, job)
    if target is None:
        return False  # the job is gone
    honcho, workspace = process.target(target)

    def left(session: UUID, standing: Standing) -> None:
        if standing is Standing.MORE:
            send_or_leave(app, signatures.resync_part(job, session))

    store = process.copy_store(job, workspace)
    many = process.gathered_copy(job, workspace)
    return asyncio.run(_drained(process, many, store, honcho, left))


async def _drained(
    process: Resources,
    many: GatheredStore,
    store: SyncStore,
    honcho: HonchoClient,
    left: Callable[[UUID, Standing], None],
) -> bool:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, "drain"))
    sender = honcho.asynchronous()
    try:
        return await Drain(
            many,
            sender,
            store,
            honcho,
            process.bulk_limits,
            own_word(process.settings),
            left,
            process.pace,
        ).run()
    finally:
        await sender.close()
