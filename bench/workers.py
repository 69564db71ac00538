"""Celery workers in processes of their own, started as a user starts them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from bench.child import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Worker:
    """`celery -A APP worker --pool threads`."""

    def __init__(
        self, app: str, name: str, env: Mapping[str, str], folder: Path, threads: int
    ) -> None:
        self.node = f"{name}@bench"
        self._log = folder / f"{name}-{os.getpid()}.log"
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", app, "worker", "--hostname", self.node]
                + ["--pool", "threads", "--concurrency", str(threads)]
                + ["--without-mingle", "--without-gossip", "--loglevel", "WARNING"],
                env={**os.environ, **env, "PYTHONPATH": str(ROOT)},
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process' id."""
        return self._process.pid

    def wait_for_ping(self, redis_url: str, within: float = 40.0) -> None:
        """Wait until the worker answers on a Redis broker; raises TimeoutError, with its log."""
        from celery import Celery

        app: Any = Celery("ping", broker=redis_url, set_as_current=False)
        deadline = time.monotonic() + within
        with app:
            while not app.control.ping([self.node], timeout=0.5):
                if self.alive() and time.monotonic() > deadline:
                    raise TimeoutError(f"no answer of {self.node}:\n{self.log()[-2000:]}")

    def alive(self) -> bool:
        """Tell that it runs; raises RuntimeError, with the end of its log, where it has ended."""
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.node} ended:\n{self.log()[-2000:]}")
        return True

    def log(self) -> str:
        """Give what it has logged."""
        return self._log.read_text(errors="replace")

    def stop(self) -> None:
        """End it as a supervisor would."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
