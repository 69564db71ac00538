"""Honcho's key: read by workers only, from the environment or a file that is the user's alone."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from afterturn_models.errors import ConfigurationError
from afterturn_models.sources import HOST, home

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLES = ("AFTERTURN_HONCHO_API_KEY", "HONCHO_API_KEY")


def honcho_key(env: Mapping[str, str] = os.environ) -> str | None:
    """Find the key: environment, our file, `~/.honcho/config.json`; None where there is none.

    Raises ConfigurationError for a file that holds a key and that others can read, and for a
    key that cannot stand in a header: what refuses it later would quote it.
    """
    for variable in _VARIABLES:
        if key := env.get(variable, "").strip():
            return checked(key, variable)
    for path in (home(env) / "config.json", Path.home() / ".honcho" / "config.json"):
        if key := (_from_file(path) or "").strip():
            return checked(key, str(path))
    return None


def checked(key: str, place: str) -> str:
    """Give `key` as it is; raises ConfigurationError where it cannot stand in a header."""
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigurationError(
            f"{place} holds a Honcho key with characters that no key has; copy it again"
        )
    return key


def _from_file(path: Path) -> str | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # whatever is wrong with the file is said where settings are read
    if not isinstance(values, dict):
        return None
    hosts = values.get("hosts")
    block = hosts.get(HOST, {}) if isinstance(hosts, dict) else {}
    key = (block.get("apiKey") if isinstance(block, dict) else None) or values.get("apiKey")
    if not isinstance(key, str) or not key:
        return None
    only_ours(path)
    return key


def only_ours(path: Path) -> None:
    """Raise ConfigurationError for a file with a key that others can read."""
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigurationError(
            f"{path} holds a key and others can read it; run: chmod 600 {path}"
        )
