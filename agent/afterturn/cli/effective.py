"""Effective settings for one command: every source of this machine, and what Postgres holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic.alias_generators import to_camel

from afterturn_models.db import Database
from afterturn_models.errors import AfterturnError, ConfigurationError
from afterturn_models.policy.ids import honcho_id
from afterturn_models.secret_values import shown
from afterturn_models.settings import GIVEN, OFF, Loaded, load, tell_warnings
from afterturn_models.settings_model import FIELDS
from afterturn_models.store.sessions import workspace_id
from afterturn_models.store.settings import session_called, shared_sources

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import Connection

    from afterturn_models.settings import Settings
    from afterturn_models.sources import Source

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose settings are meant: one session's, or one agent's, or what holds for all."""

    session: str | None = None
    agent: str | None = None


@dataclass(frozen=True, slots=True)
class Effective:
    """What holds, and how Postgres was: `ok`, not configured, or why it could not be asked."""

    loaded: Loaded
    postgres: str
    asked: bool  # everything that counts was asked: Postgres, or nobody where there is none

    def value(self, field: str) -> Any:
        """Give a setting's value as JSON, with passwords masked."""
        dumped = self.loaded.settings.model_dump(mode="json", include={field})
        return shown(field, dumped[field])

    def origin(self, field: str) -> str:
        """Say where a setting's value comes from, for people."""
        settings, origins = self.loaded.settings, self.loaded.origins
        if settings.enabled is False and field in OFF and origins.get(field) == GIVEN:
            return f"enabled is false: {origins['enabled']}"
        return origins.get(field, DEFAULT)

    def also(self, field: str) -> list[dict[str, Any]]:
        """Give what other places say of a setting, which does not count; nearest first."""
        said = [
            {"origin": source.place(field), "value": shown(field, source.values[field])}
            for source in self.loaded.sources
            if field in source.values
        ]
        return [one for one in said if one["origin"] != self.origin(field)]

    def as_dict(self) -> dict[str, Any]:
        """Give every setting by its name in files."""
        return {
            to_camel(field): {
                "value": self.value(field),
                "origin": self.origin(field),
                "also": self.also(field),
            }
            for field in FIELDS
        }


def effective(whose: Whose) -> Effective:
    """Find what holds. Raises ConfigurationError for a wrong value and for an unknown session.

    What was said to no effect is told on stderr, as logs are. A Postgres that cannot be asked is told of in the result, unless a session was named.
    """
    loaded = load()
    url = loaded.settings.database_url
    if not url:
        if whose.session:
            loaded.settings.need_database_url()
        return Effective(loaded, "not configured", asked=True)
    database = Database(url, pool_size=1, name="afterturn-cli")
    try:
        with database.statement() as connection:
            shared = _shared(connection, loaded, whose)
    except ConfigurationError:
        raise
    except AfterturnError as error:
        if whose.session:
            raise
        return Effective(loaded, str(error), asked=False)
    finally:
        database.close()
    merged = loaded.with_shared(shared)
    tell_warnings(merged)
    return Effective(merged, "ok", asked=True)


def _shared(connection: Connection, loaded: Loaded, whose: Whose) -> list[Source]:
    name = loaded.settings.workspace
    workspace = workspace_id(connection, name)
    if workspace is None:
        if whose.session:
            raise _unknown(whose.session, name)
        return []  # nobody has said anything there yet
    agent = honcho_id(whose.agent) if whose.agent else loaded.settings.ai_peer
    if whose.session is None:
        return shared_sources(connection, workspace, agent, workspace=name)
    session, of_session = found_session(connection, workspace, loaded.settings, whose.session)
    return shared_sources(
        connection,
        workspace,
        agent if whose.agent else of_session,
        session,
        workspace=name,
        session=whose.session,
    )


def found_session(
    connection: Connection, workspace: int, settings: Settings, key: str
) -> tuple[UUID, str]:
    """Give a session's id and its agent's peer; raises ConfigurationError where there is none."""
    found = session_called(connection, workspace, key)
    if found is None:
        raise _unknown(key, settings.workspace)
    return found


def _unknown(key: str, workspace: str) -> ConfigurationError:
    return ConfigurationError(
        f"there is no session called {key!r} in workspace {workspace}; see: afterturn sessions"
    )
