"""The heartbeat: a row in Postgres that says a worker takes tasks, and the end of one that cannot.

Each beat is a task that the worker sends to a queue of its own and must take from it: a worker
whose broker connection has stalled runs on for ever and takes nothing. Such a one ends itself,
and its supervisor starts it again.
"""

from __future__ import annotations

import os
import threading
from importlib.metadata import version
from typing import Any

from celery.utils.nodenames import worker_direct
from celery.worker import state as worker_state
from kombu.exceptions import OperationalError

from afterturn_models import signatures
from afterturn_models.errors import AccessRefused, AfterturnError
from afterturn_models.store import cursors, workers
from afterturn_worker.periodic import Periodic, log
from afterturn_worker.resources import resources

_SECONDS = 5.0
_STALLED = 120.0
_GRACE = 20.0
_STATUS = 75  # of a worker that ends itself: "temporary failure", so that it is started again
_FORGOTTEN = 3600.0
_CHECK_EVERY = 3  # beats


class Heartbeat(Periodic):
    """Beats, looks at Honcho, wakes parked sessions, and ends a worker that has stalled."""

    name = "afterturn.heartbeat"
    label = "heartbeat"
    _registered = False
    _ending = False
    _count = 0

    def seconds(self) -> float:
        """Give the time between two beats."""
        return _SECONDS

    def tick(self) -> None:
        """Send a beat; every few beats, look at Honcho and at when the last one arrived."""
        self._register()
        try:
            self.worker.app.send_task(
                signatures.BEAT,
                kwargs={"worker": self.worker.hostname},
                queue=worker_direct(self.worker.hostname),
                ignore_result=True,
                retry=False,
            )
        except (OperationalError, OSError) as error:
            log.warning("broker_unavailable", error=str(error))
            return  # Redis is away for everyone: starting again would not help
        if self._count % _CHECK_EVERY == 0:
            self._look_at_honcho()
        self._count += 1
        self._end_if_stalled()

    def stop(self, parent: Any) -> None:
        """Take the row out: this worker is not missing, it was stopped."""
        super().stop(parent)
        try:
            with resources().database.statement() as connection:
                workers.forget(connection, self.worker.hostname)
        except AfterturnError as error:
            log.warning("not_signed_off", error=str(error))

    terminate = stop

    def _register(self) -> None:
        if self._registered:
            return
        with resources().database.statement() as connection:
            workers.forget_older(connection, _FORGOTTEN)
            workers.register(
                connection, self.worker.hostname, pid=os.getpid(), version=version("afterturn")
            )
        self._registered = True

    def _look_at_honcho(self) -> None:
        """Note whether Honcho answers this worker's key; where it does, wake what waited for it."""
        process = resources()
        with process.database.statement() as connection:
            parked = cursors.parked_workspaces(connection)
        state = "ok"
        for workspace in dict.fromkeys([process.settings.workspace, *parked]):
            try:
                process.honcho.check(workspace, deadline=process.settings.request_seconds)
            except AccessRefused as error:
                state = str(error)
                continue
            except AfterturnError as error:
                state = str(error)
                break  # it answers no other workspace either, and each may wait for its deadline
            if workspace in parked:
                with process.database.statement() as connection:
                    cursors.unpark(connection, workspace)
        with process.database.statement() as connection:
            workers.note_honcho(connection, self.worker.hostname, state)

    def _end_if_stalled(self) -> None:
        with resources().database.statement() as connection:
            age = workers.beat_age(connection, self.worker.hostname)
        if age is None:
            self._registered = False  # the row was taken out meanwhile
        elif age > stalled_after(resources().settings.chat_seconds) and not self._ending:
            self._ending = True
            log.critical("stalled", beat_age=round(age), action="this worker ends itself")
            self._end()

    def _end(self) -> None:
        """Stop as on SIGTERM, with a status that says why; and by force where that stalls too.

        What the worker then still holds comes back by lease and visibility timeout.
        """
        worker_state.should_stop = _STATUS  # type: ignore[assignment]  # as Celery's own handlers do
        by_force = threading.Timer(_GRACE, os._exit, args=(_STATUS,))
        by_force.daemon = True  # a stop that succeeds does not wait for it
        by_force.start()


def stalled_after(chat_seconds: float) -> float:
    """Give the age of a beat at which its worker counts as stalled, in seconds.

    A beat waits for a free slot like every task, and a chat holds one for `chat_seconds`.
    """
    return max(_STALLED, 2 * chat_seconds)
