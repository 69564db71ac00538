"""Settings: every source read, merged in order of precedence, and validated by one model.

Sources, first wins: keyword arguments, Postgres (session, agent, workspace), `AFTERTURN_*`,
`$AFTERTURN_HOME/config.json`, `~/.honcho/config.json` (in each the host block `afterturn` before
the root), `HONCHO_*`, the stack that `afterturn up` runs under the same home, defaults. What
Postgres holds is read where it counts: of modes and frequency in the capture's own statement, of
recall when a session is opened and in each task; `Loaded.with_shared` lays it over the rest.

Honcho's key is not a setting: it never enters an agent process (see `afterturn_worker.honcho`).
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from afterturn_models.errors import ConfigurationError
from afterturn_models.keys import nearest
from afterturn_models.settings_model import (
    FIELDS,
    HOSTED_HONCHO,
    JSON_FIELDS,
    LEASE_MARGIN,
    LOCAL_HONCHO,
    Settings,
)
from afterturn_models.sources import HOST, Source, honcho_file, sources

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

__all__ = ["HOSTED_HONCHO", "LEASE_MARGIN", "Loaded", "Settings", "load", "read", "tell_warnings"]

log = logging.getLogger("afterturn.settings")

GIVEN = "keyword arguments"
_PEER_MODES = ("user_memory_mode", "agent_memory_mode")
# What `enabled: false` comes to. Nothing overrules it: these count as keyword arguments.
OFF: dict[str, Any] = {
    "save_messages": False,
    "context_cadence": 0,
    "dialectic_cadence": 0,
    "recall_mode": "context",
}
_AFTER_REQUEST = 10.0  # seconds of lease beyond a request's, where only the request's are said
_told: set[str] = set()


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and for each field that was said somewhere, where.

    `warnings` are sentences on what was said to no effect.
    """

    settings: Settings
    origins: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    sources: tuple[Source, ...] = field(default=(), repr=False)

    def with_shared(self, shared: Sequence[Source]) -> Loaded:
        """Lay what Postgres holds, narrowest scope first, between keyword arguments and the rest.

        What is wrong in it is left out with a warning, as agents and workers leave it out.
        """
        given, *rest = self.sources
        found = [given, *shared, *rest]
        try:
            return _merged(found)
        except ConfigurationError as error:
            # Each is sound, so two of them do not go together.
            without = [source.without("dialectic_depth_levels") for source in found]
            merged = _merged(without)
            return replace(merged, warnings=(*merged.warnings, f"{error}; it is left out"))

    def renewed(self, fields: Collection[str], env: Mapping[str, str] = os.environ) -> Loaded:
        """Give what holds with what files say of `fields` now; all else stays as it was read.

        It is for what `load` gave, before anything was laid over it. Raises ConfigurationError
        where the files are not sound as they are now.
        """
        given, *before = self.sources
        now = sources(env, FIELDS, JSON_FIELDS)
        renewed = [old.renewed(new, fields) for old, new in zip(before, now, strict=True)]
        return _merged([given, *renewed])

    def changed(self, place: str, field_name: str, value: Any) -> Loaded:
        """Give what would hold if `place` said `value`, or nothing where it is None.

        Raises ConfigurationError where that cannot be together with what is said elsewhere.
        """
        found = [
            source.saying(field_name, value) if source.name == place else source
            for source in self.sources
        ]
        return _merged(found)


def load(overrides: Mapping[str, Any] | None = None, env: Mapping[str, str] = os.environ) -> Loaded:
    """Read every source and validate what they say together; log each warning once a process.

    `overrides` are keyword arguments by field name; None there means "not said". Raises
    ConfigurationError, which names the source, the key and what is allowed.
    """
    loaded = read(overrides, env)
    tell_warnings(loaded)
    return loaded


def tell_warnings(loaded: Loaded) -> None:
    """Log what was said to no effect, each sentence once a process."""
    for warning in loaded.warnings:
        if warning not in _told:
            _told.add(warning)
            log.warning("%s", warning)


def read(overrides: Mapping[str, Any] | None = None, env: Mapping[str, str] = os.environ) -> Loaded:
    """Do what `load` does, and leave the warnings to the caller."""
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    unknown = sorted(set(given) - set(FIELDS))
    if unknown:
        meant = nearest(unknown[0], FIELDS)
        hint = f"; did you mean {_field(meant)}?" if meant else ""
        raise ConfigurationError(f"there is no setting called {unknown[0]!r}{hint}")
    return _merged([Source(GIVEN, given), *sources(env, FIELDS, JSON_FIELDS)])


def _field(name: str) -> str:
    """Give a field's own name for keyword arguments, whichever name of it is the nearest."""
    return next((one for one in FIELDS if name in {one, to_camel(one)}), name)


def _merged(found: Sequence[Source]) -> Loaded:
    merged: dict[str, Any] = {}
    by: dict[str, Source] = {}
    for source in found:
        if source.fallback:
            _place_honcho(merged, by)
        # The nearest source that says anything about a mode wins: a shorthand there comes before
        # a per-peer field further away, or text that was to stay here would be sent.
        decided = {*merged, *(_PEER_MODES if "memory_mode" in merged else ())}
        for name, value in source.values.items():
            if name not in decided:
                merged[name] = value
                by[name] = source
            elif name == "sessions" and isinstance(value, dict):
                merged[name] = _joined(value, merged[name])
    _stretch_lease(merged, by)
    settings = _validated(merged, by)
    origins = {name: source.place(name) for name, source in by.items()}
    if settings.enabled is False:
        settings = settings.model_copy(update=OFF)
        origins.update(dict.fromkeys(OFF, GIVEN))
    warnings = tuple(dict.fromkeys(one for source in found for one in source.warnings))
    return Loaded(settings, origins, warnings, tuple(found))


def _joined(further: dict[str, Any], nearer: Any) -> Any:
    """Join two maps of directories: one that is mapped nearer hides itself, and no other."""
    return {**further, **nearer} if isinstance(nearer, dict) else nearer


def _place_honcho(merged: dict[str, Any], by: dict[str, Source]) -> None:
    """Let the environment `local` stand for its URL, where nobody says one."""
    if merged.get("environment") == "local" and "honcho_url" not in merged:
        merged["honcho_url"] = LOCAL_HONCHO
        by["honcho_url"] = by["environment"].implying("honcho_url", "environment")


def _stretch_lease(merged: dict[str, Any], by: dict[str, Source]) -> None:
    """Lengthen the lease for a timeout that another integration's configuration asks for."""
    if "lease_seconds" in merged or "request_seconds" not in merged:
        return
    try:
        asked = float(merged["request_seconds"])
    except (TypeError, ValueError):
        return  # the model says what is wrong with it
    least = Settings.model_fields["lease_seconds"].default
    if asked + LEASE_MARGIN > least:
        merged["lease_seconds"] = asked + _AFTER_REQUEST
        by["lease_seconds"] = by["request_seconds"].implying("lease_seconds", "request_seconds")


def _validated(merged: dict[str, Any], by: Mapping[str, Source]) -> Settings:
    try:
        return Settings.model_validate(merged, by_name=True, by_alias=False)
    except ValidationError as error:
        # the cause would quote the value, which may be a URL with a password
        raise ConfigurationError(_sentence(error, by)) from None


def _sentence(error: ValidationError, by: Mapping[str, Source]) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    message = first["msg"].removeprefix("Value error, ")
    if not name:
        return f"settings: {message}"
    source = by.get(name)
    if source is None:
        return f"defaults: {to_camel(name)}: {message}"
    written = source.written.get(name, "")
    key = to_camel(name) if not written or written.isupper() else written
    hint = f"; another value for afterturn alone goes into hosts.{HOST} there"
    theirs = hint if source.name == str(honcho_file()) else ""
    return f"{source.place(name)}: {key}: {message}{theirs}"
