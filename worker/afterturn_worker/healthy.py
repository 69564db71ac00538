"""A container's probe, `python -m afterturn_worker.healthy`: whether tasks reach its worker.

A running process proves nothing: one whose connection to the broker has stalled runs on and takes
nothing. So this reads the heartbeat, which is a task that the worker sends to itself.
"""

from __future__ import annotations

import socket
import sys

from afterturn_models.db import Database
from afterturn_models.errors import AfterturnError, ConfigurationError
from afterturn_models.settings import load
from afterturn_models.store.workers import workers

LATE = 60.0  # seconds; a beat is due every 5 s, and waits its turn like every task


def unhealthy(url: str, host: str, late: float = LATE) -> str | None:
    """Give None where a task reached a worker of `host` less than `late` seconds ago, else why not.

    A worker's name ends in its host's name, and a container is a host of its own.
    Raises ConfigurationError, StoreUnavailableError or SchemaError.
    """
    database = Database(url, pool_size=1, name="afterturn-healthy")
    try:
        with database.statement() as connection:
            found = [worker for worker in workers(connection) if worker.name.endswith(f"@{host}")]
    finally:
        database.close()
    ages = [worker.beat_age for worker in found if worker.beat_age is not None]
    if not ages:
        return f"no task has reached a worker on {host} yet"
    if min(ages) >= late:
        return f"the last task reached a worker on {host} {min(ages):.0f} s ago"
    return None


def main() -> int:
    """Answer a probe: 0, or 1 with a sentence on stderr."""
    try:
        url = load().settings.database_url
        if not url:
            raise ConfigurationError("no database: set AFTERTURN_DATABASE_URL")
        reason = unhealthy(url, socket.gethostname())
    except AfterturnError as error:
        reason = str(error)
    if reason:
        print(f"afterturn: {reason}", file=sys.stderr)  # noqa: T201 - the command's answer
    return 1 if reason else 0


if __name__ == "__main__":
    raise SystemExit(main())
