"""Where workers would find Honcho's key: told without its value, by any process."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from afterturn_models.secret_values import KEY_VARIABLES, WITHHELD, others_read
from afterturn_models.sources import HOST, honcho_file, our_file, read_object

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """The place that workers started with this environment read the key from.

    `refused` says why they would not take it there; None where they would.
    """

    place: str
    refused: str | None = None


def key_place(env: Mapping[str, str] = os.environ) -> KeyPlace | None:
    """Find where the key stands, in the order of workers; None where there is none.

    Raises ConfigurationError for a file that is not JSON.
    """
    for variable in KEY_VARIABLES:
        if env.get(variable, "").strip():
            return KeyPlace(f"{variable} in the environment")
    for path in (our_file(env), honcho_file()):
        if _holds_key(path):
            wrong = f"others can read it; run: chmod 600 {path}" if others_read(path) else None
            return KeyPlace(str(path), wrong)
    return None


def _holds_key(path: Path) -> bool:
    said = read_object(path)
    hosts = said.get("hosts")
    block = hosts.get(HOST) if isinstance(hosts, dict) else None
    parts = [block if isinstance(block, dict) else {}, said]
    return any(part.get("apiKey") is WITHHELD for part in parts)
