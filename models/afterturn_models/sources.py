"""Where settings come from: environment, files, and the stack that runs under our home."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afterturn_models.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

HOST = "afterturn"  # our block in ~/.honcho/config.json
_ENV_PREFIX = "AFTERTURN_"
_JSON = (  # what is JSON in the environment
    "sessions",
    "noise_patterns",
    "metadata_patterns",
    "user_peer_aliases",
    "observation",
    "dialectic_depth_levels",
)
_HONCHO_ENV = {"HONCHO_URL": "honcho_url", "HONCHO_WORKSPACE_ID": "workspace"}


@dataclass(frozen=True, slots=True)
class Source:
    """A place that says something: its name for people, and values by field name."""

    name: str
    values: Mapping[str, Any]


def home(env: Mapping[str, str] = os.environ) -> Path:
    """Give the folder where afterturn keeps what is its own: `$AFTERTURN_HOME` or `~/.afterturn`."""
    given = env.get("AFTERTURN_HOME")
    return Path(given).expanduser().absolute() if given else Path.home() / ".afterturn"


def stack_file(env: Mapping[str, str] = os.environ) -> Path:
    """Give the file in which `afterturn up` says where its parts answer."""
    return home(env) / "stack.json"


def sources(env: Mapping[str, str], names: Mapping[str, str]) -> list[Source]:
    """Read every source below keyword arguments, in order of precedence.

    `names` gives the field for each name a file may use. Raises ConfigurationError for a file
    that cannot be read or is not a JSON object.
    """
    ours = home(env) / "config.json"
    theirs = Path.home() / ".honcho" / "config.json"
    shared = _read(theirs)
    hosts = shared.get("hosts")
    block = hosts.get(HOST) if isinstance(hosts, dict) else None
    return [
        Source("the environment", _from_env(env, names)),
        Source(str(ours), _renamed(_read(ours), names)),
        Source(
            f"{theirs} (host {HOST})", _renamed(block if isinstance(block, dict) else {}, names)
        ),
        Source(str(theirs), _renamed(shared, names)),
        Source(
            "the environment (HONCHO_*)",
            {field: env[key] for key, field in _HONCHO_ENV.items() if env.get(key)},
        ),
        Source(str(stack_file(env)), _renamed(_read(stack_file(env)), names)),
    ]


def _from_env(env: Mapping[str, str], names: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in set(names.values()):
        value = env.get(_ENV_PREFIX + field.upper())
        if value:
            found[field] = _json(field, value) if field in _JSON else value
    return found


def _json(field: str, value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError as error:
        raise ConfigurationError(f"{_ENV_PREFIX}{field.upper()} is not JSON: {error}") from error


def _renamed(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Give the values by field; null says nothing, as None does among keyword arguments."""
    return {
        names[key]: value for key, value in values.items() if key in names and value is not None
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(f"{path} cannot be read: {reason}") from error
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"{path} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ConfigurationError(f"{path} must hold one JSON object")
    return value
