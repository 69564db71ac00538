"""`afterturn mode`, `enable` and `disable`: where what is said is kept, and whether at all."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic.alias_generators import to_camel

from afterturn.cli.changing import Change, set_value, unset_value
from afterturn.cli.connected import database
from afterturn.cli.effective import Effective, Whose, effective
from afterturn.cli.examples import examples
from afterturn.cli.settle import FROM_THE_NEXT_TURN, Json, Session, need_asked, tell, words
from afterturn_models.settings import OFF, load
from afterturn_models.store import switching
from afterturn_models.store.naming import list_sessions
from afterturn_models.store.sessions import workspace_id
from afterturn_models.store.settings import settings_by_scope
from afterturn_models.store.workspaces import make_workspace
from afterturn_models.values import Mode, Scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from afterturn_models.store.naming import SessionLine

_SIDES = {"user": "userMemoryMode", "agent": "agentMemoryMode"}
_MOST = 1000  # sessions that are looked at for what holds in them
_NAMED = 5
_OFF = {to_camel(field): value for field, value in OFF.items()}
_WIDE = Change(wide=True)


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    app.command()(mode)
    app.command()(enable)
    app.command()(disable)


@examples(
    "afterturn mode",
    "afterturn mode local                     # nothing goes to Honcho from the next turn on",
    "afterturn mode honcho --agent            # the agent's memory only",
    "afterturn mode local --user --session diary",
)
def mode(
    value: Annotated[
        str | None,
        typer.Argument(metavar="[hybrid|honcho|local]", autocompletion=words("memoryMode")),
    ] = None,
    user: Annotated[bool, typer.Option("--user", help="What the user says.")] = False,
    agent: Annotated[bool, typer.Option("--agent", help="What the agent says.")] = False,
    session: Session = None,
    as_json: Json = False,
) -> None:
    """Show or set where memory is kept: hybrid (here and Honcho), honcho, or local (here).

    It is set for the whole workspace unless --session is said, and for both peers unless --user
    or --agent is. A message keeps what was decided when it was captured.
    """
    sides = [side for side, wanted in (("user", user), ("agent", agent)) if wanted]
    if value is None:
        _show(sides or list(_SIDES), session, as_json)
        return
    reports = _set(value, sides, Change(wide=session is None, session=session))
    wanted = Mode(reports[0]["value"])
    otherwise = [
        line
        for line in _sessions(session)
        if any(_mode(line, side) is not wanted for side in sides or _SIDES)
    ]
    if as_json:
        plain = {"changed": reports, "otherwise": [_plain(line) for line in otherwise]}
        typer.echo(json.dumps(plain, ensure_ascii=False))
        return
    tell(reports)
    typer.echo(FROM_THE_NEXT_TURN)
    _tell_otherwise(otherwise, modes_of)


@examples("afterturn enable")
def enable(as_json: Json = False) -> None:
    """Switch memory on again: what `afterturn disable` found is said once more.

    It holds for the whole workspace, from the next turn of every agent.
    """
    before = _former()
    said = _said_wide()
    reports = [_restore(key, before) for key in _OFF if said.get(key) == _OFF[key]]
    with database() as opened, opened.transaction() as connection:
        switching.forget_former(connection, make_workspace(connection, _workspace()))
    _report_switch(True, reports, [line for line in _sessions() if not line.saves], as_json)
    found = effective(Whose())
    if found.loaded.settings.enabled is False and not as_json:
        typer.echo(
            f"Agents of this machine stay off: enabled is false in {found.origin('enabled')}."
        )


@examples("afterturn disable")
def disable(as_json: Json = False) -> None:
    """Switch memory off: nothing is sent to Honcho, and nothing new is asked of it.

    Turns are captured here all the same, and stay here: what is said meanwhile is not sent later.
    What was fetched for a turn that comes next may still be in its prompt. It holds for the whole
    workspace, from the next turn of every agent, until: afterturn enable.
    """
    with database() as opened, opened.transaction() as connection:
        workspace = make_workspace(connection, _workspace())
        said = settings_by_scope(connection, workspace, "", None)[Scope.WORKSPACE]
        former = {key: said[key] for key in _OFF if key in said}
        switching.keep_former(connection, workspace, former)
    reports = [set_value(key, _as_text(value), _WIDE) for key, value in _OFF.items()]
    _report_switch(False, reports, [line for line in _sessions() if line.saves], as_json)


def modes_of(line: SessionLine) -> str:
    """Say where a session's messages are kept, as a list shows it."""
    if not line.saves:
        return "off"
    if line.user_mode is line.agent_mode:
        return line.user_mode.value
    return f"user {line.user_mode}, agent {line.agent_mode}"


def _set(value: str, sides: list[str], change: Change) -> list[dict[str, Any]]:
    if sides:
        return [set_value(_SIDES[side], value, change) for side in sides]
    report = set_value("memoryMode", value, change)
    # A peer's own word at the same place would come before the one for both.
    for key in _SIDES.values():
        unset_value(key, change)
    return [report]


@dataclass(frozen=True, slots=True)
class _Held:
    mode: Mode
    origin: str


def _show(sides: list[str], session: str | None, as_json: bool) -> None:
    found = effective(Whose(session))
    lines = _sessions() if found.asked and found.loaded.settings.database_url else []
    own = next((line for line in lines if line.key == session), None) if session else None
    held = {side: _held(found, side, own) for side in sides}
    saves = own.saves if own else bool(found.value("save_messages"))
    otherwise = (
        [line for line in lines if any(_mode(line, side) is not held[side].mode for side in sides)]
        if session is None
        else []
    )
    if as_json:
        plain: dict[str, Any] = {
            side: {"mode": one.mode.value, "origin": one.origin} for side, one in held.items()
        }
        plain |= {"saveMessages": saves, "otherwise": [_plain(line) for line in otherwise]}
        typer.echo(json.dumps(plain, ensure_ascii=False))
    else:
        for side, one in held.items():
            typer.echo(f"{side}: {one.mode} ({one.origin})")
        if not saves:
            typer.echo("Nothing is sent all the same: saveMessages is false.")
        _tell_otherwise(otherwise, modes_of)
    need_asked(found)


def _held(found: Effective, side: str, own: SessionLine | None) -> _Held:
    """Give one side's mode and where it comes from; a session's agent may have been told otherwise."""
    field = f"{side}_memory_mode"
    nearest = field if found.value(field) is not None else "memory_mode"
    value = found.value(nearest)
    said = Mode(value) if value else Mode.HYBRID
    if own is None:
        return _Held(said, found.origin(nearest))
    mode = _mode(own, side)
    shared = found.origin(nearest).startswith("Postgres") and mode is said
    return _Held(mode, found.origin(nearest) if shared else "as its agent is configured")


def _restore(key: str, before: dict[str, Any]) -> dict[str, Any]:
    if key in before:
        return set_value(key, _as_text(before[key]), _WIDE)
    return unset_value(key, _WIDE)


def _report_switch(
    on: bool, reports: list[dict[str, Any]], otherwise: list[SessionLine], as_json: bool
) -> None:
    if as_json:
        plain = {
            "enabled": on,
            "workspace": _workspace(),
            "changed": reports,
            "otherwise": [line.key for line in otherwise],
        }
        typer.echo(json.dumps(plain, ensure_ascii=False))
        return
    tell(reports)
    if on and not reports:
        typer.echo(f"Memory was not switched off in workspace {_workspace()}.")
    else:
        state = "on" if on else "off"
        typer.echo(f"Memory is {state} in workspace {_workspace()}. {FROM_THE_NEXT_TURN}")
    _tell_otherwise(otherwise, lambda line: "sent" if line.saves else "not sent")


def _tell_otherwise(lines: list[SessionLine], what: Callable[[SessionLine], str]) -> None:
    """Name sessions in which something else holds: they, or their agents, have a word of their own."""
    if not lines:
        return
    named = ", ".join(f"{line.key} ({what(line)})" for line in lines[:_NAMED])
    more = f" and {len(lines) - _NAMED} more" if len(lines) > _NAMED else ""
    typer.echo(f"Otherwise in {named}{more}; see: afterturn sessions")


def _sessions(session: str | None = None) -> list[SessionLine]:
    with database() as opened, opened.statement() as connection:
        return list_sessions(connection, _workspace(), key=session, most=_MOST)


def _said_wide() -> dict[str, Any]:
    with database() as opened, opened.statement() as connection:
        workspace = workspace_id(connection, _workspace())
        if workspace is None:
            return {}
        return settings_by_scope(connection, workspace, "", None)[Scope.WORKSPACE]


def _former() -> dict[str, Any]:
    with database() as opened, opened.statement() as connection:
        workspace = workspace_id(connection, _workspace())
        return {} if workspace is None else switching.former(connection, workspace)


def _workspace() -> str:
    return load().settings.workspace


def _mode(line: SessionLine, side: str) -> Mode:
    return line.user_mode if side == "user" else line.agent_mode


def _plain(line: SessionLine) -> dict[str, str]:
    return {"session": line.key, "user": line.user_mode.value, "agent": line.agent_mode.value}


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
