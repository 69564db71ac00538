"""The whole check-up: every check in turn, none of which keeps the others from being made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from afterturn.health import look
from afterturn.setup import checks_here, checks_servers
from afterturn.setup.findings import wrong
from afterturn_models.errors import AfterturnError, ConfigurationError
from afterturn_models.settings import read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from afterturn.setup.findings import Finding


def check_up() -> Iterator[Finding]:
    """Look at everything, what is nearest first; what rests on unreadable settings is left out."""
    yield from checks_here.python()
    try:
        loaded = read()
    except ConfigurationError as error:
        yield wrong("settings", str(error), "mend it there; afterturn config path --all")
        yield from _here()
        return
    yield from checks_here.files(loaded)
    yield from _here()
    try:
        health = look()
    except AfterturnError as error:
        yield wrong("spool", str(error), "make the folder readable for this user")
        return
    yield from checks_servers.postgres(loaded.settings, health)
    yield from checks_servers.redis(loaded.settings)
    yield from checks_servers.workers(health)
    yield from checks_servers.honcho(loaded.settings, health)
    yield from checks_servers.waiting(health)


def _here() -> Iterator[Finding]:
    yield from checks_here.stack()
    yield from checks_here.key()
    yield from checks_here.disk()
    yield from checks_here.flower()
