"""`afterturn sessions` and `afterturn session …`: the conversations of a workspace, by name."""

from __future__ import annotations

import datetime as dt
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from afterturn.cli.connected import database
from afterturn.cli.deleting import delete_everywhere, delete_here
from afterturn.cli.examples import examples
from afterturn.cli.mode import modes_of
from afterturn.cli.tables import table
from afterturn.renaming import give_name
from afterturn_models.errors import ConfigurationError
from afterturn_models.policy.session_name import Conversation, Naming, session_name
from afterturn_models.settings import load
from afterturn_models.store import naming
from afterturn_models.store.sessions import close_session

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from afterturn_models.store.naming import SessionLine

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Key = Annotated[str, typer.Argument(help="A session's name, from `afterturn sessions`.")]
_Workspace = Annotated[str | None, typer.Option(help="Another workspace than the configured one.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    app.command()(sessions)
    group = typer.Typer(
        name="session",
        help="One session: show, rename, close or delete it.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    for command in (show, rename, close, delete):
        group.command()(command)
    app.add_typer(group)


@examples("afterturn sessions", "afterturn sessions --json | jq -r '.[] | select(.lag > 0).key'")
def sessions(
    workspace: _Workspace = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    as_json: _Json = False,
) -> None:
    """List sessions: what waits to be sent, whose they are, when somebody last spoke."""
    with database() as opened, opened.statement() as connection:
        found = naming.list_sessions(connection, _workspace(workspace), most=limit)
    if as_json:
        typer.echo(json.dumps([_plain(line) for line in found], indent=2, ensure_ascii=False))
        return
    if not found:
        typer.echo(f"No session in workspace {_workspace(workspace)} yet.")
        return
    _table(found)


@examples("afterturn session show foo", "afterturn session show foo --json")
def show(key: _Key, workspace: _Workspace = None, as_json: _Json = False) -> None:
    """Show all that is known here of a session."""
    with database() as opened, opened.statement() as connection:
        line = _one(connection, _workspace(workspace), key)
    plain = _plain(line)
    if as_json:
        typer.echo(json.dumps(plain, indent=2, ensure_ascii=False))
        return
    for name, value in plain.items():
        typer.echo(f"{name.replace('_', ' '):15} {'-' if value is None else value}")


@examples('afterturn session rename foo "Plans for spring"')
def rename(
    key: _Key,
    name: Annotated[str, typer.Argument(help="The new name, made into an id of Honcho's.")],
    workspace: _Workspace = None,
) -> None:
    """Give a session another name, from its next turn on.

    What was captured before stays in the session of Honcho that it was captured for, and the
    history here stays one.
    """
    if not name.strip():
        raise ConfigurationError("a name needs at least one character that is no white space")
    wanted = session_name(Naming(), Conversation(title=name))
    with database() as opened:
        with opened.statement() as connection:
            session = _one(connection, _workspace(workspace), key)
        renamed = give_name(opened, session.id, wanted, name)
    if renamed is None:
        raise _unknown(key)
    given, _ = renamed
    other = "" if given == wanted.key else f" ({wanted.key} is another session's)"
    typer.echo(f"{key} is {given} from its next turn on{other}.")


@examples("afterturn session close foo")
def close(key: _Key, workspace: _Workspace = None) -> None:
    """Close a session: everything captured in it becomes due. The next turn opens it again."""
    with database() as opened, opened.statement() as connection:
        session = _one(connection, _workspace(workspace), key)
        close_session(connection, session.id)
    waiting = f"; {session.lag} messages are on their way" if session.lag else ""
    typer.echo(f"{key} is closed{waiting}.")


@examples(
    "afterturn session delete foo",
    "afterturn session delete foo --honcho",
    "afterturn session delete foo --yes --unsent-too",
)
def delete(
    key: _Key,
    workspace: _Workspace = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    unsent_too: Annotated[
        bool, typer.Option("--unsent-too", help="Also where messages are not at Honcho yet.")
    ] = False,
    honcho: Annotated[
        bool, typer.Option("--honcho", help="At Honcho as well, by a worker.")
    ] = False,
) -> None:
    """Delete a session and its messages here; with --honcho at Honcho too.

    Honcho deletes what it concluded from the session with it. What stays there are the cards that
    it keeps of people, and what was concluded in other sessions. What is being sent just now is
    never deleted.
    """
    with database() as opened:
        with opened.statement() as connection:
            session = _one(connection, _workspace(workspace), key)
        if session.lag and not unsent_too:
            raise ConfigurationError(
                f"{session.lag} messages of {key} are not at Honcho yet: wait for"
                " `afterturn sessions` to show a lag of 0, or say --unsent-too"
            )
        where = "here and at Honcho" if honcho else "here"
        if not yes:
            _confirm(f"Delete {key} with {session.messages} messages {where}?")
        if honcho:
            delete_everywhere(session)
            return
        delete_here(opened, session, unknown_too=unsent_too)


def _confirm(question: str) -> None:
    """Ask before something is done that is not undone; raises ConfigurationError without a terminal."""
    if not sys.stdin.isatty():
        raise ConfigurationError("there is no terminal to ask at: say --yes")
    typer.confirm(question, abort=True)


def _workspace(given: str | None) -> str:
    return given or load().settings.workspace


def _one(connection: Connection, workspace: str, key: str) -> SessionLine:
    found = naming.list_sessions(connection, workspace, key=key, most=1)
    if not found:
        raise _unknown(key)
    return found[0]


def _unknown(key: str) -> ConfigurationError:
    return ConfigurationError(f"there is no session {key!r}; see: afterturn sessions")


def _plain(line: SessionLine) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, dt.datetime) else value
        for name, value in (asdict(line) | {"id": str(line.id)}).items()
    }


def _table(found: list[SessionLine]) -> None:
    titles = ("session", "user", "agent", "mode", "turns", "lag", "last turn", "made from")
    table(titles, [_row(line) for line in found])


def _row(line: SessionLine) -> tuple[str, ...]:
    last = f"{line.last_turn_at:%Y-%m-%d %H:%M}" if line.last_turn_at else "-"
    lag = f"{line.lag} (parked)" if line.parked else str(line.lag)
    whose = (line.key, line.user_peer, line.agent_peer, modes_of(line))
    return (*whose, str(line.turns), lag, last, line.source or "-")
