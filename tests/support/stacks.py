"""`afterturn up`, `down` and `demo` as a user runs them, and what of theirs is still alive."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psutil

from support.waiting import eventually

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator, Mapping
    from pathlib import Path

AFTERTURN = [sys.executable, "-m", "afterturn"]
MARK = "STACK_UNDER_TEST"  # not ours, so that nothing strips it from an environment
_OURS = ("AFTERTURN_", "HONCHO_", "CELERY_")


class Installation:
    """A home folder and an environment of its own, in which commands run."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.home = folder / ".afterturn"
        self.folder = folder
        self.mark = uuid.uuid4().hex
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        self.env = {
            **kept,
            "HOME": str(folder),
            "AFTERTURN_HOME": str(self.home),
            MARK: self.mark,
            "COLUMNS": "200",
            **env,
        }

    def run(
        self, *words: str, prefix: tuple[str, ...] = (), env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        return subprocess.run(
            [*prefix, *AFTERTURN, *words],
            env={**self.env, **(env or {})},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=150,
        )

    def python(self, script: str, *words: str) -> str:
        """Run a Python program of an agent's here; gives what it printed."""
        done = subprocess.run(
            [sys.executable, "-c", script, *words],
            env=self.env,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    @contextmanager
    def foreground(
        self, *words: str, env: Mapping[str, str] | None = None
    ) -> Iterator[subprocess.Popen[str]]:
        """Run a command until the block ends; what it leaves by a failure is ended."""
        process = subprocess.Popen(
            [*AFTERTURN, *words],
            env={**self.env, **(env or {})},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()
            self.end_all()

    def announced(self) -> dict[str, Any]:
        """Give what a running stack says of itself; nothing where none does."""
        path = self.home / "stack.json"
        found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return found

    def alive(self) -> list[psutil.Process]:
        """Give every process that began here and still runs."""
        found = []
        for process in psutil.process_iter():
            try:
                ours = process.environ().get(MARK) == self.mark
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found

    def ends(self, within: float = 5.0) -> None:
        """Wait until nothing that began here runs any more."""
        deadline = time.monotonic() + within
        while living := self.alive():
            assert time.monotonic() < deadline, [_line(process) for process in living]
            time.sleep(0.05)

    def end_all(self) -> None:
        """End by force whatever a failed test left."""
        for process in self.alive():
            process.kill()


def wait_for(process: subprocess.Popen[str], line: str) -> str:
    """Read a command's output until `line` is in it; gives what was read."""
    read = ""
    assert process.stdout is not None
    for said in process.stdout:
        read += said
        if line in said:
            return read
    raise AssertionError(f"it ended without {line!r}:\n{read}")


def finish(process: subprocess.Popen[str], within: float = 60.0) -> tuple[int, str]:
    """Wait for a command's end; gives its exit status and the rest of what it said."""
    said, _ = process.communicate(timeout=within)
    return process.returncode, said


def send(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """Signal the command alone, as a supervisor does, not its group."""
    os.kill(process.pid, number)


def gone(pid: int) -> None:
    """Wait until `pid` runs no more."""
    eventually(lambda: not psutil.pid_exists(pid), within=15)


def _line(process: psutil.Process) -> str:
    try:
        return f"{process.pid}: {' '.join(process.cmdline())[:120]}"
    except psutil.Error:
        return str(process.pid)
