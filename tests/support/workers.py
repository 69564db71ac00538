"""Real Celery workers in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from afterturn_models.db import Database
from afterturn_models.store import workers
from support.waiting import eventually


class WorkerProcess:
    """`celery -A afterturn_worker.app worker`, as a user would start it."""

    def __init__(
        self, name: str, env: Mapping[str, str], log: Path, *options: str, concurrency: int = 4
    ) -> None:
        self.name = f"{name}@test"
        self.env = {**os.environ, **env}
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "celery",
                    "-A",
                    "afterturn_worker.app",
                    "worker",
                    "--hostname",
                    self.name,
                    "--concurrency",
                    str(concurrency),
                    "--without-mingle",
                    "--without-gossip",
                    *options,
                ],
                env=self.env,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process' id."""
        return self._process.pid

    def running(self) -> bool:
        """Tell whether it still runs."""
        return self._process.poll() is None

    def ready(self) -> WorkerProcess:
        """Wait until a beat has gone through the broker: tasks reach it."""
        database = Database(self.env["AFTERTURN_DATABASE_URL"])
        try:
            eventually(lambda: self._alive() and self._beats(database), within=40)
        finally:
            database.close()
        return self

    def kill(self) -> None:
        """End it at once, as the kernel would."""
        self._signal(signal.SIGKILL)

    def stop(self, timeout: float = 30) -> int:
        """End it as a supervisor would; gives its exit status."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
        return self._process.wait(10)

    def freeze(self) -> None:
        """Stop it where it stands."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def logs(self) -> str:
        """Give everything that it has logged."""
        return self._log.read_text(errors="replace")

    def _signal(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            os.kill(self.pid, number)
            self._process.wait(10)

    def _alive(self) -> bool:
        assert self._process.poll() is None, f"the worker ended:\n{self.logs()[-3000:]}"
        return True

    def _beats(self, database: Database) -> bool:
        with database.statement() as connection:
            found = workers.workers(connection)
        return any(w.name == self.name and w.beat_age is not None for w in found)
