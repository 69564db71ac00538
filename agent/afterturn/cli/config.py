"""`afterturn config`: what is configured and where, changed in Postgres or in our file."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic.alias_generators import to_camel

from afterturn.cli.changing import Change, set_value, unset_value
from afterturn.cli.effective import DEFAULT, Effective, Whose, effective
from afterturn.cli.examples import examples
from afterturn_models.key_place import key_place
from afterturn_models.schema import config_schema
from afterturn_models.settings_model import FIELDS
from afterturn_models.shared import field_called
from afterturn_models.sources import honcho_file, our_file, stack_file

if TYPE_CHECKING:
    from rich.table import Table

_Key = Annotated[str, typer.Argument(help="A setting, such as writeFrequency.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Session = Annotated[str | None, typer.Option("--session", metavar="KEY", help="For this session.")]
_Agent = Annotated[str | None, typer.Option("--agent", metavar="NAME", help="For this agent.")]
_Wide = Annotated[
    bool, typer.Option("--workspace-wide", help="For the whole workspace, in Postgres.")
]
_File = Annotated[bool, typer.Option("--file", help="In our file: for this machine's user.")]
_WIDTH = 200  # of a table that goes into a pipe, where no terminal has one


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    group = typer.Typer(
        name="config",
        help="What is configured, where it was said, and how to change it.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command()(show)
    group.command()(get)
    group.command("set")(set_)
    group.command()(unset)
    group.command()(path)
    group.command()(schema)
    app.add_typer(group)


@examples(
    "afterturn config show",
    "afterturn config show --session cli",
    "afterturn config show --json | jq .settings.writeFrequency",
)
def show(session: _Session = None, agent: _Agent = None, as_json: _Json = False) -> None:
    """Show every setting that holds and where it comes from; passwords are masked.

    With --session or --agent, what Postgres holds for them counts; else for the configured agent.
    Honcho's key is not read: shown is only where workers started here would find it. Exit status
    1 where Postgres is configured and cannot be asked.
    """
    found = effective(Whose(session, agent))
    if as_json:
        report = {
            "settings": found.as_dict(),
            "postgres": found.postgres,
            "honchoKey": _key_as_dict(),
            "files": _files(),
            "warnings": list(found.loaded.warnings),
        }
        typer.echo(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        _print(found)
    if not found.asked:
        raise typer.Exit(1)


@examples("afterturn config get workspace", "afterturn config get memoryMode --session cli")
def get(key: _Key, session: _Session = None, agent: _Agent = None, as_json: _Json = False) -> None:
    """Print one setting that holds; an empty line where it is unset. Passwords are masked.

    Exit status 1 where Postgres is configured and cannot be asked.
    """
    field = field_called(key)
    found = effective(Whose(session, agent))
    value = found.value(field)
    if as_json:
        said = {"key": to_camel(field), "value": value, "origin": found.origin(field)}
        typer.echo(json.dumps({**said, "also": found.also(field)}, ensure_ascii=False))
    else:
        typer.echo(_text(value))
    if not found.asked:
        typer.echo(f"afterturn: {found.postgres}", err=True)
        raise typer.Exit(1)


@examples(
    "afterturn config set memoryMode local --session diary",
    "afterturn config set dialecticReasoningLevel medium --agent ada",
    "afterturn config set writeFrequency 5                # for all agents of the workspace",
    """afterturn config set noisePatterns '["PING"]'        # lists and maps are JSON""",
    "afterturn config set workspace home",
)
def set_(
    key: _Key,
    value: Annotated[str, typer.Argument(help="Its value; lists and maps as JSON.")],
    wide: _Wide = False,
    agent: _Agent = None,
    session: _Session = None,
    file: _File = False,
    as_json: _Json = False,
) -> None:
    """Change a setting.

    What agents and workers share (modes, frequency, names, peers, recall) is set in Postgres, for
    the workspace unless --agent or --session is said, and holds from the next turn and the next
    task everywhere. All else is set in our file, as everything is with --file; its former text
    stays beside it as config.json.bak. Secrets are refused: they belong into the environment, or
    into a file of mode 600 by your own hand.
    """
    _done(
        set_value(key, value, Change(wide=wide, agent=agent, session=session, file=file)), as_json
    )


@examples("afterturn config unset memoryMode --session diary", "afterturn config unset workspace")
def unset(
    key: _Key,
    wide: _Wide = False,
    agent: _Agent = None,
    session: _Session = None,
    file: _File = False,
    as_json: _Json = False,
) -> None:
    """Say nothing of a setting any more, where `config set` would set it."""
    _done(unset_value(key, Change(wide=wide, agent=agent, session=session, file=file)), as_json)


@examples('"$EDITOR" "$(afterturn config path)"', "afterturn config path --all")
def path(
    everything: Annotated[bool, typer.Option("--all", help="Every file that is read.")] = False,
    as_json: _Json = False,
) -> None:
    """Print where our file is, or with --all every file that is read, what comes first first."""
    files = _files() if everything else _files()[:1]
    if as_json:
        typer.echo(json.dumps(files, indent=2))
        return
    for one in files:
        typer.echo(one["path"] if one["exists"] or not everything else f"{one['path']} (not there)")


@examples(
    'afterturn config schema > ~/.afterturn/config.schema.json   # and in config.json: "$schema"'
)
def schema() -> None:
    """Print the JSON Schema of config.json, by which editors complete and check it."""
    typer.echo(json.dumps(config_schema(), indent=2, ensure_ascii=False))


def _files() -> list[dict[str, Any]]:
    found = (our_file(), honcho_file(), stack_file())
    return [{"path": str(one), "exists": one.exists()} for one in found]


def _key_as_dict() -> dict[str, Any] | None:
    found = key_place()
    return asdict(found) if found else None


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _done(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report, ensure_ascii=False))
        return
    typer.echo(report["sentence"])
    if report["shadowed"]:
        typer.echo(f"It does not count here: {report['shadowed']} comes first.")


def _print(found: Effective) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH
    console.print(_table(found))
    key = key_place()
    console.print(f"Honcho's key: {escape(key.place if key else 'workers would find none')}")
    if key and key.refused:
        console.print(f"Workers refuse it there: {escape(key.refused)}")
    if found.postgres != "ok":
        console.print(f"Postgres: {escape(found.postgres.removeprefix('Postgres: '))}")


def _table(found: Effective) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("Setting", "Value", "From"):
        table.add_column(title, overflow="fold")
    for field in FIELDS:
        origin = found.origin(field)
        style = "dim" if origin == DEFAULT else ""
        cells = (to_camel(field), _text(found.value(field)), origin)
        table.add_row(*(escape(cell) for cell in cells), style=style)
    return table
