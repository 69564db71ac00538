"""`afterturn migrate-files`: what other agents' homes say of agent and owner, seeded once for ever."""

from __future__ import annotations

import json
import sys
from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from afterturn.cli.connected import database
from afterturn.cli.examples import examples
from afterturn.cli.failures import FAILED, INTERRUPTED
from afterturn.cli.settle import Json  # noqa: TC001 - Typer reads the annotations
from afterturn_models.errors import ConfigurationError
from afterturn_models.settings import load

if TYPE_CHECKING:
    from afterturn.setup.asking import Asker
    from afterturn.setup.carrying_out import Done
    from afterturn.setup.homes import Home
    from afterturn.setup.personas import Persona


def register(app: typer.Typer) -> None:
    """Add this module's command to `app`."""
    app.command("migrate-files")(migrate_files)


@examples(
    "afterturn migrate-files                     # homes of Hermes, OpenClaw and nanobot",
    "afterturn migrate-files ~/old-agent --dry-run",
    "afterturn migrate-files ~/.openclaw --yes --json",
)
def migrate_files(
    folder: Annotated[
        Path | None, typer.Argument(help="A home or workspace; else every home that is found.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be seeded.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Seed the persona files of a Hermes, OpenClaw or nanobot home: SOUL.md, USER.md and others.

    They are shown, and asked about unless --yes is said. USER.md is about the owner, all others
    about the agent whose home it is. Each text is seeded once for ever, on every machine that
    shares the database; nothing is changed in the home. Exit status 1 where a file is refused.
    """
    from afterturn.setup.carrying_out import Done, carry_out
    from afterturn.setup.personas import known_personas
    from afterturn.setup.plan import Plan

    plan = Plan(load())
    plan.settings.need_redis_url()
    homes = _homes(folder)
    asker = _asker(yes or dry_run, quiet=as_json)
    with database() as opened, opened.statement() as connection:
        found = known_personas(connection, homes, plan.pair)
    plan.personas = [one for one in found if one.new]
    if not as_json:
        _tell(homes, found)
    done = Done()
    if plan.personas and not dry_run and _agreed(asker, len(plan.personas)):
        done = carry_out(plan, asker)
    _report(found, done, dry_run=dry_run, as_json=as_json)
    if done.interrupted:
        raise typer.Exit(INTERRUPTED)
    if done.failed or any(one.refused for one in found):
        raise typer.Exit(FAILED)


def _asker(unasked: bool, *, quiet: bool) -> Asker:
    from afterturn.setup.asking import Nobody, Terminal

    if unasked:
        return Nobody(quiet=quiet)
    if not sys.stdin.isatty():
        raise ConfigurationError("there is no terminal to ask at: say --yes or --dry-run")
    return Terminal()


def _agreed(asker: Asker, count: int) -> bool:
    try:
        return asker.yes(f"Seed {count} files, each once for ever?", default=True)
    except EOFError:
        return False


def _homes(folder: Path | None) -> list[Home]:
    """Give every home that is found, or what `folder` is taken for: any program's home."""
    from afterturn.setup.homes import Home, Room, find_homes

    if folder is None:
        return find_homes()
    whole = folder.expanduser().absolute()
    if not whole.is_dir():
        raise ConfigurationError(f"{folder} is no folder")
    usual = [home for home in find_homes() if home.folder == whole]
    if usual:
        return usual
    taken = find_homes({"HERMES_HOME": str(whole), "OPENCLAW_STATE_DIR": str(whole)})
    rooms = [room for home in taken if home.folder == whole for room in home.rooms]
    notes = [home.unread for home in taken if home.folder == whole and home.unread]
    deeper = (whole / "memory", whole / "workspace" / "memory")  # as nanobot has it
    rooms += [Room(one) for one in deeper if one.is_dir()]
    return [Home("The folder", whole, tuple(rooms), unread="; ".join(notes) or None)]


def _tell(homes: list[Home], found: list[Persona]) -> None:
    for home in homes:
        if home.unread:
            typer.echo(f"Note: {home.unread}", err=True)
    for one in found:
        typer.echo(f"{one.path}: {one.state}")
    if not found:
        where = ", ".join(str(home.folder) for home in homes)
        typer.echo(
            f"No persona file in {where}."
            if homes
            else "No home of Hermes, OpenClaw or nanobot is here; name a folder."
        )


def _report(found: list[Persona], done: Done, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        plain = {"found": [_plain(one) for one in found], "done": done.as_dict()}
        typer.echo(json.dumps(plain | {"dryRun": dry_run}, indent=2, ensure_ascii=False))
        return
    for line in (*done.skipped, *done.failed):
        typer.echo(f"Not seeded: {line}", err=True)


def _plain(one: Persona) -> dict[str, Any]:
    return {
        "file": str(one.path),
        "program": one.program,
        "peer": one.peer,
        "known": one.known,
        "refused": one.refused,
    }
