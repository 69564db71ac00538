"""`afterturn.seed_identity`: capture a noted seed, then have its session synced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import shared_task

from afterturn_models import signatures
from afterturn_worker.boundary import outcomes
from afterturn_worker.flows.identity import seed_identity
from afterturn_worker.resources import resources
from afterturn_worker.seed_store import PostgresSeeds
from afterturn_worker.sending import send_or_leave

if TYPE_CHECKING:
    from celery import Task


@shared_task(bind=True, name=signatures.SEED_IDENTITY, acks_late=True)
def seed(self: Task[Any, Any], seed_id: int) -> None:
    """Seed what the ledger has under `seed_id`, once, however often this runs."""
    with outcomes(self.name, self.request.id, f"identity-seed-{seed_id}"):
        process = resources()
        session = seed_identity(
            seed_id, PostgresSeeds(process.database), process.honcho, process.limits
        )
        if session is not None:
            send_or_leave(self.app, signatures.sync_session(session))
