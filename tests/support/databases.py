"""A migrated database that several tests share, and that is gone after them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg


@contextmanager
def shared_database(postgres: str, name: str) -> Iterator[str]:
    """Make a database called `name` on the tests' server; gives its URL, and drops it at the end."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template")
    try:
        yield postgres.rpartition("/")[0] + f"/{name}"
    finally:
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
