"""The stand-in's database: one SQLite file, one connection, one transaction a request."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_SCHEMA = Path(__file__).with_name("schema.sql")
_CACHED_STATEMENTS = 512
_CHECKPOINT_PAGES = 16_000  # 64 MB of log between checkpoints keeps them off the request path


class Store:
    """The open database. Every method blocks for microseconds to milliseconds.

    With WAL and `synchronous=NORMAL` a commit is in the operating system's hands when it returns:
    it survives kill -9 of this process. Only a power cut could take the last ones.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(
            folder / "honcho.sqlite3",
            isolation_level=None,
            cached_statements=_CACHED_STATEMENTS,
            check_same_thread=False,
        )
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA temp_store = MEMORY")
        self._db.execute("PRAGMA cache_size = -65536")
        self._db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        self._db.executescript(_SCHEMA.read_text(encoding="utf-8"))
        self._db.create_function("as_number", 1, _as_number, deterministic=True)
        self._db.create_function("json_holds", 2, _json_holds, deterministic=True)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is done inside, whole; roll it back when an exception leaves."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def run(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Execute a statement; how many rows it touched."""
        return self._db.execute(sql, params).rowcount

    def run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute one statement for many rows."""
        self._db.executemany(sql, rows)

    def insert(self, sql: str, params: Sequence[Any]) -> int:
        """Insert a row; its key."""
        key = self._db.execute(sql, params).lastrowid
        assert key is not None  # an INSERT always has one
        return key

    def one(self, sql: str, params: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """Return the first row, or None."""
        row: tuple[Any, ...] | None = self._db.execute(sql, params).fetchone()
        return row

    def value(self, sql: str, params: Sequence[Any] = ()) -> Any:
        """Return the first column of the first row, or None."""
        row = self.one(sql, params)
        return row[0] if row else None

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Every row."""
        return self._db.execute(sql, params).fetchall()

    def each(self, sql: str, params: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Row after row, for what is too long to hold at once."""
        yield from self._db.execute(sql, params)

    def close(self) -> None:
        """Write the log back into the file and close it."""
        self._db.close()


def _as_number(text: str | None) -> float | None:
    """Postgres' `cast(text AS numeric)`: an empty string is null, no number is an error.

    The error fails the statement, and the request with a 500, as in Honcho.
    """
    return float(text) if text else None


def _json_holds(outer: str, inner: str) -> bool:
    """Postgres' `outer @> inner` over JSON."""
    return _holds(json.loads(outer), json.loads(inner))


def _holds(outer: Any, inner: Any) -> bool:
    if isinstance(inner, dict):
        return isinstance(outer, dict) and all(
            key in outer and _holds(outer[key], value) for key, value in inner.items()
        )
    if isinstance(inner, list):
        return isinstance(outer, list) and all(
            any(_holds(candidate, wanted) for candidate in outer) for wanted in inner
        )
    # In JSON true is not 1, in Python it is.
    return isinstance(outer, bool) == isinstance(inner, bool) and bool(outer == inner)
