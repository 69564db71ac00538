"""Secrets among settings: found, masked, and refused where others can read them.

Honcho's key is never a value here: what reads a file for settings learns only that one stands
there (see `afterturn_worker.honcho.key`, which alone reads it).
"""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING, Any

from afterturn_models.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

KEY_NAMES = frozenset({"apiKey", "api_key", "honchoApiKey"})
KEY_VARIABLES = ("AFTERTURN_HONCHO_API_KEY", "HONCHO_API_KEY")  # in the order of workers
URLS = ("database_url", "redis_url", "honcho_url", "llm_base_url")
_MASK = "***"
_USER = re.compile(r"(://[^:/@\s]*:).*@", re.DOTALL)  # to the last @: one may stand in a password
_QUERY = re.compile(r"([?&](?:ssl)?password=)[^&]*")


class Withheld:
    """Stands in for a key that a file holds: it is there, and was not kept."""

    def __repr__(self) -> str:
        """Show that something is there."""
        return _MASK


WITHHELD = Withheld()


def without_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a JSON object, for `object_pairs_hook`, that keeps no Honcho key."""
    return {
        name: WITHHELD if name in KEY_NAMES and isinstance(value, str) and value.strip() else value
        for name, value in pairs
    }


def masked(url: Any) -> Any:
    """Give a URL with `***` for its password, however badly that is encoded."""
    if not isinstance(url, str):
        return url
    return _QUERY.sub(rf"\1{_MASK}", _USER.sub(rf"\1{_MASK}@", url))


def has_password(url: Any) -> bool:
    """Tell whether a URL holds a password."""
    return bool(masked(url) != url)


def shown(field: str, value: Any) -> Any:
    """Give a setting's value as it may be shown."""
    return masked(value) if field in URLS else value


def refuse_readable_secrets(path: Path, values: Mapping[str, Any]) -> None:
    """Raise ConfigurationError for a file that holds a password and that others can read."""
    if any(has_password(values.get(field)) for field in URLS) and others_read(path):
        raise ConfigurationError(
            f"{path} holds a password and others can read it; run: chmod 600 {path}"
        )


def others_read(path: Path) -> bool:
    """Tell whether anyone but its owner can read or change a file."""
    return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
