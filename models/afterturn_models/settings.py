"""Settings: every value that is configured, typed and validated in one place.

Sources, first wins: keyword arguments, `AFTERTURN_*`, `$AFTERTURN_HOME/config.json`,
`~/.honcho/config.json` (host block `afterturn` before its root), `HONCHO_*`, the stack that
`afterturn up` runs under the same home, defaults. What Postgres holds (modes, frequency) comes
between the first two and is read where it counts, in the capture's own statement.

Honcho's key is not a setting: it never enters an agent process (see `afterturn_worker.honcho`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from afterturn_models.errors import ConfigurationError
from afterturn_models.policy.ids import honcho_id
from afterturn_models.policy.noise import NoisePatterns
from afterturn_models.policy.write_frequency import ASYNC, parse_frequency
from afterturn_models.recall_settings import RecallSettings
from afterturn_models.sources import Source, sources
from afterturn_models.values import Mode

if TYPE_CHECKING:
    from collections.abc import Mapping


def _compiles(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a pattern that is no expression while it can still be said where it stands."""
    NoisePatterns.compile(patterns)
    return patterns


Frequency = Annotated[str, BeforeValidator(parse_frequency)]
Id = Annotated[str, BeforeValidator(lambda value: honcho_id(str(value)) if value else value)]
Patterns = Annotated[tuple[str, ...], AfterValidator(_compiles)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
LEASE_MARGIN = 2.0  # seconds of a lease that no request may use
_PEER_MODES = ("user_memory_mode", "agent_memory_mode")
HOSTED_HONCHO = "https://api.honcho.dev"


class Settings(RecallSettings):
    """The effective settings of one process; immutable.

    Field names are snake_case in Python and in `AFTERTURN_*`, camelCase in files, as the spec
    and the other Honcho integrations write them. Those of recall are in `RecallSettings`.
    """

    # where things are
    database_url: str | None = None
    redis_url: str | None = None
    honcho_url: str | None = Field(
        None, validation_alias=AliasChoices("honchoUrl", "baseUrl", "honcho_url")
    )

    # who is who
    workspace: Id = Field(
        "afterturn", validation_alias=AliasChoices("workspace", "workspaceId"), min_length=1
    )
    peer_name: Id = Field("user", min_length=1)
    ai_peer: Id = Field("agent", min_length=1)

    # what is written
    memory_mode: Mode | None = None
    user_memory_mode: Mode | None = None
    agent_memory_mode: Mode | None = None
    write_frequency: Frequency = ASYNC
    save_messages: bool = True

    # what is captured
    strip_metadata: bool = True
    metadata_patterns: Patterns = ()
    noise_patterns: Patterns = ()
    disable_default_noise_patterns: bool = False
    sync_tool_messages: bool = False

    # how sessions are named
    session_strategy: str = Field("per-directory", pattern="^(per-directory|global)$")
    session_peer_prefix: bool = False
    sessions: dict[str, str] = Field(default_factory=dict)

    # who a platform's users are
    pin_user_peer: bool = False
    user_peer_aliases: dict[str, Id] = Field(default_factory=dict)
    runtime_peer_prefix: str | None = None

    # what tools may do, in seconds, and where local memory is
    tool_seconds: Seconds = 10.0
    ask_seconds: Seconds = 25.0
    memory_folder: str | None = None
    qmd_command: str | None = None
    history_cache_entries: int = Field(256, ge=1, le=100_000)

    # how long things may take, in seconds; together they bound a killed worker's delay:
    # lease + settling + two ticks of the relay
    lease_seconds: Seconds = 20.0
    request_seconds: Seconds = 10.0
    settling_seconds: Seconds = 12.0
    relay_seconds: Seconds = 3.0
    idle_seconds: Seconds = 300.0
    chat_seconds: Seconds = 60.0
    turn_sync_seconds: Seconds = 10.0

    # how much all workers together send to one Honcho; 0 is as much as they can
    max_in_flight: int = Field(64, ge=0, le=10_000)
    requests_per_second: float = Field(0.0, ge=0, le=100_000)

    @model_validator(mode="after")
    def _request_within_lease(self) -> Self:
        if self.request_seconds + LEASE_MARGIN > self.lease_seconds:
            raise ValueError(
                f"leaseSeconds ({self.lease_seconds:g}) must exceed requestSeconds"
                f" ({self.request_seconds:g}) by {LEASE_MARGIN:g} at least"
            )
        return self

    def need_database_url(self) -> str:
        """Give the database's URL; raises ConfigurationError where none is configured."""
        return _configured(self.database_url, "database", "DATABASE")

    def need_redis_url(self) -> str:
        """Give Redis' URL; raises ConfigurationError where none is configured."""
        return _configured(self.redis_url, "Redis", "REDIS")

    def naming_peer(self) -> str | None:
        """Give the peer that goes in front of session keys; None where none is wanted."""
        return self.peer_name if self.session_peer_prefix else None


def _configured(url: str | None, what: str, variable: str) -> str:
    if not url:
        raise ConfigurationError(
            f"no {what}: set AFTERTURN_{variable}_URL, or start everything with: afterturn up"
        )
    return url


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and for each field that was said somewhere, where."""

    settings: Settings
    origins: Mapping[str, str] = field(default_factory=dict)


def load(overrides: Mapping[str, Any] | None = None, env: Mapping[str, str] = os.environ) -> Loaded:
    """Read every source and validate what they say together.

    `overrides` are keyword arguments by field name; None there means "not said". Raises
    ConfigurationError, which names the source, the key and what is allowed.
    """
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    unknown = sorted(set(given) - set(Settings.model_fields))
    if unknown:
        raise ConfigurationError(f"there is no setting called {unknown[0]!r}")
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for source in [Source("keyword arguments", given), *sources(env, _field_names())]:
        # The nearest source that says anything about a mode wins: a shorthand there comes before
        # a per-peer field further away, or text that was to stay here would be sent.
        decided = {*merged, *(_PEER_MODES if "memory_mode" in merged else ())}
        for name, value in source.values.items():
            if name not in decided:
                merged[name] = value
                origins[name] = source.name
    return Loaded(_validated(merged, origins), origins)


def _field_names() -> dict[str, str]:
    """Give every name that files may use for a field: camelCase, snake_case, and aliases."""
    names: dict[str, str] = {}
    for name, info in Settings.model_fields.items():
        names[name] = name
        names[to_camel(name)] = name
        if isinstance(info.validation_alias, AliasChoices):
            names.update({str(choice): name for choice in info.validation_alias.choices})
    return names


def _validated(merged: dict[str, Any], origins: dict[str, str]) -> Settings:
    try:
        return Settings.model_validate(merged, by_name=True, by_alias=False)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        place = f"{origins.get(name, 'defaults')}: {to_camel(name)}" if name else "settings"
        raise ConfigurationError(
            f"{place}: {first['msg'].removeprefix('Value error, ')}"
        ) from None  # the cause would quote the value, which may be a URL with a password
