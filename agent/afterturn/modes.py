"""The memory modes in force here and now, for what an agent writes on its own machine.

A capture reads them in its own statement and needs nothing of this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from afterturn_models.errors import SchemaError, StoreUnavailableError
from afterturn_models.policy.mode import AGENT_KEYS, USER_KEYS, resolve_mode
from afterturn_models.store.sessions import workspace_id
from afterturn_models.store.settings import settings_by_scope
from afterturn_models.values import Scope

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from afterturn.services import Services
    from afterturn.session import Session
    from afterturn_models.values import Mode

_Said = dict[Scope, dict[str, Any]]


class CurrentModes:
    """The user's and the agent's mode, asked of Postgres at each call.

    While Postgres cannot be asked, what it said last holds, and where it has said nothing yet,
    the configuration: a machine without its database goes on as it was told to, rather than stop
    writing what may exist nowhere else.
    """

    def __init__(self, services: Services, session: Session | None = None) -> None:
        """With a `session`, what is said for it and its agent counts; else for the agent."""
        self._services = services
        self._session = session
        self._known: _Said = {}

    def __call__(self) -> tuple[Mode, Mode]:
        """Give both modes, the user's first; never raises for a Postgres that is away."""
        said = self._known = self._ask() or self._known
        layers = self._services.told.layers(said)
        return resolve_mode(layers, USER_KEYS), resolve_mode(layers, AGENT_KEYS)

    def _ask(self) -> _Said | None:
        capturer = self._services.capturer
        if capturer.away:
            return None
        try:
            return self._read()
        except (StoreUnavailableError, SchemaError) as error:
            capturer.note_away(error)
            return None

    def _read(self) -> _Said | None:
        session, names = self._session, self._services.names
        opened = session.opened() if session else None
        if session and opened is None:
            return None
        agent = session.agent_peer if session else names.settings().ai_peer
        with self._services.database.statement() as connection:
            workspace = opened.workspace_id if opened else self._workspace(connection)
            if workspace is None:
                return {scope: {} for scope in Scope}  # nobody has said anything there yet
            return settings_by_scope(connection, workspace, agent, opened.id if opened else None)

    def _workspace(self, connection: Connection) -> int | None:
        return workspace_id(connection, self._services.settings.workspace)
