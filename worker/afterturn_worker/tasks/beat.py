"""`afterturn.beat`: the worker's proof to itself that tasks reach it."""

from __future__ import annotations

from celery import shared_task

from afterturn_models import signatures
from afterturn_models.store import workers
from afterturn_worker.boundary import outcomes
from afterturn_worker.resources import resources


@shared_task(name=signatures.BEAT, ignore_result=True, acks_late=False)
def beat(worker: str) -> None:
    """Write down that a task came through the broker to `worker` just now."""
    with outcomes(signatures.BEAT, None, worker), resources().database.statement() as connection:
        workers.beat(connection, worker)
