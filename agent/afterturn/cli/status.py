"""`afterturn status`: what is reachable, what waits, who works, and what went wrong last."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from afterturn import spending
from afterturn.cli.examples import examples
from afterturn.cli.timings import show as show_timings
from afterturn.health import OK, look

if TYPE_CHECKING:
    from afterturn.health import Health


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    app.command()(status)


@examples(
    "afterturn status",
    "afterturn status --json | jq .backlog.unsent",
    "afterturn status --json | jq .dialectic.day",
    "afterturn status --timings --hours 24",
)
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    timings: Annotated[
        bool, typer.Option("--timings", help="Show what each stage of turns and tasks took.")
    ] = False,
    hours: Annotated[
        int, typer.Option("--hours", min=1, max=24, help="Of how many hours, with --timings.")
    ] = 1,
) -> None:
    """Show whether everything answers, what is not at Honcho yet, and what asking it has cost.

    With --timings it shows, in place of that, what all agents and workers measured.

    Exit status 1 where something does not work: Postgres, Redis or Honcho away, or no worker.
    """
    if timings:
        show_timings(hours, as_json=as_json)
        return
    health = look()
    if as_json:
        typer.echo(json.dumps(health.as_dict(), indent=2))
    else:
        _show(health)
    if not health.ok:
        raise typer.Exit(1)


def _show(health: Health) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in _lines(health):
        table.add_row(f"[bold]{name}[/bold]", value)
    console.print(table)


def _lines(health: Health) -> list[tuple[str, str]]:
    from rich.markup import escape

    lines = [
        (part.capitalize(), escape(_state(part.capitalize(), state)))
        for part, state in health.parts.items()
    ]
    if health.queues:
        waiting = ", ".join(f"{name} {depth}" for name, depth in health.queues.items())
        lines.append(("Queues", waiting))
    lines += [("Worker", escape(_worker(found))) for found in health.workers]
    if health.backlog is not None:
        lines += [
            (name.capitalize().replace("_", " "), escape(_value(name, value)))
            for name, value in health.backlog.items()
            if value is not None
        ]
    if health.dialectic:
        lines += [(escape(who), escape(use)) for who, use in spending.lines(health.dialectic)]
    if health.spool:
        lines.append(("Spooled", escape(_spooled(health.spool, "wait for Postgres"))))
    if health.refused:
        refused = _spooled(health.refused, "were refused by Postgres and set aside")
        lines.append(("Refused", escape(f"{refused} in {health.refused['folder']}")))
    return lines


def _state(name: str, state: str) -> str:
    """Give the state of a part whose name stands before it already."""
    return "answers" if state == OK else state.removeprefix(f"{name}: ")


def _spooled(found: dict[str, Any], what: str) -> str:
    damaged = f"; {found['damaged']} damaged records" if found["damaged"] else ""
    return f"{found['turns']} turns {what}{damaged}"


def _worker(found: dict[str, Any]) -> str:
    beat = found["beat_age"]
    seen = "no task has reached it yet" if beat is None else f"a task reached it {beat:.0f} s ago"
    return f"{found['name']}: {seen}; Honcho: {found['honcho'] or 'not asked yet'}"


def _value(name: str, value: Any) -> str:
    return f"{value:.0f} s" if name.endswith("_age") else str(value)
