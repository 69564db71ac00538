"""Hints to Celery from a thread of their own: a dead or black-holed Redis costs a turn nothing.

A hint says that a session may have something to do. Hints of one session that wait are one hint,
so the queue is bounded by the sessions that talk. One that cannot be sent is dropped, and for a
while none is tried: the relay finds the work in Postgres all the same.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from afterturn_models.broker import NO_BACKEND, publisher_config, send
from afterturn_models.signatures import sync_session

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from afterturn.timings.marks import Marks
    from afterturn.timings.timings import Timings
    from afterturn_models.signatures import Signature

    _Task = tuple[Signature, Callable[[], bool] | None]

log = logging.getLogger("afterturn.dispatch")

_MOST_WAITING = 10_000
_PAUSE = 5.0  # seconds without a try after one that failed


class Dispatcher:
    """Sends hints in the background; one a process, safe between threads and after a fork."""

    def __init__(self, redis_url: str, timings: Timings | None = None) -> None:
        """Send nothing yet; its thread tells of `timings` while it is at it."""
        self._redis_url = redis_url
        self._timings = timings
        self._tick_in: float | None = None  # touched by the thread only
        self._marks: dict[UUID, Marks] = {}  # of turns that are traced
        self._waiting: dict[UUID, list[str]] = {}  # with the task ids that somebody waits for
        self._others: list[_Task] = []
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._app: Any = None  # touched by the thread only
        self._closing = False
        self._busy = False
        self._pausing = False
        self.sent = 0
        self.dropped = 0

    def hint(
        self, session_id: UUID, *, task_id: str | None = None, marks: Marks | None = None
    ) -> None:
        """Note that a session may have work, and return at once.

        With a `task_id` of the caller's the task's result is kept for it in the Redis backend.
        `marks` are those of the turn that it is about, whose trace the task belongs to.
        """
        with self._wake:
            if len(self._waiting) >= _MOST_WAITING and session_id not in self._waiting:
                self.dropped += 1
                return
            awaited = self._waiting.setdefault(session_id, [])
            if task_id is not None:
                awaited.append(task_id)
            if marks is not None and marks.context is not None:
                self._marks[session_id] = marks
            self._rouse()

    def send(self, task: Signature, *, unless: Callable[[], bool] | None = None) -> bool:
        """Have a task sent that is no hint, ahead of all hints, and return at once.

        `unless` is asked in the background, just before: where it is true, the task is not
        needed any more. False where the broker is away or the process ends: nothing will come
        of it.
        """
        with self._wake:
            if self._pausing or len(self._others) >= _MOST_WAITING:
                self.dropped += 1
                return False
            self._others.append((task, unless))
            self._rouse()
            return bool(self._others)

    def _rouse(self) -> None:
        # A thread does not survive a fork: the child starts its own with its first hint.
        if self._thread is None or not self._thread.is_alive():
            self._start()
        self._wake.notify_all()

    def forked(self) -> None:
        """Start afresh in a forked child: what was waiting is its parent's to send.

        The condition is made anew, since the parent's thread may have held its lock.
        """
        self._wake = threading.Condition()
        self._waiting, self._others, self._marks = {}, [], {}
        self._thread = None
        self._app = None
        self._tick_in = None
        self._busy = self._closing = self._pausing = False

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="afterturn-dispatch", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # a process that ends starts no more threads
            self._drop()
        else:
            self._thread = thread

    def _drop(self) -> None:
        self.dropped += len(self._waiting) + len(self._others)
        self._waiting, self._others, self._marks = {}, [], {}

    def drain(self, timeout: float) -> bool:
        """Wait until no hint is waiting, at most `timeout` seconds; tell whether that is so."""
        with self._wake:
            return self._wake.wait_for(
                lambda: not self._waiting and not self._others and not self._busy, timeout
            )

    def close(self, timeout: float = 2.0) -> None:
        """Send what is waiting and end the thread, within `timeout` seconds in all."""
        if self._thread is None:
            return
        deadline = time.monotonic() + timeout
        self.drain(timeout)
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        self._thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        while (waiting := self._next()) is not None:
            if waiting and not self._send(waiting):
                self._pause()
            with self._wake:
                self._busy = False
                self._wake.notify_all()
            if self._timings is not None:
                self._tick_in = self._timings.tick()
        if self._timings is not None:
            self._timings.end()
        if self._app is not None:
            self._app.close()
            self._app = None

    def _next(self) -> list[_Task] | None:
        """Wait for what is to be sent, or for the time to tell of timings; None at the end."""
        with self._wake:
            self._wake.wait_for(
                lambda: self._waiting or self._others or self._closing, self._tick_in
            )
            waiting, self._waiting = self._waiting, {}
            traced, self._marks = self._marks, {}
            hints, self._others = self._others, []
            self._busy = bool(waiting or hints)
            over = self._closing and not self._busy
        for session_id, awaited in waiting.items():
            # A task that somebody waits for is as good a hint as one that nobody does.
            ids: list[str | None] = [*awaited] or [None]
            headers = self._headers(traced.get(session_id))
            hints += [
                (replace(sync_session(session_id, task_id=task_id), headers=headers), None)
                for task_id in ids
            ]
        return None if over else hints

    def _headers(self, marks: Marks | None) -> dict[str, str]:
        return self._timings.headers(marks) if self._timings and marks else {}

    def _send(self, waiting: list[_Task]) -> bool:
        for place, (task, unless) in enumerate(waiting):
            try:
                if unless is not None and unless():
                    continue
                self._app = self._app or self._make_app()
                began = time.perf_counter_ns()
                send(self._app, task)
                self.sent += 1
                if self._timings is not None:
                    self._timings.published(time.perf_counter_ns() - began)
            except Exception as error:  # noqa: BLE001 - whatever the broker's client raises, a hint may be lost
                self.dropped += len(waiting) - place
                log.warning("hints not sent, the relay will find them: %s", error)
                return False
        return True

    def _pause(self) -> None:
        """Let hints come and go for a while, rather than try a broker that is away."""
        until = time.monotonic() + _PAUSE
        with self._wake:
            self._busy = False
            self._pausing = True
            self._wake.notify_all()
            while not self._closing and (left := until - time.monotonic()) > 0:
                self._drop()
                self._wake.notify_all()
                self._wake.wait(left)
            self._pausing = False

    def _make_app(self) -> Any:
        # Celery is imported here, in the background: an agent starts without waiting for it.
        from celery import Celery

        app = Celery("afterturn-agent", set_as_current=False)
        # Said here too: CELERY_RESULT_BACKEND in the environment, which may be another project's,
        # comes before what the configuration says.
        app.backend_cls = NO_BACKEND
        app.conf.update(publisher_config(self._redis_url))
        return app
