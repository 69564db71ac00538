"""Writes what the sandbox keeps for itself (passwords, configurations, ledgers) and its logs."""

import os
import tempfile
from pathlib import Path
from typing import BinaryIO

LOG_LIMIT = 5_000_000


def write_private(path: Path, text: str) -> None:
    """Put `text` at `path`, mode 600 from its first byte, whole or not at all."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def open_log(path: Path, limit: int = LOG_LIMIT) -> BinaryIO:
    """Open `path` to append, mode 600; beyond `limit` bytes it first becomes `<name>.1`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > limit:
        path.replace(path.with_name(f"{path.name}.1"))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    return os.fdopen(descriptor, "ab")


def tail(path: Path, since: int = 0, lines: int = 8) -> str:
    """Return the last `lines` lines that `path` holds beyond byte `since`; none if it is absent."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(since, end - 16_384))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.strip().splitlines()[-lines:])
