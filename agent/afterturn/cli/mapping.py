"""`afterturn map`: which session a directory belongs to, by hand, for every agent of the workspace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from afterturn.cli.connected import database
from afterturn.cli.effective import Whose, effective
from afterturn.cli.examples import examples
from afterturn.cli.settle import Json, need_asked
from afterturn.opening import absolute
from afterturn_models.errors import ConfigurationError
from afterturn_models.policy.session_name import Conversation, Naming, session_name
from afterturn_models.policy.text import clean_text, is_blank
from afterturn_models.settings import load
from afterturn_models.store.directories import map_directory, unmap_directory
from afterturn_models.store.workspaces import make_workspace

if TYPE_CHECKING:
    from afterturn.cli.effective import Effective


def register(app: typer.Typer) -> None:
    """Add this module's command to `app`."""
    app.command("map")(map_)


@examples(
    "cd ~/projects/foo && afterturn map foo-project",
    "afterturn map                                # what is mapped, and where that is said",
    "afterturn map --remove",
    "afterturn map --remove --directory /a/folder/that/is/gone",
)
def map_(
    name: Annotated[str | None, typer.Argument(help="The session's name.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Map it no longer.")] = False,
    directory: Annotated[
        str | None, typer.Option("--directory", metavar="DIR", help="Another than this one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Map this directory to a session's name, or list what is mapped.

    A session that is opened there has that name, whatever the strategy; those that are open keep
    theirs. Two directories may share one.
    """
    if name is not None and remove:
        raise ConfigurationError("say a name or --remove, not both")
    if name is None and not remove:
        if directory is not None:
            raise ConfigurationError("--directory goes with a name or --remove")
        _list(as_json)
        return
    place = _place(directory)
    report = _remove(place) if name is None else _map(place, name)
    typer.echo(json.dumps(report, ensure_ascii=False) if as_json else report["sentence"])


def _place(directory: str | None) -> str:
    """Give the directory's one name, by which agents compare."""
    place = absolute(directory or str(Path.cwd())) or ""
    if clean_text(place) != place:
        raise ConfigurationError(f"{clean_text(place)} cannot be mapped: its name is no text")
    return place


def _map(place: str, name: str) -> dict[str, Any]:
    wanted = clean_text(name).strip()
    if is_blank(wanted):
        raise ConfigurationError("a name needs at least one character that can be seen")
    settings = effective(Whose()).loaded.settings
    with database() as opened, opened.transaction() as connection:
        map_directory(connection, make_workspace(connection, settings.workspace), place, wanted)
    naming = Naming.of(settings.session_strategy, {place: wanted}, settings.naming_peer())
    key = session_name(naming, Conversation(directory=place)).key
    return {
        "directory": place,
        "session": wanted,
        "key": key,
        "sentence": f"A session that is opened in {place} is {key} from now on.",
    }


def _remove(place: str) -> dict[str, Any]:
    workspace = load().settings.workspace
    with database() as opened, opened.transaction() as connection:
        was = unmap_directory(connection, make_workspace(connection, workspace), place)
    still = _mapped(effective(Whose())).get(place)
    done = f"{place} {'is not mapped any more' if was else 'was not mapped'}"
    also = f"; {still['origin']} says {still['session']} for it" if still else ""
    return {
        "directory": place,
        "removed": was,
        "still": still,
        "sentence": f"{done} in workspace {workspace}{also}.",
    }


def _list(as_json: bool) -> None:
    found = effective(Whose())
    mapped = _mapped(found)
    if as_json:
        plain = [{"directory": place, **said} for place, said in mapped.items()]
        typer.echo(json.dumps(plain, indent=2, ensure_ascii=False))
    else:
        for place, said in mapped.items():
            typer.echo(f"{place} → {said['session']} ({said['origin']})")
        if not mapped:
            typer.echo("No directory is mapped; go into one and say: afterturn map NAME")
    need_asked(found)


def _mapped(found: Effective) -> dict[str, dict[str, str]]:
    """Give every directory that is mapped, with its session's name and where that is said."""
    mapped: dict[str, dict[str, str]] = {}
    for source in found.loaded.sources:
        said = source.values.get("sessions")
        for place, name in (said if isinstance(said, dict) else {}).items():
            said_there = {"session": str(name), "origin": source.place("sessions")}
            mapped.setdefault(absolute(place) or place, said_there)
    return dict(sorted(mapped.items()))
