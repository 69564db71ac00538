"""`afterturn demo`: real dialogues through an agent's turns, and what became of every message."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from afterturn import Memory
from afterturn_models.db import Database
from afterturn_sandbox import dialogues as files
from afterturn_sandbox.honcho.control import Control
from afterturn_sandbox.inline import sample
from afterturn_sandbox.replay import replay
from afterturn_sandbox.stack import Stack, StackOptions
from afterturn_sandbox.up import interrupts_raise, report, stopped_by_signals, undisturbed
from afterturn_sandbox.verdict import judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from afterturn_sandbox.dialogues import Dialogue
    from afterturn_sandbox.inline import Inline
    from afterturn_sandbox.replay import Replay
    from afterturn_sandbox.verdict import Verdict

_WORKSPACE = "demo"
# Ours, Honcho's, and those that Celery, Flower and Postgres' client would take from another project.
_FOREIGN = ("AFTERTURN_", "HONCHO_", "CELERY_", "FLOWER_", "PG", "BROKER_URL", "RESULT_BACKEND")
_INLINE_TURNS = 12
_FLUSHED_WITHIN = 180.0


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What to show: see `afterturn demo --help`."""

    dialogues: Path | None = None
    as_json: bool = False
    keep: bool = False
    latency_ms: float = 200.0
    pace: float = 2.0
    sessions: int = 64


def run(options: DemoOptions) -> bool:
    """Run the demo; tells whether every message is at the Honcho once and in order."""
    chosen = files.read(options.dialogues) if options.dialogues else files.shipped()
    console = Console(stderr=True)
    with interrupts_raise(), _own_stack(options, console) as stack:
        console.print("Starting Postgres, Valkey, a stand-in for Honcho, workers and Flower…")
        stack.start()
        verdict = _show(stack, chosen, options, console)
        if options.keep:
            _keep(stack, console)
    return verdict.whole


@contextmanager
def _own_stack(options: DemoOptions, console: Console) -> Iterator[Stack]:
    """Give a stack in a folder of its own; afterwards neither of them is there any more."""
    folder = Path(tempfile.mkdtemp(prefix="afterturn-demo-"))
    _forget_settings(folder)
    stack = Stack(_stack_options(options, folder), lambda event: report(console, event))
    try:
        yield stack
    finally:
        with undisturbed():
            stack.stop()
            shutil.rmtree(folder, ignore_errors=True)


def _forget_settings(folder: Path) -> None:
    """Let nothing that is configured on this machine reach the demo, above all no key."""
    for name in [*os.environ]:
        if name.startswith(_FOREIGN) or name.lower().endswith("_proxy"):
            del os.environ[name]
    os.environ.update(HOME=str(folder), AFTERTURN_HOME=str(folder), AFTERTURN_WORKSPACE=_WORKSPACE)


def _stack_options(options: DemoOptions, folder: Path) -> StackOptions:
    return StackOptions(
        home=folder,
        workers=2,
        # Enough threads that the chosen latency is waited for side by side.
        concurrency=max(8, min(64, round(options.sessions * (0.2 + options.latency_ms / 250)))),
        honcho_latency_ms=options.latency_ms,
    )


def _show(
    stack: Stack, dialogues: Sequence[Dialogue], options: DemoOptions, console: Console
) -> Verdict:
    control = Control(stack.honcho_url)
    began = time.monotonic()
    with Memory.open() as memory:
        turns = sum(len(dialogue.turns) for dialogue in dialogues)
        with _progress(console, "conversations", turns, quiet=options.as_json) as step:
            held = replay(
                memory, dialogues, at_a_time=options.sessions, pace=options.pace, progress=step
            )
        with console.status("waiting until all of it is at the Honcho"):
            deadline = time.monotonic() + _FLUSHED_WITHIN
            for session in held.sessions.values():
                session.flush(max(0.1, deadline - time.monotonic()))
    took = time.monotonic() - began
    calls = sum(control.counters()["requests"].values())
    verdict = _verdict(stack, control)
    with _progress(console, "the same inline", _INLINE_TURNS, quiet=options.as_json) as step:
        inline = sample(stack.honcho_url, dialogues, _INLINE_TURNS, step)
    figures = _figures(held, verdict, inline, calls, took)
    if options.as_json:
        shown = {**figures, "latency_ms": options.latency_ms, "block": held.block}
        sys.stdout.write(json.dumps(shown, indent=2) + "\n")
    else:
        _print(figures, held.block, options, Console())
    return verdict


def _verdict(stack: Stack, control: Control) -> Verdict:
    database = Database(stack.database_url, pool_size=1, name="afterturn-demo")
    try:
        return judge(database, control, _WORKSPACE)
    finally:
        database.close()


@contextmanager
def _progress(
    console: Console, what: str, total: int, *, quiet: bool
) -> Iterator[Callable[[], None]]:
    """Show a bar; give the function that moves it on by one."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=quiet, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def _figures(
    held: Replay, verdict: Verdict, inline: Inline, calls: int, took: float
) -> dict[str, Any]:
    return {
        "turns": held.turns,
        **asdict(verdict),
        "spooled": held.spooled,
        "warm_turns": held.warm,
        "prefetch_hits": held.hits,
        "http_calls": calls,
        "http_calls_per_message": round(calls / max(1, verdict.captured), 2),
        "start_ms": _milliseconds(held.starts),
        "end_ms": _milliseconds(held.ends),
        "inline_turns": len(inline.starts),
        "inline_start_ms": _milliseconds(inline.starts),
        "inline_end_ms": _milliseconds(inline.ends),
        "seconds": round(took, 1),
    }


def _milliseconds(times: Sequence[float]) -> dict[str, float]:
    ordered = sorted(times)
    return {
        "p50": round(statistics.median(ordered) * 1000, 2),
        "p99": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1000, 2),
    }


def _print(figures: dict[str, Any], block: str, options: DemoOptions, console: Console) -> None:
    counts = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in (
        ("turns", figures["turns"]),
        ("messages captured", figures["captured"]),
        ("stored in the Honcho", figures["stored"]),
        ("duplicated", figures["duplicated"]),
        ("lost", figures["lost"]),
        ("out of order", figures["out_of_order"]),
        (
            "turns begun with prefetched memory",
            f"{figures['prefetch_hits']} of {figures['warm_turns']} that could be",
        ),
        ("HTTP calls per message, all by workers", figures["http_calls_per_message"]),
    ):
        counts.add_row(name, str(value))
    times = Table(box=None, padding=(0, 2, 0, 0))
    for heading in (
        f"the user waits for memory (Honcho answers in {options.latency_ms:g} ms)",
        "p50",
        "p99",
    ):
        times.add_column(heading)
    for name, key in (
        ("afterturn, start of a turn", "start_ms"),
        ("afterturn, end of a turn", "end_ms"),
        ("Honcho called inline, start", "inline_start_ms"),
        ("Honcho called inline, end", "inline_end_ms"),
    ):
        times.add_row(name, *(f"{figures[key][p]:.2f} ms" for p in ("p50", "p99")))
    console.print(counts, "", times, "", sep="\n")
    # Text and not markup: what is recalled may hold square brackets.
    console.print(
        Panel(Text(block or "nothing was recalled"), title="memory beside one user's message")
    )


def _keep(stack: Stack, console: Console) -> None:
    login = stack.options.home / "flower-login"
    with stopped_by_signals() as stopping:
        console.print(f"The stack stays up: Flower at {stack.flower_url}, login in {login}.")
        console.print(
            f"AFTERTURN_HOME={stack.options.home} afterturn status shows it; Ctrl-C stops and removes it."
        )
        stack.look_after(stopping)
