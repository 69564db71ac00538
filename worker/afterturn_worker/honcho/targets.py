"""Other Honchos that history may be copied to, named in the workers' configuration.

A task carries the name only; URL and key stay with the workers:

    AFTERTURN_TARGETS='{"backup": {"honchoUrl": "https://…", "workspace": "w", "apiKey": "…"}}'

or `targets` in `$AFTERTURN_HOME/config.json`, which then has mode 600.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from afterturn_models.errors import ConfigurationError
from afterturn_models.policy.ids import is_valid_id
from afterturn_models.sources import home
from afterturn_worker.honcho.key import only_ours

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLE = "AFTERTURN_TARGETS"


@dataclass(frozen=True, slots=True)
class Target:
    """Another Honcho: its URL, the workspace there (None: of the same name), and its key."""

    url: str
    workspace: str | None = None
    key: str | None = field(default=None, repr=False)


def target(name: str, env: Mapping[str, str] = os.environ) -> Target:
    """Give the target called `name`; raises ConfigurationError where there is none."""
    known = _configured(env)
    found = known.get(name)
    if not isinstance(found, dict):
        names = ", ".join(sorted(known)) or "none is configured"
        raise ConfigurationError(
            f"no target is called {name!r} in the workers' configuration ({names});"
            f" set {_VARIABLE} or `targets` in config.json there"
        )
    url, workspace = found.get("honchoUrl"), found.get("workspace")
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise ConfigurationError(f"target {name!r}: honchoUrl must begin with http:// or https://")
    if workspace is not None and not (isinstance(workspace, str) and is_valid_id(workspace)):
        raise ConfigurationError(f"target {name!r}: workspace must be an id of Honcho's")
    key = found.get("apiKey")
    return Target(url, workspace, str(key) if key else None)


def _configured(env: Mapping[str, str]) -> dict[str, Any]:
    given = env.get(_VARIABLE)
    path = home(env) / "config.json"
    try:
        if given:
            found = json.loads(given)
        else:
            found = json.loads(path.read_text(encoding="utf-8")).get("targets", {})
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigurationError(
            f"{_VARIABLE if given else path} cannot be read as JSON"
        ) from error
    if not isinstance(found, dict):
        raise ConfigurationError(f"{_VARIABLE if given else path}: targets must be a JSON object")
    if not given and any(isinstance(one, dict) and one.get("apiKey") for one in found.values()):
        only_ours(path)
    return found
