"""JSON as people write it by hand: comments, trailing commas, bare names, single quotes.

OpenClaw reads its configuration so; setup reads that file, and never writes it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from afterturn_models.errors import ConfigurationError
from afterturn_models.secret_values import without_keys

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 4 * 1024 * 1024
_COMMENT = r"//[^\n]*|/\*.*?\*/"
_TOKEN = re.compile(
    rf"""
      (?P<string>"(?:\\.|[^"\\])*")
    | (?P<single>'(?:\\.|[^'\\])*')
    | (?P<comment>{_COMMENT})
    | (?P<trailing>,(?=(?:\s|{_COMMENT})*[}}\]]))
    | (?P<name>[A-Za-z_$][\w$]*)(?=\s*:)
    """,
    re.VERBOSE | re.DOTALL,
)
_INNER = re.compile(r'\\.|"', re.DOTALL)


def read_lenient(path: Path, *, keep_keys: bool = False) -> dict[str, Any]:
    """Read the object that a file holds, without any key of Honcho's unless `keep_keys`.

    {} where there is no such file. Raises ConfigurationError, which quotes nothing of the file.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} cannot be read: it is not UTF-8 text") from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    if len(text) > MAX_BYTES:
        raise ConfigurationError(f"{path} is not read: it is larger than {MAX_BYTES} characters")
    try:
        found = json.loads(_plain(text), object_pairs_hook=None if keep_keys else without_keys)
    except (ValueError, RecursionError):
        raise ConfigurationError(f"{path} is not JSON, nor JSON with comments") from None
    if not isinstance(found, dict):
        raise ConfigurationError(f"{path} does not hold one JSON object")
    return found


def _plain(text: str) -> str:
    """Give the same as plain JSON."""
    return _TOKEN.sub(_token, text.removeprefix("\ufeff"))


def _token(match: re.Match[str]) -> str:
    kind, found = match.lastgroup, match[0]
    if kind == "single":
        return f'"{_INNER.sub(_double, found[1:-1])}"'
    if kind == "name":
        return f'"{found}"'
    return {"comment": " ", "trailing": ""}.get(str(kind), found)


def _double(match: re.Match[str]) -> str:
    """Rewrite what stands otherwise between double quotes than between single ones."""
    return {"\\'": "'", '"': '\\"'}.get(match[0], match[0])
