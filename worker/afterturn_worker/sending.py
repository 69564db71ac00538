"""Sending a task from within one: a broker that is away is said in one line, and made up for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kombu.exceptions import OperationalError

from afterturn_models.broker import send
from afterturn_worker.boundary import log
from afterturn_worker.tracing import carrying

if TYPE_CHECKING:
    from celery import Celery

    from afterturn_models.signatures import Signature


def send_or_leave(app: Celery, signature: Signature) -> None:
    """Send a task; without a broker the relay, or the next turn, makes up for it."""
    try:
        send(app, carrying(signature))
    except (OperationalError, OSError) as error:
        log.warning("broker_unavailable", error=str(error))
