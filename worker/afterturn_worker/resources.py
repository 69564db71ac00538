"""What one worker process holds: settings, Postgres, Honcho, built on first use after the fork."""

from __future__ import annotations

import os
import threading
from functools import cached_property

from afterturn_models.db import Database
from afterturn_models.errors import ConfigurationError
from afterturn_models.settings import HOSTED_HONCHO, LEASE_MARGIN, Settings, load
from afterturn_worker.flows.sync import SyncLimits
from afterturn_worker.honcho.client import HonchoClient
from afterturn_worker.honcho.key import honcho_key
from afterturn_worker.stores import PostgresStore


class Resources:
    """The kept clients of a process, for as many threads as it has."""

    def __init__(self, settings: Settings, *, owner: str, threads: int = 16) -> None:
        self.settings = settings
        self._owner = owner
        self._threads = threads

    @cached_property
    def database(self) -> Database:
        """Postgres, with a connection a thread and some for the relay and the heartbeat."""
        if not self.settings.database_url:
            raise ConfigurationError(
                "no database: set AFTERTURN_DATABASE_URL, or start everything with: afterturn up"
            )
        return Database(
            self.settings.database_url, pool_size=self._threads + 2, name="afterturn-worker"
        )

    @cached_property
    def store(self) -> PostgresStore:
        """The flows' ports on Postgres."""
        return PostgresStore(self.database, self._owner)

    @cached_property
    def honcho(self) -> HonchoClient:
        """The one Honcho client of this process."""
        key = honcho_key()
        url = self.settings.honcho_url or (HOSTED_HONCHO if key else None)
        if url is None:
            raise ConfigurationError(
                "no Honcho: set HONCHO_URL or HONCHO_API_KEY for the workers,"
                " or start everything with: afterturn up"
            )
        return HonchoClient(url, key, connections=self._threads + 4)

    @cached_property
    def limits(self) -> SyncLimits:
        """How long a sync may take."""
        return SyncLimits(
            lease=self.settings.lease_seconds,
            request=self.settings.request_seconds,
            settling=self.settings.settling_seconds,
            margin=LEASE_MARGIN,
        )

    def check(self) -> None:
        """Raise ConfigurationError now, rather than in the first task, for what is not said."""
        _ = self.database, self.honcho

    def close(self) -> None:
        """Close what was opened."""
        if "honcho" in self.__dict__:
            self.honcho.close()
        if "database" in self.__dict__:
            self.database.close()


_lock = threading.Lock()
_current: Resources | None = None
_pid = 0


def _after_fork() -> None:
    """Give a child a free lock: another thread may have held it at the fork, and never lets go."""
    global _lock  # noqa: PLW0603 - one per process, as what it guards
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


def resources() -> Resources:
    """Give this process its resources; a forked child makes its own."""
    global _current, _pid
    with _lock:
        if _current is None or _pid != os.getpid():
            _current, _pid = Resources(load().settings, owner=f"worker-{os.getpid()}"), os.getpid()
        return _current


def use(chosen: Resources) -> None:
    """Make `chosen` this process's resources."""
    global _current, _pid
    with _lock:
        _current, _pid = chosen, os.getpid()


def dispose() -> None:
    """Close this process's resources."""
    global _current  # noqa: PLW0603
    with _lock:
        if _current is not None and _pid == os.getpid():
            _current.close()
        _current = None
