"""Keeps the processes of `up` running: starts, restarts and stops them, and leaves none behind.

Each runs in a session of its own, so that Ctrl-C in the terminal reaches only the supervisor,
which then stops them in order.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

from afterturn_sandbox.children import Child, State, Supervised
from afterturn_sandbox.errors import SandboxError
from afterturn_sandbox.ledger import Ledger, stop_run

__all__ = ["Event", "EventKind", "Supervised", "Supervisor", "stop_supervised"]

_log = logging.getLogger(__name__)
_WHAT = "the stack"
_POLL = 0.1


class EventKind(StrEnum):
    """What a supervisor reports."""

    STARTING = "starting"
    READY = "ready"
    DIED = "died"
    RESTARTING = "restarting"
    PROBLEM = "problem"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Event:
    """Something that happened to the child `name`; `detail` is for a person to read."""

    kind: EventKind
    name: str
    detail: str = ""


def _silent(event: Event) -> None:
    """Report nothing."""


class Supervisor:
    """Children that are started again when they die, until `stop`.

    `state_path` remembers them: the next supervisor on it, or `stop_supervised`, ends what a kill
    -9 of this one left, and nothing that this one did not start. `on_event` is called from the
    thread that starts or stops, and from one that watches; what it raises is not caught there.
    """

    def __init__(self, state_path: Path, on_event: Callable[[Event], None] = _silent) -> None:
        self.state_path = state_path
        self._on_event = on_event
        self._children: list[Child] = []
        self._batch = 0
        self._ledger: Ledger | None = None
        self._stopping = threading.Event()
        self._spawning = threading.RLock()
        self._watcher: threading.Thread | None = None

    def open(self) -> None:
        """Claim the state file and end what a former run left; `start` does it if need be.

        Raises SandboxError if another living supervisor has it, or something cannot be ended.
        """
        if self._ledger is None:
            self._ledger = Ledger.claim(self.state_path, _WHAT)
            self._stopping.clear()

    def start(self, *specs: Supervised) -> None:
        """Start children side by side, wait until each answers, and keep them running.

        Raises SandboxError, with the end of its log, if one exits or does not answer in time; then
        none of them stays.
        """
        names = [*(child.spec.name for child in self._children), *(spec.name for spec in specs)]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise SandboxError(f"{twice} is already supervised; give each child its own name")
        self.open()
        self._batch += 1
        batch = [Child(spec, self._batch) for spec in specs]
        try:
            for child in batch:
                self._report(EventKind.STARTING, child)
                self._spawn(child)
            self._wait_until_ready(batch)
        except BaseException:
            self._end_together([child for child in batch if child in self._children])
            raise
        for child in batch:
            self._watch(child)

    def stop(self) -> None:
        """Stop all children, the last started first; harmless when nothing runs.

        Those that were started together are asked together: no worker's last request waits for
        another's.
        """
        self._stopping.set()
        watcher = self._watcher
        if watcher is not None and watcher is not threading.current_thread():
            watcher.join()
        self._watcher = None
        while children := list(self._children):
            last = children[-1].batch
            self._end_together([child for child in children if child.batch == last])
        with self._spawning:  # two may stop at once; one of them lets go of the ledger
            ledger, self._ledger = self._ledger, None
        if ledger is not None:
            ledger.end_strays()
            ledger.release()

    def pids(self) -> dict[str, int]:
        """Return the processes that run, by name."""
        return {child.spec.name: child.pid for child in self._children if child.pid is not None}

    def _spawn(self, child: Child) -> None:
        """Start the process and write it down; a supervisor that is stopping starts none."""
        with self._spawning:
            if self._stopping.is_set() or self._ledger is None:
                raise SandboxError(f"{child.spec.name} was not started: {_WHAT} is stopping")
            pid = child.spawn(self._ledger.environment)
            self._ledger.add(child.spec.name, pid)
            if child not in self._children:
                self._children.append(child)

    def _wait_until_ready(self, batch: Sequence[Child]) -> None:
        waiting = list(batch)
        while waiting:
            for child in list(waiting):
                if child.answers():
                    waiting.remove(child)
                    self._report(EventKind.READY, child)
                else:
                    _check_alive(child)
            if waiting and self._stopping.wait(_POLL):
                raise SandboxError(f"{waiting[0].spec.name} was not started: {_WHAT} is stopping")

    def _end_together(self, batch: Sequence[Child]) -> None:
        for child in batch:
            child.ask_to_end()
        for child in reversed(batch):
            self._end(child)

    def _end(self, child: Child) -> None:
        """Stop one child and forget it."""
        child.end()
        with self._spawning:
            if child in self._children:
                self._children.remove(child)
            if self._ledger is not None:
                self._ledger.remove(child.spec.name)
        self._report(EventKind.STOPPED, child)

    def _watch(self, child: Child) -> None:
        """Look after a child from now on."""
        child.watched = True
        if self._watcher is None:
            self._watcher = threading.Thread(
                target=self._look_after_all, name="afterturn-supervisor", daemon=True
            )
            self._watcher.start()

    def _look_after_all(self) -> None:
        while not self._stopping.wait(_POLL):
            for child in [child for child in self._children if child.watched]:
                for line in child.problem_lines():
                    self._report(EventKind.PROBLEM, child, line)
                self._look_after(child)

    def _look_after(self, child: Child) -> None:
        """See whether a child is due again, died, or came back."""
        if child.state is State.WAITING:
            if child.due():
                self._restart(child)
        elif (status := child.exited()) is not None:
            self._died(child, f"exit status {status}")
        elif child.state is State.STARTING:
            if child.answers():
                self._report(EventKind.READY, child)
            elif child.late():
                child.end()
                self._died(child, f"no answer within {child.spec.ready_within:.0f} s")

    def _restart(self, child: Child) -> None:
        self._report(EventKind.RESTARTING, child)
        try:
            self._spawn(child)
        except SandboxError as error:
            # A disk that is full now may not be at the next attempt.
            if not self._stopping.is_set():
                self._died(child, str(error))

    def _died(self, child: Child, how: str) -> None:
        """Report a death, and plan the next attempt."""
        delay = child.give_up_for_now()
        said = child.last_words().splitlines()[-1:]
        why = "; ".join([how, *said])
        self._report(EventKind.DIED, child, f"{why}; next attempt in {delay:g} s")

    def _report(self, kind: EventKind, child: Child, detail: str = "") -> None:
        try:
            self._on_event(Event(kind, child.spec.name, detail))
        except Exception:  # noqa: BLE001 - a display that fails must not end the watch
            _log.exception("reporting %s of %s failed", kind, child.spec.name)

    def __enter__(self) -> Self:
        """Claim the state file."""
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop all."""
        self.stop()


def stop_supervised(state_path: Path, patience: float = 60.0) -> bool:
    """End, from another process, the supervisor on `state_path` and all that it started.

    The supervisor gets SIGTERM, so that it stops its children in order, and `patience` seconds;
    one that was killed leaves children, which are ended. Returns whether anything ran. Raises
    SandboxError if something does not end.
    """
    return stop_run(state_path, _WHAT, patience)


def _check_alive(child: Child) -> None:
    """Raise SandboxError for a child that is gone, or whose time to answer is over."""
    name = child.spec.name
    if (status := child.exited()) is not None:
        raise SandboxError(f"{name} ended at once{_how(status, child)}")
    if child.late():
        waited = f"within {child.spec.ready_within:.0f} s"
        raise SandboxError(f"{name} gave no answer {waited}{_how(None, child)}")


def _how(status: int | None, child: Child) -> str:
    """Return the exit status, where to look, and the end of the log."""
    ended = "" if status is None else f" with status {status}"
    return f"{ended}; see {child.spec.log_path}, which ends in\n{child.last_words()}"
