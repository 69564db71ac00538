"""Where a running stack says what answers where: `stack.json` in the home folder, read by all."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from afterturn_sandbox.errors import SandboxError
from afterturn_sandbox.private_files import write_private

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_FILE = "stack.json"


def announce(home: Path, where: Mapping[str, str]) -> None:
    """Say where everything is, for `Memory.open()` and every command under this home."""
    told = {**where, "pid": os.getpid()}
    write_private(home / _FILE, json.dumps(told, indent=2) + "\n")


def withdraw(home: Path, *, former: bool = False) -> None:
    """Take our announcement back, never a living stack's; or, as `former`, what a killed one left.

    The latter is for who has just claimed the home: no other stack lives there then.
    """
    path = home / _FILE
    if former or announced_by(path) == os.getpid():
        path.unlink(missing_ok=True)


def prepare(home: Path) -> None:
    """Make the folders of a stack under `home`; raises SandboxError where that cannot be."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        (home / "logs").mkdir(exist_ok=True)
    except OSError as error:
        raise SandboxError(
            f"{home} cannot be used: {error.strerror}; set AFTERTURN_HOME to a folder of yours"
        ) from error


def announced_by(path: Path) -> int | None:
    """Return the process that announced its stack in `path`; None where there is none."""
    try:
        return int(json.loads(path.read_text(encoding="utf-8"))["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
