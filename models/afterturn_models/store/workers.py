"""Heartbeats: what workers write of themselves, and what `afterturn status` reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence


MISSING_AFTER = 60.0  # seconds without a beat after which a worker counts as missing


@dataclass(frozen=True, slots=True)
class WorkerBeat:
    """A worker as `status` shows it; ages are seconds, None where it never happened."""

    name: str
    pid: int
    version: str
    started_at: dt.datetime
    beat_age: float | None
    honcho: str | None
    honcho_age: float | None


_REGISTER = text("""
INSERT INTO workers (name, pid, version) VALUES (:name, :pid, :version)
ON CONFLICT (name) DO UPDATE SET pid = excluded.pid, version = excluded.version,
    started_at = clock_timestamp(), beat_at = NULL
""")
_BEAT = text("UPDATE workers SET beat_at = clock_timestamp() WHERE name = :name")
_HONCHO = text(
    "UPDATE workers SET honcho = :honcho, honcho_at = clock_timestamp() WHERE name = :name"
)
_AGE = text("""
SELECT extract(epoch FROM clock_timestamp() - coalesce(beat_at, started_at))
FROM workers WHERE name = :name
""")
_FORGET = text("DELETE FROM workers WHERE name = :name")
_FORGET_OLD = text("""
DELETE FROM workers
WHERE coalesce(beat_at, started_at) < clock_timestamp() - make_interval(secs => :age)
""")
_ALL = text("""
SELECT name, pid, version, started_at,
       extract(epoch FROM clock_timestamp() - beat_at)::float8 AS beat_age, honcho,
       extract(epoch FROM clock_timestamp() - honcho_at)::float8 AS honcho_age
FROM workers ORDER BY name
""")


def register(connection: Connection, name: str, *, pid: int, version: str) -> None:
    """Enter a worker that starts."""
    connection.execute(_REGISTER, {"name": name, "pid": pid, "version": version})


def beat(connection: Connection, name: str) -> None:
    """Note that a task went through the worker's broker connection just now."""
    connection.execute(_BEAT, {"name": name})


def note_honcho(connection: Connection, name: str, honcho: str) -> None:
    """Note what a worker's look at Honcho came to: `ok`, or a sentence."""
    connection.execute(_HONCHO, {"name": name, "honcho": honcho})


def beat_age(connection: Connection, name: str) -> float | None:
    """Tell how many seconds ago the worker's last beat (or start) was."""
    age = connection.execute(_AGE, {"name": name}).scalar()
    return float(age) if age is not None else None


def forget(connection: Connection, name: str) -> None:
    """Take out a worker that stops."""
    connection.execute(_FORGET, {"name": name})


def forget_older(connection: Connection, age: float) -> None:
    """Take out workers that have not been heard of for `age` seconds."""
    connection.execute(_FORGET_OLD, {"age": age})


def workers(connection: Connection) -> Sequence[WorkerBeat]:
    """Read every worker."""
    return [WorkerBeat(*row) for row in connection.execute(_ALL)]
