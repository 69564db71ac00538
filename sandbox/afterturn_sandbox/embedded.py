"""Starts and stops one server of the sandbox on a data folder; Postgres and Valkey build on it."""

import atexit
import contextlib
import os
import signal
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from afterturn_sandbox.errors import SandboxError, explained
from afterturn_sandbox.identity import Signals
from afterturn_sandbox.ledger import Ledger, stop_run
from afterturn_sandbox.ports import free_port
from afterturn_sandbox.private_files import open_log, tail, write_private

_PORT_ATTEMPTS = 5
_PORT_TAKEN = "Address already in use"
_POLL = 0.02


class EmbeddedServer(ABC):
    """A server of our own on 127.0.0.1, over a data folder that survives it.

    At most one process runs it on a folder. Its port is that of the former run where it is still
    free. It is stopped by `stop`, at the end of a `with`, or when this process exits; what a kill
    -9 of this process leaves is ended by the next start, or by `stop_leftovers`.
    """

    name: ClassVar[str]
    signals: ClassVar[Signals]

    def __init__(self, data_dir: Path, *, start_timeout: float = 60.0) -> None:
        self.data_dir = Path(data_dir).expanduser().absolute()
        self.start_timeout = start_timeout
        self.log_path = self.data_dir / f"{self.name.lower()}.log"
        self._ledger: Ledger | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._log_from = 0
        self._guard = threading.RLock()
        self._owner = os.getpid()

    def start(self) -> str:
        """Start the server, wait until it answers, and return its URL; running, only the latter.

        Raises SandboxError: the folder is in use, unusable or made by another version, the
        programs are missing, or the server gave up (the end of its log is quoted).
        """
        with self._guard, explained(f"{self.name} cannot start", self.data_dir):
            if self._ledger is not None and self.alive:
                return self.url
            self.stop()
            self._owner = os.getpid()
            self._ledger = Ledger.claim(self._ledger_path, self.name, self.signals)
            try:
                self._prepare()
                self._launch()
            except BaseException:
                self.stop()
                raise
            atexit.register(self.stop)
            return self.url

    def stop(self) -> None:
        """Stop the server in good order, by force if it takes too long; harmless if it is down."""
        # A process forked from the owner leaves the owner's server alone.
        if os.getpid() != self._owner:
            return
        with self._guard:
            atexit.unregister(self.stop)
            if self._process is not None:
                self._end(self._process)
                self._process = None
            if self._ledger is not None:
                self._ledger.end_strays()
                self._ledger.remove(self.name)
                self._ledger.release()
                self._ledger = None

    def stop_leftovers(self) -> bool:
        """End whatever runs on this folder, with the process that holds it; say if any did.

        Raises SandboxError if it cannot be ended.
        """
        self.stop()
        return stop_run(self._ledger_path, self.name)

    @property
    def alive(self) -> bool:
        """Whether the process of the server that was started here still runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The number of the server's process, None before the start and after the stop."""
        return None if self._process is None else self._process.pid

    @property
    def port(self) -> int:
        """The port on 127.0.0.1; raises SandboxError before the start."""
        if self._process is None:
            raise SandboxError(f"{self.name} on {self.data_dir} was not started; call start()")
        return self._port

    @property
    @abstractmethod
    def url(self) -> str:
        """The URL, with its password; raises SandboxError before the start."""

    @abstractmethod
    def _prepare(self) -> None:
        """Find the programs and make the data folder ready; a former run has been ended."""

    @abstractmethod
    def _command(self, port: int) -> list[str]:
        """Return the command line of a server on `port`; write what it reads before."""

    @abstractmethod
    def _answers(self) -> bool:
        """Ask the server, as a client would, whether it takes work."""

    def _spawn_arguments(self) -> dict[str, Any]:
        """Return further arguments to Popen."""
        return {}

    def _environment(self) -> dict[str, str]:
        """Return the server's environment: ours, with the mark by which it is found again."""
        assert self._ledger is not None
        return {**os.environ, "LC_ALL": "C", **self._ledger.environment}

    def _launch(self) -> None:
        """Start on the former port or a free one; on another where someone took it meanwhile."""
        port_file = self.data_dir / "port"
        preferred = _read_port(port_file)
        for _ in range(_PORT_ATTEMPTS):
            self._port = free_port(preferred)
            self._spawn()
            if self._wait_until_it_answers():
                write_private(port_file, str(self._port))
                return
            preferred = None
        raise SandboxError(
            f"{self.name} cannot start: {_PORT_ATTEMPTS} free ports were taken by others before "
            "it could listen; start it again"
        )

    def _spawn(self) -> None:
        """Start the process in a session of its own, so that Ctrl-C reaches only us."""
        assert self._ledger is not None
        command = self._command(self._port)
        with open_log(self.log_path) as log:
            self._log_from = log.tell()
            self._process = subprocess.Popen(  # noqa: S603 - our own command line
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                env=self._environment(), start_new_session=True, **self._spawn_arguments(),
            )  # fmt: skip
        self._ledger.add(self.name, self._process.pid)

    def _wait_until_it_answers(self) -> bool:
        """Wait; return False if only the port was at fault, raise SandboxError for all else."""
        deadline = time.monotonic() + self.start_timeout
        while self.alive and time.monotonic() < deadline:
            if self._answers():
                return True
            time.sleep(_POLL)
        said = tail(self.log_path, self._log_from)
        if not self.alive and _PORT_TAKEN in tail(self.log_path, self._log_from, lines=50):
            return False
        how = "gave no answer within its time" if self.alive else "ended at once"
        cure = "free some space" if "No space left on device" in said else f"see {self.log_path}"
        raise SandboxError(
            f"{self.name} cannot start on {self.data_dir}: it {how}; {cure}, which ends in\n{said}"
        )

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Send each signal in turn, until the process is gone."""
        for number, seconds in self.signals:
            if process.poll() is not None:
                return
            if number == signal.SIGKILL:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
            else:
                process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(seconds)

    @property
    def _ledger_path(self) -> Path:
        return self.data_dir / "run.json"

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()


def _read_port(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return None
