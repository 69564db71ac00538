"""Timings in workers: how long each step took, counted and told to the fleet.

What is measured is added every few seconds, by a thread of its own, to what all workers measured;
it is no truth, and a Redis that is away costs no task anything.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from afterturn_models.timings import FLUSH_SECONDS, WORKER, Flusher, StageTimes
from afterturn_worker import tracing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from afterturn_models.settings import Settings

CLAIM, POST, SETTLE, HTTP = "claim", "post", "settle", "http"

times = StageTimes()
os.register_at_fork(after_in_child=times.forked)


class Sharing(threading.Thread):
    """Adds what this process measured to its fleet's, until it is stopped."""

    def __init__(self, redis_url: str) -> None:
        super().__init__(name="afterturn-timings", daemon=True)
        self.pid = os.getpid()
        self._flusher = Flusher(redis_url, WORKER)
        self._stopping = threading.Event()

    def run(self) -> None:
        """Flush every few seconds, and once more at the end."""
        while not self._stopping.wait(FLUSH_SECONDS):
            self._flusher.flush(times)
        self._flusher.flush(times)
        self._flusher.close()

    def stop(self) -> None:
        """Have the last flushed, within a moment."""
        self._stopping.set()
        self.join(2.0)


_redis_url: str | None = None
_sharing: Sharing | None = None
_lock = threading.Lock()


def start(settings: Settings) -> None:
    """Say where to share; the thread that does begins with the first task, after any fork."""
    global _redis_url  # noqa: PLW0603 - one a process, as what it is said of
    _redis_url = settings.redis_url
    tracing.start(settings)


def stop() -> None:
    """Share what is left, and export the last spans."""
    global _sharing
    ended, _sharing = _sharing, None
    if ended is not None and ended.pid == os.getpid():
        ended.stop()
    tracing.stop()


@contextmanager
def measured(stage: str, **attributes: str | int) -> Iterator[Any]:
    """Measure what is done inside, or in the function that this decorates.

    Where the task is traced it becomes a span with these `attributes`, which is given; else None.
    """
    began = perf_counter_ns()
    try:
        with tracing.step(stage, **attributes) as span:
            yield span
    finally:
        times.note(stage, perf_counter_ns() - began)


def share() -> None:
    """Have a thread share, in whichever process tasks run: none survives a fork."""
    global _sharing  # noqa: PLW0603 - one a process
    if _redis_url is None or (_sharing is not None and _sharing.pid == os.getpid()):
        return
    with _lock:
        if _sharing is None or _sharing.pid != os.getpid():
            _sharing = Sharing(_redis_url)
            _sharing.start()


def _forked() -> None:
    """Give a child a free lock: another thread may have held it at the fork, and never lets go."""
    global _lock  # noqa: PLW0603 - one a process, as what it guards
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_forked)
