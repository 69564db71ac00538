"""Changes of settings from the command line: in Postgres at a scope, or in our file."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic.alias_generators import to_camel

from afterturn.cli.effective import DEFAULT, Whose, effective, found_session
from afterturn.notices import tell
from afterturn_models.config_file import set_in_file, unset_in_file
from afterturn_models.db import Database
from afterturn_models.errors import AfterturnError, ConfigurationError
from afterturn_models.policy.ids import honcho_id
from afterturn_models.recall_settings import FIELDS
from afterturn_models.secret_values import KEY_NAMES, has_password
from afterturn_models.settings import load
from afterturn_models.settings_model import JSON_FIELDS
from afterturn_models.shared import (
    HERE_UNLESS_SAID,
    SHARED,
    field_called,
    postgres_place,
    shareable,
    valid,
)
from afterturn_models.sources import ENV_PREFIX, our_file
from afterturn_models.store.settings import set_setting, unset_setting
from afterturn_models.store.workspaces import make_workspace
from afterturn_models.values import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from afterturn_models.settings import Settings

_SECRETS = KEY_NAMES | {"targets", "oauth"}


@dataclass(frozen=True, slots=True)
class Change:
    """Where a change is to go: one of these, or by the setting's kind where none is said."""

    wide: bool = False
    agent: str | None = None
    session: str | None = None
    file: bool = False

    def scope(self, field: str) -> Scope | None:
        """Give the scope in Postgres; None for our file. Raises ConfigurationError."""
        chosen = [self.wide, self.agent is not None, self.session is not None, self.file]
        if sum(chosen) > 1:
            raise ConfigurationError(
                "choose one of --workspace-wide, --agent, --session and --file"
            )
        if self.session is not None:
            return Scope.SESSION
        if self.agent is not None:
            return Scope.AGENT
        shared = field in SHARED and field not in HERE_UNLESS_SAID
        return Scope.WORKSPACE if self.wide or (shared and not self.file) else None


def set_value(key: str, text: str, change: Change) -> dict[str, Any]:
    """Set a setting as the command line says it, and give a report of it.

    Raises ConfigurationError for what cannot be, and whatever keeps it from being written.
    """
    _refuse_secret(key, text)
    field, value = valid(key, _parsed(key, text))
    scope = change.scope(field)
    if scope is not None:
        shareable(key, value, scope)
    _refuse_together(field, value, change)
    if scope is None:
        set_in_file(our_file(), field, to_camel(field), value)
        return _report(field, value, str(our_file()), change)
    with _place(scope, change) as (connection, workspace, subject, place):
        set_setting(connection, workspace, scope, subject, to_camel(field), value)
    return _and_told(_report(field, value, place, change), field)


def unset_value(key: str, change: Change) -> dict[str, Any]:
    """Say nothing of a setting any more, and give a report of it; raises as `set_value`."""
    _refuse_secret(key, "")
    field = field_called(key)
    scope = change.scope(field)
    _refuse_together(field, None, change)
    if scope is None:
        place, was = str(our_file()), unset_in_file(our_file(), field)
    else:
        with _place(scope, change) as (connection, workspace, subject, place):
            was = unset_setting(connection, workspace, scope, subject, to_camel(field))
    report = _unset_report(field, place, was=was)
    return report if scope is None else _and_told(report, field)


def _unset_report(field: str, place: str, *, was: bool) -> dict[str, Any]:
    said = "is not said any more" if was else "was not said"
    return {
        "key": to_camel(field),
        "place": place,
        "unset": was,
        "sentence": f"{to_camel(field)} {said} in {place}.",
        "shadowed": None,
    }


def _and_told(report: dict[str, Any], field: str) -> dict[str, Any]:
    """Tell the agents that run, once it is committed; where they cannot be told, say so."""
    settings = load().settings
    told = settings.redis_url is not None and tell(settings.redis_url, settings.workspace)
    if not told and field in FIELDS:
        report["sentence"] += (
            " Redis is away, so running agents were not told: they notice at the end of their"
            " next turn."
        )
    return {**report, "told": told}


def _refuse_secret(key: str, text: str) -> None:
    if key in _SECRETS:
        variable = f"{ENV_PREFIX}TARGETS" if key == "targets" else f"{ENV_PREFIX}HONCHO_API_KEY"
    elif has_password(text):
        variable = f"{ENV_PREFIX}{field_called(key).upper()}"
    else:
        return
    raise ConfigurationError(
        f"{key} is a secret, and a command line is read by others: set {variable} in the"
        f" environment, or write it into {our_file()} yourself and run: chmod 600 {our_file()}"
    )


def _parsed(key: str, text: str) -> Any:
    if field_called(key) not in JSON_FIELDS:
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigurationError(
            f"{key} is written as JSON here, and this is none: {error}"
        ) from None


def _refuse_together(field: str, value: Any, change: Change) -> None:
    """Refuse what cannot be beside the settings that hold, where those are sound themselves."""
    try:
        holds = effective(Whose(change.session, change.agent)).loaded
    except ConfigurationError:
        if change.session is not None:
            raise
        return  # what is wrong already is mended by commands such as this one
    scope = change.scope(field)
    place = str(our_file()) if scope is None else _name(scope, holds.settings, change)
    holds.changed(place, field, value)


def _name(scope: Scope, settings: Settings, change: Change) -> str:
    """Name a place in Postgres, as effective settings do."""
    agent = honcho_id(change.agent or settings.ai_peer)
    names = {Scope.WORKSPACE: settings.workspace, Scope.AGENT: agent}
    return postgres_place(scope, names.get(scope, change.session or ""))


@contextmanager
def _place(scope: Scope, change: Change) -> Iterator[tuple[Connection, int, str, str]]:
    """Open Postgres at a scope: the connection, the workspace, the subject, and its name."""
    settings = load().settings
    if not settings.database_url:
        raise ConfigurationError(
            "no database: this setting is shared, and kept in Postgres; set"
            " AFTERTURN_DATABASE_URL, start everything with: afterturn up, or say --file"
        )
    database = Database(settings.database_url, pool_size=1, name="afterturn-cli")
    try:
        with database.transaction() as connection:
            workspace = make_workspace(connection, settings.workspace)
            subject = ""
            if scope is Scope.AGENT:
                subject = honcho_id(change.agent or settings.ai_peer)
            elif scope is Scope.SESSION:
                found = found_session(connection, workspace, settings, change.session or "")
                subject = str(found[0])
            yield connection, workspace, subject, _name(scope, settings, change)
    finally:
        database.close()


def _report(field: str, value: Any, place: str, change: Change) -> dict[str, Any]:
    key = to_camel(field)
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return {
        "key": key,
        "value": value,
        "place": place,
        "sentence": f"{key} is {shown} in {place}.",
        "shadowed": _shadow(field, place, change),
    }


def _shadow(field: str, place: str, change: Change) -> str | None:
    """Name what counts instead of what was just said; None where that counts."""
    try:
        found = effective(Whose(change.session, change.agent))
    except AfterturnError:
        return None  # it was written; what is wrong elsewhere is said by `config show`
    origin = found.origin(field)
    if origin == DEFAULT:  # a shorthand that is nearer comes before a peer's own mode
        origin = found.origin("memory_mode")
    return None if origin == place or not found.asked else origin
