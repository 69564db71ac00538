"""The processes of a rig, each with what is done to it: stand-in, worker, agent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afterturn_sandbox.honcho.control import Control
from afterturn_sandbox.ports import free_port
from support.faults.agent import Plan, read_acks
from support.faults.lines import Line
from support.waiting import eventually
from support.workers import WorkerProcess


@dataclass(frozen=True)
class Timing:
    """The settings that decide how long a run takes, in seconds; short by default."""

    lease: float = 3.6
    request: float = 1.5
    settling: float = 1.8
    relay: float = 0.3
    chat: float = 1.5

    @property
    def back(self) -> float:
        """How long until what a killed worker had in hand is being synced again: the promise."""
        return self.lease + self.settling + 2 * self.relay

    def env(self) -> dict[str, str]:
        """Give the settings as a worker reads them."""
        return {
            f"AFTERTURN_{name.upper()}_SECONDS": str(getattr(self, name))
            for name in ("lease", "request", "settling", "relay", "chat")
        }


class StandIn:
    """The stand-in for Honcho in a process of its own; it keeps its port over a kill."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.control = Control(self.url)
        self.faults: Counter[str] = Counter()  # fired in processes that are gone
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        ready = self._folder / "honcho.json"
        ready.unlink(missing_ok=True)
        command = ["--port", str(self._port), "--data", str(self._folder / "honcho")]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "afterturn_sandbox.honcho", *command, "--ready-file", str(ready)]
        )
        eventually(ready.exists, within=30)

    def kill(self) -> None:
        """End it at once; what it had committed is kept."""
        assert self._process is not None
        self.faults += Counter(self.control.counters()["faults"])
        self._process.kill()
        self._process.wait(10)

    def fired(self) -> Counter[str]:
        """Count the faults that met a request, by kind."""
        return self.faults + Counter(self.control.counters()["faults"])

    def stop(self) -> None:
        """End it in good order."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(10)


@dataclass(eq=False)
class Worker:
    """A place in the crew: its lines stay, its process comes and goes."""

    name: str
    lines: dict[str, Line]
    env: dict[str, str]
    process: WorkerProcess
    frozen: int = 0

    def signal(self, number: signal.Signals) -> bool:
        """Signal the process that is there now; False where there is none."""
        if not self.process.running():
            return False
        os.kill(self.process.pid, number)
        return True


@dataclass(eq=False)
class Agent:
    """The agent of a run, started again for as long as its plan is not carried out."""

    command: list[str]
    env: dict[str, str]
    plan: Plan
    log: Path
    home: Path
    starts: int = 0
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        self.starts += 1
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self.command, env=self.env, stdout=output, stderr=subprocess.STDOUT
            )

    def kill(self) -> None:
        """End it at once, where it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)

    def done(self) -> bool:
        """Tell whether it has come to its end; a killed one is started again."""
        assert self._process is not None
        status = self._process.poll()
        if status == -signal.SIGKILL:
            self.start()
            return False
        assert status in {None, 0}, f"the agent failed:\n{self.log.read_text()[-3000:]}"
        return status == 0

    def stop(self) -> None:
        """End whatever runs of it."""
        if self._process is not None:
            self.kill()
            self._process.wait(10)

    def acks(self) -> list[dict[str, Any]]:
        """Give what it has acknowledged."""
        return read_acks(self.plan.acks)
