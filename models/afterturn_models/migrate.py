"""Migrations by program: bring a database to this version's schema, or tell what it has."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from afterturn_models.db import Database, first_line, postgres_url
from afterturn_models.errors import SchemaError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

_PACKAGE = Path(__file__).parent
# Alembic keeps the environment of a run in a global; processes take turns in Postgres.
_one_at_a_time = threading.Lock()


def _scripts() -> Path:
    """Find the migrations: inside the installed package, or at the top of a checkout."""
    installed = _PACKAGE / "migrations"
    return installed if installed.is_dir() else _PACKAGE.parent.parent / "alembic"


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_scripts()).replace("%", "%%"))
    rendered = postgres_url(url).render_as_string(hide_password=False)
    config.set_main_option("sqlalchemy.url", rendered.replace("%", "%%"))
    return config


def head() -> str:
    """Name the revision that this version of afterturn works with."""
    revision = ScriptDirectory.from_config(_config("postgresql://")).get_current_head()
    assert revision is not None
    return revision


def current(database: Database) -> str | None:
    """Name the revision that a database has; None where it has none. Raises StoreUnavailableError."""
    with database.statement() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def migrate(url: str, revision: str = "head") -> None:
    """Bring the database at `url` to `revision`; those who do so at once take turns.

    Raises StoreUnavailableError where it cannot be reached or does not let us, SchemaError where
    a version of afterturn that is newer than this one migrated it.
    """
    with _one_at_a_time, _our_errors():
        command.upgrade(_config(url), revision)


def downgrade(url: str, revision: str) -> None:
    """Take the database at `url` back to `revision`; `base` removes every table.

    Raises what `migrate` raises.
    """
    with _one_at_a_time, _our_errors():
        command.downgrade(_config(url), revision)


@contextmanager
def _our_errors() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise StoreUnavailableError(f"Postgres: {first_line(error)}") from error
    except CommandError as error:
        raise SchemaError(f"this version of afterturn cannot migrate it: {error}") from error
