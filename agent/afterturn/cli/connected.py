"""What one command works with, closed at its end: the database, or all that an agent works with."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from afterturn_models.db import Database
from afterturn_models.settings import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from afterturn.services import Services


def database_url() -> str:
    """Give the configured database's URL; raises ConfigurationError where there is none."""
    return load().settings.need_database_url()


@contextmanager
def database() -> Iterator[Database]:
    """Give the configured database; raises ConfigurationError where there is none."""
    opened = Database(database_url(), pool_size=1, name="afterturn-cli")
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def services() -> Iterator[Services]:
    """Give what an agent works with; raises ConfigurationError where something is not configured.

    A Postgres that is away is the command's failure, and said as such: it captures no turns, so
    that it has nothing to say of where those go meanwhile.
    """
    from afterturn.services import Services

    opened = Services(load())
    of_turns = logging.getLogger("afterturn.capture")
    told, of_turns.disabled = of_turns.disabled, True
    try:
        yield opened
    finally:
        of_turns.disabled = told
        opened.close()
