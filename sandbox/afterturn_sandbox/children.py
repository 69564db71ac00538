"""One process under supervision: what it is, and its way from start through restarts to its end."""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from afterturn_sandbox.errors import explained
from afterturn_sandbox.identity import ProcessId
from afterturn_sandbox.private_files import open_log, tail

_STEADY = 60.0
_FIRST_DELAY = 0.5
_LONGEST_DELAY = 30.0


@dataclass(frozen=True)
class Supervised:
    """What to run, and how to tell that it works.

    `env` is added to this process's environment; `ready` is asked repeatedly, from a thread, and
    must come back within a few seconds; what it raises counts as no. Lines of the log that match
    `problems` are reported. A stop waits `grace` seconds after SIGTERM: longer than the longest
    request of the child, or it is cut short.
    """

    name: str
    argv: Sequence[str]
    log_path: Path
    ready: Callable[[], bool]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    ready_within: float = 60.0
    grace: float = 10.0
    problems: re.Pattern[str] | None = None


class State(StrEnum):
    """Where a child stands."""

    NEW = "new"
    STARTING = "starting"
    READY = "ready"
    WAITING = "waiting"
    ENDED = "ended"


class Child:
    """A supervised process; one thread at a time drives it."""

    def __init__(self, spec: Supervised, batch: int = 0) -> None:
        self.spec = spec
        self.state = State.NEW
        self.watched = False
        self.batch = batch  # children of one batch are started and stopped side by side
        self.since = 0.0
        self.log_from = 0
        self._read_to = 0
        self._failures = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The number of the running process, or None."""
        return None if self._process is None else self._process.pid

    def spawn(self, marks: Mapping[str, str]) -> int:
        """Start the process in a group of its own and return its number.

        Raises SandboxError if it cannot be executed, or its log not written.
        """
        spec = self.spec
        with (
            explained(f"{spec.name} cannot start", spec.log_path.parent),
            open_log(spec.log_path) as log,
        ):
            self.log_from = self._read_to = log.tell()
            self._process = subprocess.Popen(  # noqa: S603 - the caller's command line
                list(spec.argv), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=spec.cwd, env={**os.environ, **spec.env, **marks}, start_new_session=True,
            )  # fmt: skip
        self._become(State.STARTING)
        return self._process.pid

    def exited(self) -> int | None:
        """Return the exit status if the process is gone, having ended what it left in its group.

        The group goes first: once the process is reaped, its number may be another's.
        """
        process = self._process
        if process is None or ProcessId.of(process.pid) is not None:
            return None
        _kill_group(process)
        return process.wait()

    def answers(self) -> bool:
        """Ask whether it works, and note that it does."""
        try:
            works = self.spec.ready()
        except Exception:  # noqa: BLE001 - a client that cannot connect raises anything at all
            works = False
        if works and self.state is State.STARTING:
            self._become(State.READY)
        return works

    def late(self) -> bool:
        """Say whether it was given enough time to answer and did not."""
        return (
            self.state is State.STARTING and time.monotonic() - self.since > self.spec.ready_within
        )

    def give_up_for_now(self) -> float:
        """Note that it died; return the seconds until the next attempt, which double each time."""
        if self.state is State.READY and time.monotonic() - self.since > _STEADY:
            self._failures = 0
        delay = min(_FIRST_DELAY * 2.0**self._failures, _LONGEST_DELAY)
        self._failures = min(self._failures + 1, 16)
        self._process = None
        self._become(State.WAITING)
        # `since` lies ahead here: it is when the wait is over.
        self.since += delay
        return delay

    def due(self) -> bool:
        """Say whether the wait before the next attempt is over."""
        return self.state is State.WAITING and time.monotonic() >= self.since

    def ask_to_end(self) -> None:
        """Send SIGTERM, once: a second one would make some programs drop what they have begun."""
        process = self._process
        if process is None or self.state is State.ENDED:
            return
        self._become(State.ENDED)
        # Not Popen.send_signal, which would reap it, and with it the number of its group.
        if process.returncode is None and (identity := ProcessId.of(process.pid)):
            identity.send(signal.SIGTERM)

    def end(self) -> None:
        """Stop it: SIGTERM, its grace, then SIGKILL for its group; harmless if it is gone."""
        self.ask_to_end()
        process, self._process = self._process, None
        if process is None:
            self._become(State.ENDED)
            return
        if process.returncode is None:
            _wait_unreaped(process.pid, self.since + self.spec.grace)
        _kill_group(process)
        process.wait()

    def problem_lines(self) -> Iterator[str]:
        """Yield the whole lines written since the last call that match the spec's pattern."""
        pattern = self.spec.problems
        if pattern is None:
            return
        try:
            with self.spec.log_path.open("rb") as log:
                log.seek(self._read_to)
                chunk = log.read(1_000_000)
        except OSError:
            return
        end = chunk.rfind(b"\n") + 1
        self._read_to += end
        for line in chunk[:end].decode(errors="replace").splitlines():
            if pattern.search(line):
                yield line

    def last_words(self) -> str:
        """Return the end of what the present run wrote."""
        return tail(self.spec.log_path, self.log_from)

    def _become(self, state: State) -> None:
        self.state = state
        self.since = time.monotonic()


def _kill_group(leader: subprocess.Popen[bytes]) -> None:
    """Kill what runs in the group of a process that is not reaped yet."""
    if leader.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader.pid, signal.SIGKILL)


def _wait_unreaped(pid: int, deadline: float) -> None:
    """Wait for the end of `pid` and leave it unreaped, so that its group keeps its number."""
    while ProcessId.of(pid) is not None and time.monotonic() < deadline:
        time.sleep(0.02)
