"""Shared settings: which of them Postgres may hold, at which scope, and what they may be.

What is set for a workspace, an agent or a session is checked here by the same model as all other
configuration, before it is written and again when it is read: anybody may write to the table.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from afterturn_models import compaction_settings, recall_settings
from afterturn_models.errors import ConfigurationError
from afterturn_models.keys import IGNORED, field_of, nearest
from afterturn_models.settings_model import FIELDS, Settings
from afterturn_models.sources import Source
from afterturn_models.values import Scope

if TYPE_CHECKING:
    from collections.abc import Mapping

_ANY = (Scope.WORKSPACE, Scope.AGENT, Scope.SESSION)
_BEFORE_SESSIONS = (Scope.WORKSPACE, Scope.AGENT)  # what a session is named by, and who speaks
SHARED: dict[str, tuple[Scope, ...]] = {
    **dict.fromkeys(("memory_mode", "user_memory_mode", "agent_memory_mode"), _ANY),
    **dict.fromkeys(("write_frequency", "save_messages"), _ANY),
    **dict.fromkeys(("session_strategy", "session_peer_prefix", "gateway_first"), _BEFORE_SESSIONS),
    **dict.fromkeys(
        ("peer_name", "pin_user_peer", "user_peer_aliases", "runtime_peer_prefix"), _BEFORE_SESSIONS
    ),
    "sessions": (Scope.WORKSPACE,),  # in a table of its own, a row for each directory
    **dict.fromkeys(recall_settings.FIELDS, _ANY),
    **dict.fromkeys(compaction_settings.FIELDS, _ANY),
}


# Kept in Postgres only where that is asked for: machines of several people may share one, and what
# is said there of who speaks would make one person of them.
HERE_UNLESS_SAID = frozenset({"peer_name"})
# What a session is opened by. Agents that run go by what is said of it now, in files as well.
OPENED_BY = frozenset(
    {"ai_peer", *(name for name, scopes in SHARED.items() if Scope.SESSION not in scopes)}
)


def field_called(key: str) -> str:
    """Give the field that `key` names in whatever spelling; raises ConfigurationError."""
    alias = field_of(key, FIELDS)
    if alias is not None:
        return alias.field
    if key in IGNORED:
        raise ConfigurationError(f"{key} is no setting of afterturn's: {IGNORED[key]}")
    meant = nearest(key, FIELDS)
    hint = f"; did you mean {meant}?" if meant else ""
    raise ConfigurationError(f"there is no setting called {key!r}{hint}")


def valid(key: str, value: Any) -> tuple[str, Any]:
    """Give the field that `key` names and its value as JSON; raises ConfigurationError.

    What settings may be only together is not looked at: the others may be said elsewhere.
    """
    field = field_called(key)
    alias = field_of(key, FIELDS)
    try:
        found = _adapter(field).validate_python(alias.convert(value) if alias else value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ConfigurationError(f"{key}: {first['msg'].removeprefix('Value error, ')}") from None
    return field, _adapter(field).dump_python(found, mode="json")


def shareable(key: str, value: Any, scope: Scope) -> tuple[str, Any]:
    """Give the key and the value as Postgres holds them at `scope`; raises ConfigurationError."""
    field, found = valid(key, value)
    if found is None:
        raise ConfigurationError(f"{key}: there is nothing to set; unset it instead")
    scopes = SHARED.get(field)
    if scopes is None:
        raise ConfigurationError(f"{key} belongs to one machine and is not kept in Postgres")
    if scope not in scopes:
        kept = " and ".join(known.value for known in scopes)
        raise ConfigurationError(f"{key} is kept for {kept}, and not for one {scope.value}")
    return to_camel(field), found


def shared_source(scope: Scope, name: str, said: Mapping[str, Any]) -> Source:
    """Give what Postgres says at one scope as a source of settings; `name` is the scope's own.

    What cannot be is left out and named in a warning; a name that begins with `_` is a note, as it
    is in files.
    """
    place = postgres_place(scope, name)
    values: dict[str, Any] = {}
    warnings = []
    for key, value in said.items():
        if key.startswith("_"):
            continue
        try:
            stored, found = shareable(key, value, scope)
        except ConfigurationError as error:
            warnings.append(f"{place}: {error}")
            continue
        if stored == key:
            values[field_called(key)] = found
        else:
            warnings.append(f"{place}: {key} is not looked at; {stored} would be")
    return Source(place, values, {field: to_camel(field) for field in values}, tuple(warnings))


def postgres_place(scope: Scope, name: str) -> str:
    """Name a scope in Postgres, for people."""
    return f"Postgres ({scope.value} {name})"


@cache
def _adapter(field: str) -> TypeAdapter[Any]:
    info = Settings.model_fields[field]
    kind: Any = info.annotation
    return TypeAdapter(Annotated[(kind, *info.metadata)] if info.metadata else kind)
