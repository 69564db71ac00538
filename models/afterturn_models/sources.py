"""Where settings come from: environment, files, and the stack that runs under our home."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic.alias_generators import to_snake

from afterturn_models.errors import ConfigurationError
from afterturn_models.keys import names_of as written_names
from afterturn_models.keys import nearest, translate
from afterturn_models.secret_values import refuse_readable_secrets, without_keys

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

HOST = "afterturn"  # our block in ~/.honcho/config.json
ENV_PREFIX = "AFTERTURN_"
# What other programs that use Honcho read; ours come long before.
_HONCHO_ENV = {
    "HONCHO_URL": "honcho_url",
    "HONCHO_BASE_URL": "honcho_url",
    "HONCHO_WORKSPACE_ID": "workspace",
    "HONCHO_WORKSPACE": "workspace",
    "HONCHO_ENVIRONMENT": "environment",
    "HONCHO_TIMEOUT": "request_seconds",
    "HONCHO_PEER_NAME": "peer_name",
}
_NO_SETTINGS = frozenset(  # what is read of the environment by itself
    f"{ENV_PREFIX}{name}"
    for name in (
        "HOME", "DEBUG", "TARGETS", "HONCHO_API_KEY", "LLM_API_KEY", "FLOWER_AUTH", "FLOWER_PORT", "CONCURRENCY",
        "POSTGRES_PORT", "REDIS_PORT",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """A place that says something: its name for people, and values by field name.

    `written` is what each field is called there. A `fallback` counts only where nobody else says
    anything of the matter, under whatever name.
    """

    name: str
    values: Mapping[str, Any] = field(repr=False)  # a URL may hold a password
    written: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    fallback: bool = False

    def place(self, field_name: str) -> str:
        """Say where a field is said, for people."""
        name = self.written.get(field_name, "")
        return f"{self.name} ({name})" if name.isupper() else self.name

    def implying(self, field_name: str, since: str) -> Source:
        """Give the same place as where `field_name` comes from, by what is said of `since`."""
        return replace(self, written={field_name: self.written.get(since, "")})

    def without(self, field_name: str) -> Source:
        """Give the same place, saying nothing of a field."""
        kept = {name: value for name, value in self.values.items() if name != field_name}
        return replace(self, values=kept)

    def renewed(self, now: Source, fields: Collection[str]) -> Source:
        """Give the same place with what it says of `fields` now, and of all else as before."""
        values = {name: value for name, value in self.values.items() if name not in fields}
        values |= {name: value for name, value in now.values.items() if name in fields}
        return replace(self, values=values, written={**self.written, **now.written})

    def saying(self, field_name: str, value: Any) -> Source:
        """Give the same place, saying `value` of a field; nothing of it where that is None."""
        kept = self.without(field_name)
        return kept if value is None else replace(kept, values={**kept.values, field_name: value})


def home(env: Mapping[str, str] = os.environ) -> Path:
    """Give the folder where afterturn keeps what is its own: `$AFTERTURN_HOME` or `~/.afterturn`."""
    given = env.get("AFTERTURN_HOME")
    return Path(given).expanduser().absolute() if given else Path.home() / ".afterturn"


def our_file(env: Mapping[str, str] = os.environ) -> Path:
    """Give the file that is ours to write."""
    return home(env) / "config.json"


def honcho_file() -> Path:
    """Give the file that every program which uses Honcho may read; we never write it."""
    return Path.home() / ".honcho" / "config.json"


def stack_file(env: Mapping[str, str] = os.environ) -> Path:
    """Give the file in which `afterturn up` says where its parts answer."""
    return home(env) / "stack.json"


def sources(
    env: Mapping[str, str], fields: Collection[str], json_fields: Collection[str] = ()
) -> list[Source]:
    """Read every source below keyword arguments, in order of precedence.

    `json_fields` are written as JSON in the environment. Raises ConfigurationError for a file
    that cannot be read or is not a JSON object, or holds a password that others can read.
    """
    return [
        _ours_in_env(env, fields, json_fields),
        *_file(our_file(env), fields),
        *_file(honcho_file(), fields),
        _theirs_in_env(env),
        _stack(stack_file(env), fields),
    ]


def read_object(path: Path) -> dict[str, Any]:
    """Read a file that holds one JSON object, without any key of Honcho's; {} where there is none.

    Raises ConfigurationError.
    """
    text = _text(path)
    if text is None:
        return {}
    return parse_object(text, path, keep_keys=False)


def parse_object(text: str, path: Path, *, keep_keys: bool) -> dict[str, Any]:
    """Parse what `path` holds; raises ConfigurationError where it is not one JSON object."""
    try:
        value = json.loads(text, object_pairs_hook=None if keep_keys else without_keys)
    except ValueError as error:
        raise ConfigurationError(f"{path} is not JSON: {error}") from None  # it holds the text
    except RecursionError:
        raise ConfigurationError(f"{path} is not JSON that can be read: too deep") from None
    if not isinstance(value, dict):
        raise ConfigurationError(f"{path} must hold one JSON object")
    return value


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(f"{path} cannot be read: {reason}") from error


def _file(path: Path, fields: Collection[str]) -> list[Source]:
    """Read a file's block for us, then its root."""
    root = read_object(path)
    hosts = root.get("hosts")
    block = hosts.get(HOST) if isinstance(hosts, dict) else None
    parts = [(f"{path} (host {HOST})", block if isinstance(block, dict) else {}), (str(path), root)]
    found = []
    for name, said in parts:
        read = translate(said, fields, name)
        refuse_readable_secrets(path, read.values)
        found.append(Source(name, read.values, read.written, read.warnings))
    return found


def _stack(path: Path, fields: Collection[str]) -> Source:
    read = translate(read_object(path), fields, str(path))
    refuse_readable_secrets(path, read.values)
    return Source(str(path), read.values, read.written, fallback=True)


def _ours_in_env(
    env: Mapping[str, str], fields: Collection[str], json_fields: Collection[str]
) -> Source:
    """Read `AFTERTURN_*`; an empty variable says nothing."""
    variables = {_variable(name): name for field_ in fields for name in written_names(field_)}
    said = {variables[key]: value for key, value in env.items() if key in variables and value}
    read = translate(said, fields, "the environment")
    values = {
        name: _json(_variable(read.written[name]), value) if name in json_fields else value
        for name, value in read.values.items()
    }
    return Source(
        "the environment",
        values,
        {name: _variable(key) for name, key in read.written.items()},
        (*read.warnings, *_odd(env, variables, fields)),
    )


def _variable(name: str) -> str:
    return ENV_PREFIX + to_snake(name.replace(".", "_")).upper()


def _odd(
    env: Mapping[str, str], variables: Mapping[str, str], fields: Collection[str]
) -> list[str]:
    """Name what looks like a setting and is none; much else may begin with our prefix."""
    found = []
    for key in env:
        if key.startswith(ENV_PREFIX) and key not in variables and key not in _NO_SETTINGS:
            meant = nearest(key.removeprefix(ENV_PREFIX), fields)
            if meant:
                found.append(
                    f"the environment: {key} is no setting; did you mean {_variable(meant)}?"
                )
    return found


def _theirs_in_env(env: Mapping[str, str]) -> Source:
    found: dict[str, str] = {}
    written: dict[str, str] = {}
    for key, name in _HONCHO_ENV.items():
        if env.get(key) and name not in found:
            found[name], written[name] = env[key], key
    return Source("the environment", found, written)


def _json(variable: str, value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError as error:
        raise ConfigurationError(f"{variable} is not JSON: {error}") from None
