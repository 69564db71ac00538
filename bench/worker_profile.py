"""A worker's part of a backlog, run in this process on one thread, to see where its CPU goes."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from afterturn_models.settings import load
from afterturn_worker.flows.sync import sync_session
from afterturn_worker.flows.views import own_word
from afterturn_worker.resources import Resources
from bench import profiles
from bench.backlog import conversations, fill

if TYPE_CHECKING:
    from bench.lab import Lab

_SESSIONS, _MESSAGES = 4, 2_000


def drained_here(lab: Lab) -> str:
    """Drain a backlog here, without Celery and latency; gives what a batch of 100 costs by function."""
    with lab.place() as place:
        place.honcho()
        memory, connection = place.memory(), place.connection()
        sessions = conversations(memory, connection, _SESSIONS + 1)
        backlog = fill(connection, sessions, _MESSAGES)
        os.environ.update(place.env())
        process = Resources(load().settings, owner="bench", threads=1)
        try:
            _sync(process, backlog.sessions[:1])
            return profiles.of(
                lambda: _sync(process, backlog.sessions[1:]),
                title=f"CPU of {_SESSIONS * _MESSAGES} messages in batches of 100, one thread",
                times=1,
                lines=24,
                clock=time.thread_time,
            )
        finally:
            process.close()


def _sync(process: Resources, sessions: tuple[object, ...]) -> None:
    for session in sessions:
        sync_session(
            session,  # type: ignore[arg-type]  # a UUID as psycopg gives it
            process.store,
            process.honcho,
            process.limits,
            own=own_word(process.settings),
            pace=process.pace,
            again=lambda _seconds: None,
        )
