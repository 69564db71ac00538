"""A breaker: after a failure, a server is left alone until a probe in the background answers.

An agent whose Redis or Postgres is gone pays for that once, and not with every turn.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_EVERY = 1.0  # seconds between two probes


class Breaker:
    """Open while its server is thought to be away."""

    def __init__(self, name: str, probe: Callable[[], object]) -> None:
        """`probe` raises while the server is away; it is bounded by timeouts of its own."""
        self._name = name
        self._probe = probe
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def open(self) -> bool:
        """Tell whether the server is to be left alone."""
        # A probing thread that did not survive a fork does not keep the breaker open.
        return self._thread is not None and self._thread.is_alive()

    def trip(self) -> None:
        """Leave the server alone from now on, until a probe answers."""
        with self._lock:
            if self.open or self._closing.is_set():
                return
            thread = threading.Thread(
                target=self._run, name=f"afterturn-probe-{self._name}", daemon=True
            )
            with suppress(RuntimeError):  # a process that ends starts no more threads
                thread.start()
                self._thread = thread

    def forked(self) -> None:
        """Start afresh in a forked child, where no probe runs."""
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._thread = None

    def close(self) -> None:
        """Stop probing."""
        self._closing.set()

    def _run(self) -> None:
        while not self._closing.wait(_EVERY):
            try:
                self._probe()
            except Exception:  # noqa: BLE001, S112 - any failure means: still away
                continue
            return
