"""`afterturn doctor`: looks at an installation, and says how to mend what is wrong with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from afterturn.cli.examples import examples

if TYPE_CHECKING:
    from afterturn.setup.findings import Finding

_MARKS = {"ok": "ok     ", "note": "note   ", "warning": "warning", "wrong": "WRONG  "}
_COLOURS = {"ok": "green", "note": "cyan", "warning": "yellow", "wrong": "red"}


def register(app: typer.Typer) -> None:
    """Add this module's command to `app`."""
    app.command()(doctor)


@examples(
    "afterturn doctor",
    "afterturn doctor --json | jq '.findings[] | select(.state == \"wrong\")'",
)
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Look at all of an installation: this machine, its files, the servers, workers, what waits.

    For each thing it says how it is, and for what should be otherwise how to mend it. Nothing is
    changed. Exit status 1 where something is wrong; warnings alone leave it at 0.
    """
    from afterturn.setup.checkup import check_up
    from afterturn.setup.findings import State

    found = []
    for finding in check_up():
        found.append(finding)
        if not as_json:
            _show(finding)
    bad = sum(one.state is State.WRONG for one in found)
    if as_json:
        plain = [one.as_dict() for one in found]
        typer.echo(json.dumps({"ok": not bad, "findings": plain}, indent=2, ensure_ascii=False))
    else:
        typer.echo(_verdict(bad, sum(one.state is State.WARNING for one in found)))
    if bad:
        raise typer.Exit(1)


def _show(finding: Finding) -> None:
    mark = typer.style(_MARKS[finding.state.value], fg=_COLOURS[finding.state.value])
    typer.echo(f"{mark} {finding.name}: {finding.said}")
    if finding.mend:
        typer.echo(f"{'':7} → {finding.mend}")


def _verdict(bad: int, warned: int) -> str:
    if not bad and not warned:
        return "All is well."
    return f"{bad} wrong, {warned} to look after."
