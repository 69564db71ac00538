"""`afterturn sync`: what is held back or waits its time is sent now."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from afterturn.cli.examples import examples
from afterturn.cli.settle import Json, Session  # noqa: TC001 - Typer reads the annotations
from afterturn.services import Services
from afterturn.sync_wait import settled
from afterturn.tools.calling import attended
from afterturn_models.errors import ConfigurationError
from afterturn_models.settings import load
from afterturn_models.store.due import raise_to_end
from afterturn_models.store.naming import list_sessions

if TYPE_CHECKING:
    from afterturn_models.store.naming import SessionLine

_EVERY = 10_000_000  # of sessions: as many as there are
_NO_WORKER = "No worker has taken a task lately; it is sent when one does. See: afterturn status"


def register(app: typer.Typer) -> None:
    """Add this module's command to `app`."""
    app.command()(sync)


@dataclass(frozen=True, slots=True)
class _Due:
    line: SessionLine
    target: int


@examples("afterturn sync", "afterturn sync --wait", "afterturn sync --session cli --wait --json")
def sync(
    session: Session = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until it is at Honcho.")] = False,
    timeout: Annotated[
        float, typer.Option(min=0.1, max=86_400, help="Seconds that --wait waits at most.")
    ] = 60.0,
    as_json: Json = False,
) -> None:
    """Have everything captured sent now, whatever the write frequency holds back.

    Turns that this machine spooled are brought in first. A session that waits for a back-off goes
    on when that has passed. Exit status 1 where --wait was said and something is not settled.
    """
    services = Services(load())
    try:
        spooled = services.capturer.drain()
        due = _make_due(services, session)
        left = _wait(services, due, time.monotonic() + timeout) if wait else []
        unheard = bool(due) and not attended(services)
    finally:
        services.close()
    report = {
        "sessions": len(due),
        "messages": sum(one.line.lag for one in due),
        "spooled": spooled,
        "waited": wait,
        "unsettled": [one.line.key for one in left],
        "workers": not unheard,
    }
    if as_json:
        typer.echo(json.dumps(report, ensure_ascii=False))
    else:
        for sentence in _sentences(due, left, waited=wait, unheard=unheard):
            typer.echo(sentence)
    if left:
        raise typer.Exit(1)


def _make_due(services: Services, session: str | None) -> list[_Due]:
    """Make all of each session due by a statement of its own, which holds up no agent's turn."""
    workspace = services.settings.workspace
    with services.database.statement() as connection:
        if session and not list_sessions(connection, workspace, key=session, most=1):
            raise ConfigurationError(f"there is no session {session!r}; see: afterturn sessions")
        lines = list_sessions(connection, workspace, key=session, waiting=True, most=_EVERY)
    due = []
    for line in lines:
        with services.database.statement() as connection:
            target = raise_to_end(connection, line.id)
        if target is not None:
            services.dispatcher.hint(line.id)
            due.append(_Due(line, target))
    return due


def _wait(services: Services, due: list[_Due], deadline: float) -> list[_Due]:
    """Give what is not settled when the deadline has passed."""
    return [
        one
        for one in due
        if not settled(services.database, one.line.id, one.target, deadline, patiently=True)
    ]


def _sentences(due: list[_Due], left: list[_Due], *, waited: bool, unheard: bool) -> list[str]:
    if not due:
        return ["Everything that was captured is settled."]
    messages = sum(one.line.lag for one in due)
    whole = f"{messages} messages of {len(due)} sessions"
    if left:
        names = ", ".join(one.line.key for one in left[:5])
        said = [f"{whole} are due; not settled in time: {names}{', …' if len(left) > 5 else ''}."]
    else:
        said = [f"{whole} are {'settled' if waited else 'on their way'}."]
    return [*said, _NO_WORKER] if unheard else said
