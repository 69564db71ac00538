"""What a configuration file says, and what `afterturn config get` says of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = "hch-v3-secret"
NOWHERE = "postgresql://u:hunter2@127.0.0.1:1/x"


def write(path: Path, said: Any, mode: int = 0o600) -> None:
    """Write a configuration file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(said))
    path.chmod(mode)


def got(done: Callable[..., str], key: str, *options: str) -> tuple[Any, str]:
    """Give a setting's value and where it comes from, as the command line says."""
    found = json.loads(done("get", key, "--json", *options))
    return found["value"], found["origin"]
