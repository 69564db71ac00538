"""Something done every few seconds in a thread of its own, in every worker: a Celery bootstep."""

from __future__ import annotations

import random
import threading
from typing import Any

import structlog
from celery import bootsteps

from afterturn_models.errors import AfterturnError

log = structlog.get_logger("afterturn.worker")


class Periodic(bootsteps.StartStopStep):
    """Base of the relay and the heartbeat: `tick` is called every `seconds`, with some jitter.

    It starts after the pool, so that no forked child inherits its thread or its connections. A
    tick that fails is logged and comes again.
    """

    requires = ("celery.worker.components:Pool",)
    label = "Periodic"
    worker: Any  # Celery's WorkController

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.worker = parent

    def seconds(self) -> float:
        """Give the time between two ticks."""
        raise NotImplementedError

    def tick(self) -> None:
        """Do it once."""
        raise NotImplementedError

    def start(self, parent: Any) -> None:
        """Begin to tick."""
        self._thread = threading.Thread(
            target=self._run, name=f"afterturn-{self.label}", daemon=True
        )
        self._thread.start()

    def stop(self, parent: Any) -> None:
        """Stop ticking; a tick under way is bounded by its own timeouts."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    terminate = stop

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.tick()
            except AfterturnError as error:
                log.warning("tick_failed", step=self.label, error=str(error))
            except Exception:
                # Nobody waits for this thread: a defect is logged whole, and the next tick comes.
                log.exception("tick_failed", step=self.label)
            self._stopping.wait(self.seconds() * random.uniform(0.8, 1.0))  # noqa: S311 - spread, not secrecy
