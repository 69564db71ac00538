"""Tells a process from a later one with its number, and ends those that the sandbox started."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

# Signals in the order in which they are sent, each with the seconds that it is given.
Signals = Sequence[tuple[signal.Signals, float]]
TERMINATE: Signals = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))
# SIGTERM would make Postgres wait for its clients: SIGINT is its fast, SIGQUIT its immediate stop.
SIGINT_THEN_FORCE: Signals = (
    (signal.SIGINT, 30.0),
    (signal.SIGQUIT, 5.0),
    (signal.SIGKILL, 5.0),
)
_TICK = 0.02


@dataclass(frozen=True)
class ProcessId:
    """A process of this machine since its boot: its number and when it began."""

    pid: int
    began: str

    @classmethod
    def of(cls, pid: int) -> "ProcessId | None":
        """Return the living process `pid`, or None; one that only waits to be reaped is dead."""
        began = _began_linux(pid) if sys.platform == "linux" else _began_elsewhere(pid)
        return None if began is None else cls(pid, began)

    def alive(self) -> bool:
        """Say whether this very process still runs."""
        return ProcessId.of(self.pid) == self

    def send(self, number: signal.Signals, *, group: bool = False) -> None:
        """Signal this process, or the group that it leads; nothing happens if it is gone."""
        if not self.alive():
            return
        with contextlib.suppress(ProcessLookupError):
            if group and os.getpgid(self.pid) == self.pid:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)

    def describe(self) -> str:
        """Return its number and command, cut, for a message."""
        try:
            command = " ".join(psutil.Process(self.pid).cmdline())
        except psutil.Error:
            command = ""
        return f"{self.pid} ({command[:120]})" if command else str(self.pid)


def end_all(processes: Iterable[ProcessId], signals: Signals = TERMINATE) -> list[ProcessId]:
    """Send each signal in turn to those that still live and wait; return the ones that remain.

    SIGKILL goes to the whole group of a process, so that nothing it began stays behind.
    """
    living = [process for process in processes if process.alive()]
    for number, seconds in signals:
        for process in living:
            process.send(number, group=number == signal.SIGKILL)
        living = _wait(living, seconds)
        if not living:
            break
    return living


def marked(name: str, value: str) -> list[ProcessId]:
    """Return the processes, other than this one, that carry `name=value` in their environment.

    What may not be looked at is passed over.
    """
    found = []
    for process in psutil.process_iter():
        try:
            mine = process.pid != os.getpid() and process.environ().get(name) == value
        except (psutil.Error, OSError):
            continue
        if mine and (identity := ProcessId.of(process.pid)):
            found.append(identity)
    return found


def _wait(processes: list[ProcessId], seconds: float) -> list[ProcessId]:
    """Wait until all are gone or the time is over; return the living."""
    deadline = time.monotonic() + seconds
    while living := [process for process in processes if process.alive()]:
        if time.monotonic() > deadline:
            return living
        time.sleep(_TICK)
    return []


def _began_linux(pid: int) -> str | None:
    """Return boot and clock ticks: unlike a time of day, no step of the clock changes them."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command, in parentheses, may hold spaces and parentheses itself.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else f"{_boot()}:{fields[19]}"


@cache
def _boot() -> str:
    """Return the id that the kernel gave this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _began_elsewhere(pid: int) -> str | None:
    """Return the time of creation, where there is no /proc."""
    try:
        process = psutil.Process(pid)
        dead = process.status() in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}
        return None if dead else f"{process.create_time():.2f}"
    except psutil.Error:
        return None
