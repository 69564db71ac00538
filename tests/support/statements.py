"""Statements to Postgres, counted where SQLAlchemy's and those past it come together: in psycopg."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg


@contextmanager
def counted() -> Iterator[list[str]]:
    """Give the list to which each statement is added that any thread of this process makes."""
    statements: list[str] = []
    execute = psycopg.Cursor.execute

    def noted(cursor: Any, query: Any, *more: Any, **options: Any) -> Any:
        statements.append(query.decode() if isinstance(query, bytes) else str(query))
        return execute(cursor, query, *more, **options)

    psycopg.Cursor.execute = noted  # type: ignore[method-assign]  # for a moment
    try:
        yield statements
    finally:
        psycopg.Cursor.execute = execute  # type: ignore[method-assign]  # as it was
