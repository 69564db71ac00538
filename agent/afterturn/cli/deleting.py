"""Deleting a session for a command: here, or by a worker at Honcho as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from afterturn.cli.asked import Asking, Place, value_of
from afterturn.services import Services
from afterturn_models.asks import Op
from afterturn_models.errors import AfterturnError
from afterturn_models.settings import load
from afterturn_models.store.deleting import Deletion, delete_session

if TYPE_CHECKING:
    from afterturn_models.db import Database
    from afterturn_models.store.naming import SessionLine

_SECONDS = 60.0  # that a worker has for it
_WHY = {
    Deletion.GONE: "{key} was deleted already",
    Deletion.SENDING: "messages of {key} are being sent just now; try again in a moment",
    Deletion.UNKNOWN: (
        "it is not known yet whether the last messages of {key} are at Honcho; try again in a"
        " minute, or say --unsent-too"
    ),
}


def delete_here(opened: Database, session: SessionLine, *, unknown_too: bool) -> None:
    """Delete a session here; raises AfterturnError, which says why not."""
    with opened.statement() as connection:
        came = delete_session(connection, session.id, unknown_too=unknown_too)
    if came is not Deletion.DONE:
        raise AfterturnError(_WHY[came].format(key=session.key))
    typer.echo(f"{session.key} is deleted.")


def delete_everywhere(session: SessionLine) -> None:
    """Have a worker delete a session at Honcho, and then here; only workers hold its key."""
    services = Services(load())
    place = Place(session.id, session.key, session.user_peer, session.agent_peer)
    try:
        answer = Asking(services, place).ask(Op.DELETE_SESSION, {}, seconds=_SECONDS)
    finally:
        services.close()
    value = value_of(answer, as_json=False)
    typer.echo(f"{session.key} is deleted here, with {value['messages']} messages.")
    deleted, absent, shared = (", ".join(value[name]) for name in ("deleted", "absent", "shared"))
    if deleted:
        typer.echo(f"Honcho deletes {deleted}, and what it concluded there.")
    if absent:
        typer.echo(f"Honcho had no session {absent}.")
    if shared:
        typer.echo(f"At Honcho {shared} stays: messages of another session here are in it.")
