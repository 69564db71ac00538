"""`afterturn quarantine`: messages that Honcho refused, and what is to become of them."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated
from uuid import UUID

import typer

from afterturn.cli.connected import database
from afterturn.cli.examples import examples
from afterturn_models.errors import ConfigurationError
from afterturn_models.store import late

_Ids = Annotated[list[str] | None, typer.Argument(help="Ids from `afterturn quarantine list`.")]
_All = Annotated[bool, typer.Option("--all", help="Every message in quarantine.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    group = typer.Typer(
        name="quarantine",
        help="Messages that Honcho refused, each with its reason; the others went on.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command("list")(list_)
    group.command()(retry)
    group.command()(drop)
    app.add_typer(group)


@examples("afterturn quarantine list", "afterturn quarantine list --session cli --json")
def list_(
    session: Annotated[str | None, typer.Option(help="Of this session only.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    as_json: _Json = False,
) -> None:
    """List what Honcho refused, oldest first."""
    with database() as opened, opened.statement() as connection:
        found = late.quarantined(connection, session=session, limit=limit)
    if as_json:
        rows = [{**asdict(row), "id": str(row.id), "at": row.at.isoformat()} for row in found]
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for row in found:
        typer.echo(
            f"{row.id}  {row.workspace}/{row.session}  #{row.index} {row.role}  {row.at:%Y-%m-%d %H:%M}"
        )
        typer.echo(f"    {row.reason}\n    {' '.join(row.text.split())}")
    if not found:
        typer.echo("Nothing is in quarantine.")


@examples("afterturn quarantine retry 0b0c7d7e-…", "afterturn quarantine retry --all")
def retry(ids: _Ids = None, every: _All = False) -> None:
    """Send messages once more, out of their turn and with their original time.

    One that is refused again comes back here.
    """
    rows = _chosen(ids, every)
    with database() as opened, opened.statement() as connection:
        count, _ = late.retry_quarantined(connection, rows)
    typer.echo(
        f"{count} messages will be sent again." if count else "None of these is in quarantine."
    )


@examples("afterturn quarantine drop 0b0c7d7e-…", "afterturn quarantine drop --all")
def drop(ids: _Ids = None, every: _All = False) -> None:
    """Give up sending messages to Honcho; the history here keeps them."""
    rows = _chosen(ids, every)
    with database() as opened, opened.statement() as connection:
        count = late.drop_quarantined(connection, rows)
    typer.echo(f"{count} messages stay here." if count else "None of these is in quarantine.")


def _chosen(ids: list[str] | None, every: bool) -> list[UUID] | None:
    if every == bool(ids):
        raise ConfigurationError("name ids from `afterturn quarantine list`, or say --all")
    if every:
        return None
    try:
        return [UUID(one) for one in ids or ()]
    except ValueError as error:
        raise ConfigurationError(f"{error}: ids are those of `afterturn quarantine list`") from None
