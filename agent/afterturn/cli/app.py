"""Assembles the commands: this package's own, and those that an entry point adds."""

from __future__ import annotations

from importlib.metadata import entry_points, version
from typing import Annotated

import typer

from afterturn.cli import (
    asks,
    chat,
    compact,
    config,
    database,
    doctor,
    histories,
    identity,
    mapping,
    metrics,
    migrating,
    mode,
    people,
    processes,
    quarantine,
    resync,
    sessions,
    setup,
    status,
    syncing,
    tuning,
)
from afterturn.cli.examples import paragraph

_HELP = f"""Honcho memory for AI agents, done after the turn.

Start everything on this machine, and see what it does:

{paragraph("afterturn up", "afterturn status")}

Exit statuses: 0 done, 1 it did not work (stderr says why), 2 wrong usage or configuration,
130 interrupted.
"""


def build() -> typer.Typer:
    """Give the command line with every command that is installed."""
    app = typer.Typer(
        name="afterturn",
        help=_HELP,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_top)
    for module in (
        setup,
        doctor,
        status,
        metrics,
        chat,
        mode,
        tuning,
        people,
        sessions,
        histories,
        mapping,
        identity,
        migrating,
        asks,
        syncing,
        compact,
        config,
        database,
        processes,
        resync,
        quarantine,
    ):
        module.register(app)
    for extra in entry_points(group="afterturn.commands"):
        extra.load()(app)
    return app


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"afterturn {version('afterturn')}")
        raise typer.Exit


def _top(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


_top.__doc__ = _HELP
