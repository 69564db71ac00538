"""`afterturn identity`: say who the agent and its owner are, from files, and see what is known."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from afterturn.cli.connected import services
from afterturn.cli.examples import examples
from afterturn.identity import HOME_FILES, Seeding, pair_of, seed
from afterturn.identity_view import IdentityView, look
from afterturn_models.errors import ConfigurationError
from afterturn_models.policy.identity import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from afterturn.services import Services


def register(app: typer.Typer) -> None:
    """Add this module's command to `app`."""
    app.command()(identity)


@examples(
    "afterturn identity ~/.hermes                 # SOUL.md, IDENTITY.md, … and USER.md in there",
    "afterturn identity SOUL.md",
    "afterturn identity about-ann.md --peer user",
    "afterturn identity --show",
)
def identity(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE…|FOLDER", help="Files, or a folder that has some."),
    ] = None,
    peer: Annotated[
        str | None,
        typer.Option(
            metavar="agent|user",
            help="Whom a file is about, where its name does not say: the agent, unless told.",
        ),
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", help="What Honcho knows of the agent, and what is on its way.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Seed who the agent is from its files, or show what has become of it.

    Of a folder, SOUL.md, IDENTITY.md, AGENTS.md and BOOTSTRAP.md are about the agent and USER.md
    about its owner. Each text is seeded once for ever, on every machine that shares the database;
    a changed file is seeded anew. Exit status 1 where a file is refused.
    """
    if show == bool(paths):
        raise ConfigurationError("name files or a folder to seed, or say --show")
    kind = _kind(peer)
    with services() as opened:
        if show:
            _show(look(opened), as_json)
            return
        came = _seed(opened, paths or [], kind)
    _report(came, as_json)
    if came.refused:
        raise typer.Exit(1)


def _kind(peer: str | None) -> Kind | None:
    if peer not in {None, "agent", "user"}:
        raise ConfigurationError(f"--peer is agent or user, not {peer!r}")
    return Kind(peer) if peer else None


def _seed(services: Services, paths: Sequence[Path], kind: Kind | None) -> Seeding:
    return Seeding.together(_seed_one(services, path.expanduser(), kind) for path in paths)


def _seed_one(services: Services, path: Path, kind: Kind | None) -> Seeding:
    # A folder may be a link of its owner's; a file that is one is refused when it is opened.
    whole = path.is_dir()
    return seed(
        services.database,
        services.dispatcher.send,
        pair_of(services.names.settings()),
        services.profile,
        path if whole else path.parent,
        names=None if whole else [path.name],
        kind=kind,
    )


def _report(came: Seeding, as_json: bool) -> None:
    if as_json:
        plain: dict[str, Any] = {
            "new": list(came.new),
            "known": list(came.known),
            "skipped": dict(came.skipped),
            "refused": dict(came.refused),
        }
        typer.echo(json.dumps(plain, indent=2, ensure_ascii=False))
        return
    for name in came.new:
        typer.echo(f"{name}: on its way to Honcho")
    for name in came.known:
        typer.echo(f"{name}: seeded before")
    for name, why in came.skipped.items():
        typer.echo(f"{name}: {why}")
    for why in came.refused.values():
        typer.echo(f"refused: {why}", err=True)
    if came == Seeding():
        typer.echo(f"No file to seed; looked for {', '.join(HOME_FILES)}.")


def _show(view: IdentityView, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(view.as_json(), indent=2, ensure_ascii=False))
    else:
        for line in view.lines():
            typer.echo(line)
    if view.failure:
        raise typer.Exit(1)
