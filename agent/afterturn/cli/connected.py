"""The database for one command: from settings, closed at its end."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from afterturn_models.db import Database
from afterturn_models.settings import load

if TYPE_CHECKING:
    from collections.abc import Iterator


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
