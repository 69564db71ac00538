"""`afterturn history` and `afterturn export`: what was said, by page, by its words, or all of it."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - Typer reads the annotations
import json
import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from afterturn.cli.asked import asking
from afterturn.cli.asks import plain
from afterturn.cli.connected import database
from afterturn.cli.examples import examples
from afterturn.export import FORMATS, as_json, export
from afterturn.identity import pair_of
from afterturn.searching import MOST, in_session, of_pair, wanted
from afterturn_models.errors import ConfigurationError
from afterturn_models.settings import load
from afterturn_models.store.history import page_after, page_before, session_info
from afterturn_models.store.naming import list_sessions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from afterturn.searching import Hit
    from afterturn_models.db import Database
    from afterturn_models.store.history import SessionInfo
    from afterturn_models.values import Message

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Workspace = Annotated[str | None, typer.Option(help="Another workspace than the configured one.")]
_DATES = ("%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z")


class _ShowByDefault(TyperGroup):
    """`history NAME` is `history show NAME`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in {"-h", "--help"}):
            args = ["show", *args]
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    group = typer.Typer(
        name="history",
        cls=_ShowByDefault,
        help="What was said in a session: shown by page, searched by its words.",
        rich_markup_mode=None,
    )
    group.command()(show)
    group.command()(search)
    app.add_typer(group)
    app.command("export")(export_)


@examples(
    "afterturn history",
    "afterturn history kitchen --limit 10",
    "afterturn history kitchen --before 120 --json",
)
def show(
    name: Annotated[
        str | None, typer.Argument(help="A session's name; else this directory's session.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Messages.")] = 20,
    before: Annotated[int | None, typer.Option(min=1, help="Those right before #N.")] = None,
    after: Annotated[int | None, typer.Option(min=0, help="Those right behind #N.")] = None,
    workspace: _Workspace = None,
    as_json_: _Json = False,
) -> None:
    """Show messages of a session, oldest first: the last ones, or those next to a number.

    `afterturn history show NAME` is the same, for a session that is called like a command.
    """
    if before is not None and after is not None:
        raise ConfigurationError("a page is before a message or after it: say one of the two")
    with database() as opened:
        session = _session(opened, name, workspace)
        with opened.statement() as connection:
            if after is not None:
                found = page_after(connection, session, after=after, limit=limit)
            else:
                found = page_before(connection, session, before=before, limit=limit)
    if as_json_:
        typer.echo(json.dumps([as_json(one) for one in found], indent=2, ensure_ascii=False))
        return
    for message in found:
        typer.echo(_told(message))
    if not found:
        typer.echo("There is no message here.")


@examples(
    'afterturn history search "keys shelf"',
    "afterturn history search '\"the shelf\" or drawer -kitchen' --role user --since 2026-01-01",
    "afterturn history search 東京 --session kitchen --json",
)
def search(
    query: Annotated[
        str, typer.Argument(help='All words; "a phrase"; this or that; -without; any language.')
    ],
    session: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="One session; else all of the user with the agent."),
    ] = None,
    role: Annotated[
        str | None, typer.Option(metavar="user|assistant|tool", help="Whose messages.")
    ] = None,
    since: Annotated[
        dt.datetime | None, typer.Option(formats=_DATES, help="From then on; in UTC.")
    ] = None,
    until: Annotated[
        dt.datetime | None, typer.Option(formats=_DATES, help="Before that; in UTC.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="Messages.")] = 10,
    workspace: _Workspace = None,
    as_json_: _Json = False,
) -> None:
    """Find messages by their words, best first. It asks Postgres here, and Honcho nothing.

    By meaning, and in what Honcho has: `afterturn search`.
    """
    try:
        asked = wanted(query, limit, role, since, until)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    with database() as opened:
        if session:
            hits = in_session(opened, _session(opened, session, workspace), asked)
        else:
            pair = pair_of(load().settings)
            hits = of_pair(opened, workspace or pair.workspace, pair.owner, pair.agent, asked)
    if as_json_:
        typer.echo(json.dumps([_as_json(hit) for hit in hits], indent=2, ensure_ascii=False))
        return
    for hit in hits:
        typer.echo(_found(hit))
    if not hits:
        typer.echo("No message has these words.")


@examples(
    "afterturn export kitchen > kitchen.jsonl",
    "afterturn export kitchen --format markdown -o kitchen.md",
)
def export_(
    name: Annotated[str, typer.Argument(help="A session's name, from `afterturn sessions`.")],
    form: Annotated[
        str,
        typer.Option("--format", metavar="|".join(FORMATS), autocompletion=lambda: list(FORMATS)),
    ] = "jsonl",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A file, which only you may read; else stdout."),
    ] = None,
    workspace: _Workspace = None,
) -> None:
    """Write out a session's whole history: messages, calls of tools, and what it was summarised to.

    It is read a page at a time, so that its length does not matter.
    """
    if form not in FORMATS:
        raise ConfigurationError(f"--format is one of {', '.join(FORMATS)}, not {form!r}")
    with database() as opened:
        info = _info(opened, _session(opened, name, workspace), name)
        with _written_to(output) as write:
            for piece in export(opened, info, form):
                write(piece)
    if output is not None:
        typer.echo(f"{info.messages} messages of {info.key} are in {output}.", err=True)


@contextmanager
def _written_to(output: Path | None) -> Iterator[Any]:
    """Give what writes: to stdout, or to a file that is there whole or not at all, for its owner."""
    if output is None:
        yield sys.stdout.write
        return
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=output.parent, prefix=f".{output.name}.", delete=False
    ) as file:
        try:
            yield file.write
            file.close()
            os.replace(file.name, output)  # noqa: PTH105 - of a name that is a string here
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _session(opened: Database, name: str | None, workspace: str | None) -> UUID:
    if name is None:
        with asking(None) as here:
            return here.place.id
    with opened.statement() as connection:
        found = list_sessions(connection, workspace or load().settings.workspace, key=name, most=1)
    if not found:
        raise _unknown(name)
    return found[0].id


def _info(opened: Database, session: UUID, name: str) -> SessionInfo:
    with opened.statement() as connection:
        found = session_info(connection, session)
    if found is None:
        raise _unknown(name)
    return found


def _unknown(name: str) -> ConfigurationError:
    return ConfigurationError(f"there is no session {name!r}; see: afterturn sessions")


def _told(message: Message) -> str:
    tool = f" {message.call.name}" if message.call else ""
    head = f"#{message.index}  {message.at:%Y-%m-%d %H:%M}  {message.peer} ({message.role}{tool})"
    return "\n".join([head, *(f"    {line}" for line in plain(message.content).splitlines())])


def _found(hit: Hit) -> str:
    message = hit.message
    head = f"{hit.session} #{message.index}  {message.at:%Y-%m-%d %H:%M}  {message.peer}"
    text, at = "", 0
    for first, last in hit.marks:
        text += plain(hit.passage[at:first]) + typer.style(
            plain(hit.passage[first:last]), bold=True
        )
        at = last
    return f"{head}\n    {' '.join((text + plain(hit.passage[at:])).split())}"


def _as_json(hit: Hit) -> dict[str, Any]:
    return {
        "session": hit.session,
        "passage": hit.passage,
        "marks": hit.marks,
        "rank": round(hit.rank, 6),
        "message": as_json(hit.message),
    }
