"""`afterturn up` and `down`: the stack in the foreground or behind, told of in a table."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from afterturn_models.settings import HOSTED_HONCHO, load
from afterturn_models.sources import home, stack_file
from afterturn_sandbox.announcement import announced_by, prepare
from afterturn_sandbox.errors import SandboxError
from afterturn_sandbox.private_files import open_log, tail
from afterturn_sandbox.processes import Event, EventKind, stop_supervised
from afterturn_sandbox.stack import (
    STOPPED_WITHIN,
    Part,
    Stack,
    StackOptions,
    state_path,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

_QUIET = (EventKind.READY, EventKind.STOPPED)
_DETACH_WITHIN = 120.0


def options_from_settings(
    *, workers: int, concurrency: int, flower: bool, flower_port: int | None
) -> StackOptions:
    """Take what is configured from outside; what an earlier stack said of itself does not count."""
    loaded = load()
    former = str(stack_file())

    def outside(name: str) -> str | None:
        value: str | None = getattr(loaded.settings, name)
        return value if loaded.origins.get(name) != former else None

    honcho = outside("honcho_url") or (HOSTED_HONCHO if _has_key() else None)
    return StackOptions(
        home=home(),
        database_url=outside("database_url"),
        redis_url=outside("redis_url"),
        honcho_url=honcho,
        workers=workers,
        concurrency=concurrency,
        flower=flower,
        flower_port=flower_port,
    )


def _has_key() -> bool:
    # `up` is the workers' supervisor: it hands the key to them in their environment and asks
    # only whether there is one.
    from afterturn_worker.honcho.key import honcho_key

    return honcho_key() is not None


def _ends() -> list[signal.Signals]:
    """Give the signals that end us: not the hangup of a terminal where `nohup` ignores it."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([] if ignored else [signal.SIGHUP])]


@contextmanager
def _handled(handler: Callable[..., object] | signal.Handlers) -> Iterator[None]:
    """Have `handler` for the signals that end us, for as long as the block lasts."""
    former = {number: signal.signal(number, handler) for number in _ends()}
    try:
        yield
    finally:
        for number, before in former.items():
            signal.signal(number, before)


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C and SIGTERM set, for as long as the block lasts."""
    stopping = threading.Event()
    with _handled(lambda *_: stopping.set()):
        yield stopping


@contextmanager
def interrupts_raise() -> Iterator[None]:
    """Make SIGTERM end the block as Ctrl-C does, so that what was started is stopped again."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with _handled(interrupt):
        yield


def undisturbed() -> AbstractContextManager[None]:
    """Let no further signal cut a stop short: it is bounded, and half of it would leave orphans."""
    return _handled(signal.SIG_IGN)


def run(options: StackOptions) -> None:
    """Run the stack until Ctrl-C or SIGTERM."""
    console = Console(stderr=True)
    stack = Stack(options, lambda event: report(console, event))
    with interrupts_raise():
        try:
            console.print("Starting…")
            stack.start()
            _serve(stack, console)
        finally:
            with undisturbed():
                stack.stop()
        console.print("Stopped.")


def _serve(stack: Stack, console: Console) -> None:
    with stopped_by_signals() as stopping:
        console.print(table(stack.parts))
        where = escape(str(stack.options.home))
        console.print(f"Ready. AFTERTURN_HOME is {where}. Ctrl-C stops it.")
        stack.look_after(stopping)
        console.print("Stopping: what workers have begun is finished first…")


def detach(options: StackOptions) -> None:
    """Start `up` in the background, and come back when everything answers."""
    prepare(options.home)
    log = options.home / "logs" / "up.log"
    with interrupts_raise(), open_log(log) as output:
        began = output.tell()
        process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "afterturn", *_words(options)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=options.home,  # not the caller's, whose files might be taken for modules
            env={**os.environ, "AFTERTURN_HOME": str(options.home)},
            start_new_session=True,
        )
        try:
            _wait_until_announced(process, log, began)
        except BaseException:
            with undisturbed():
                process.terminate()
                process.wait(STOPPED_WITHIN)
            raise
    Console(stderr=True).print(
        f"Running in the background, pid {process.pid}; log in {escape(str(log))}."
        "\nafterturn status shows it, afterturn down stops it.",
        soft_wrap=True,
    )


def _wait_until_announced(process: subprocess.Popen[bytes], log: Path, began: int) -> None:
    deadline = time.monotonic() + _DETACH_WITHIN
    while announced_by(stack_file()) != process.pid:
        if process.poll() is not None:
            raise SandboxError(_reason(log, began))
        if time.monotonic() > deadline:
            raise SandboxError(f"it did not start within {_DETACH_WITHIN:.0f} s; see {log}")
        time.sleep(0.1)


def _words(options: StackOptions) -> Sequence[str]:
    words = ["up", f"--workers={options.workers}", f"--concurrency={options.concurrency}"]
    words.append("--flower" if options.flower else "--no-flower")
    return [*words, *([f"--flower-port={options.flower_port}"] if options.flower_port else [])]


def _reason(log: Path, began: int) -> str:
    """Return what the command in the background said of its failure, or the end of its log."""
    said = tail(log, began, lines=20)
    _, marker, reason = said.rpartition("afterturn: ")
    return reason if marker else f"it did not start; see {log}, which ends in\n{said}"


def stop() -> bool:
    """Stop the stack under this home; tell whether anything ran."""
    from afterturn_sandbox.postgres import EmbeddedPostgres
    from afterturn_sandbox.valkey import EmbeddedValkey

    folder = home()
    if not folder.is_dir():
        return False
    found = stop_supervised(state_path(folder), STOPPED_WITHIN)
    for server in (EmbeddedValkey(folder / "valkey"), EmbeddedPostgres(folder / "postgres")):
        if server.data_dir.is_dir():
            found = server.stop_leftovers() or found
    stack_file().unlink(missing_ok=True)
    return found


def report(console: Console, event: Event) -> None:
    """Stream what a person should know: problems and deaths; starts and stops only in the table."""
    if event.kind in _QUIET:
        return
    colour = "red" if event.kind in {EventKind.DIED, EventKind.PROBLEM} else "dim"
    console.print(f"[{colour}]{event.name}: {event.kind} {escape(event.detail)}[/{colour}]")


def table(parts: Sequence[Part]) -> Table:
    """Lay out what runs where."""
    laid = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("part", "where", ""):
        laid.add_column(heading)
    for part in parts:
        laid.add_row(part.name, part.where, f"[dim]{escape(part.kind)}[/dim]")
    return laid
