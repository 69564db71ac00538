"""What a command asks of Honcho through a worker, about the session that it is asked in."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from afterturn.cli.connected import services
from afterturn.cli.failures import FAILED
from afterturn.identity import pair_of
from afterturn.opening import opening
from afterturn.tools.arguments import checked
from afterturn.tools.calling import attended
from afterturn.tools.parameters import ArgumentError, Who
from afterturn_models.asks import Answer, Failure, Op
from afterturn_models.errors import AfterturnError, ConfigurationError
from afterturn_models.policy.session_name import CHOSEN, Conversation
from afterturn_models.policy.who import Runtime
from afterturn_models.store.identity import open_identity
from afterturn_models.store.naming import list_sessions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from uuid import UUID

    from afterturn.services import Services
    from afterturn.tools.table import Tool
    from afterturn_models.store.naming import SessionLine

_NO_WORKER = "no worker has taken a task lately, and only workers ask Honcho; see: afterturn status"


@dataclass(frozen=True, slots=True)
class Place:
    """The session in which something is asked: its name, its user's peer and its agent's."""

    id: UUID
    key: str
    user: str
    agent: str


class Asking:
    """Asks of one command, in one session."""

    def __init__(self, services: Services, place: Place) -> None:
        self._services = services
        self.place = place

    def tool(self, tool: Tool, arguments: Mapping[str, Any]) -> Answer:
        """Ask what a tool would; raises ConfigurationError for arguments that it does not take."""
        assert isinstance(tool.op, Op)  # it is for the tools that commands use
        place, settings = self.place, self._services.settings
        try:
            given = checked(tool, arguments, Who(place.user, place.agent, place.key))
        except ArgumentError as error:
            raise ConfigurationError(str(error)) from None
        slow = tool.deadline == "llm"
        seconds = settings.ask_seconds if slow else settings.tool_seconds
        return self.ask(tool.op, {**tool.fixed, **given}, seconds=seconds)

    def ask(self, op: Op, arguments: Mapping[str, Any], *, seconds: float | None = None) -> Answer:
        """Ask, and wait for the answer."""
        if not attended(self._services):
            return Answer(failure=Failure.OUTAGE, sentence=_NO_WORKER)
        return self._services.asker.ask(
            self.place.id,
            op,
            arguments,
            user=self.place.user,
            seconds=seconds or self._services.settings.tool_seconds,
        )


@contextmanager
def asking(session: str | None) -> Iterator[Asking]:
    """Open what asking takes, in the session of that name, or else in this directory's.

    Where this directory has none yet, in the agent's own. No session is opened anew that an agent
    has: what it was told of modes stays as it is. Raises ConfigurationError for an unknown name.
    """
    with services() as opened:
        yield Asking(opened, place_of(opened, session))


def place_of(services: Services, session: str | None) -> Place:
    """Find the session of that name, or else this directory's; raises ConfigurationError."""
    return _named(services, session) if session else _here(services)


def value_of(answer: Answer, as_json: bool) -> Any:
    """Give an answer's value; where there is none, say why and end with exit status 1."""
    if answer.failure is None:
        return answer.value
    if not as_json:
        raise AfterturnError(answer.sentence)
    typer.echo(json.dumps({"error": answer.sentence, "failure": answer.failure.value}))
    raise typer.Exit(FAILED)


def _named(services: Services, key: str) -> Place:
    found = _find(services, key)
    if found is None:
        raise ConfigurationError(f"there is no session {key!r}; see: afterturn sessions")
    return _place(found)


def _here(services: Services) -> Place:
    said = Conversation(directory=str(Path.cwd()))
    spec = opening(services, said, user=None, agent=None, runtime=Runtime()).spec
    for key in (spec.key, spec.apart):
        found = _find(services, key) if key else None
        mapped = (spec.source or "").startswith(f"{CHOSEN}:")
        if found is not None and (mapped or found.source in {None, spec.source}):
            return _place(found)
    pair = pair_of(services.names.settings())
    with services.database.statement() as connection:
        own = open_identity(connection, pair, pair.agent, services.profile)
    return Place(own.id, own.key, pair.owner, pair.agent)


def _find(services: Services, key: str) -> SessionLine | None:
    with services.database.statement() as connection:
        found = list_sessions(connection, services.settings.workspace, key=key, most=1)
    return found[0] if found else None


def _place(line: SessionLine) -> Place:
    return Place(line.id, line.key, line.user_peer, line.agent_peer)
