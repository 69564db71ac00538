"""What one worker process holds: settings, Postgres, Honcho, built on first use after the fork."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from afterturn_models.db import Database
from afterturn_models.errors import ConfigurationError
from afterturn_models.settings import HOSTED_HONCHO, LEASE_MARGIN, Settings, load
from afterturn_models.store.many_leases import COPIES, CURSORS
from afterturn_worker.awaited import Awaited
from afterturn_worker.compaction_store import PostgresCompactions
from afterturn_worker.flows.compacting import CompactionLimits
from afterturn_worker.flows.lease import SyncLimits
from afterturn_worker.flows.ports import PacePort, Unpaced
from afterturn_worker.flows.summarising import OfHoncho, OfModel, OfSentences
from afterturn_worker.gathered import GatheredStore
from afterturn_worker.honcho.client import HonchoClient
from afterturn_worker.honcho.key import honcho_key
from afterturn_worker.honcho.targets import target
from afterturn_worker.llm.client import OPENAI, LlmClient
from afterturn_worker.llm.key import llm_key
from afterturn_worker.map_store import PostgresMapStore
from afterturn_worker.pace import Pace
from afterturn_worker.part_stores import CopyStore, PostgresVerifyStore
from afterturn_worker.stores import PostgresStore

if TYPE_CHECKING:
    from uuid import UUID

    from afterturn_worker.flows.summarising import Summariser

_BULK_SLICE = 5.0  # seconds


class Resources:
    """The kept clients of a process, for as many threads as it has."""

    def __init__(self, settings: Settings, *, owner: str, threads: int = 16) -> None:
        self.settings = settings
        self._owner = owner
        self._threads = threads
        # Dialectic questions that are asked by themselves at the same time.
        self.chats = threading.BoundedSemaphore(max(1, threads // 2))
        # Summaries that are made at the same time: each may wait for a model.
        self.summaries = threading.BoundedSemaphore(max(1, threads // 4))
        self.draining = threading.Lock()  # one drain a process: it is as wide as is of use
        self._targets: dict[str, HonchoClient] = {}
        self._targets_lock = threading.Lock()

    @cached_property
    def database(self) -> Database:
        """Postgres, with a connection a thread and some for the relay and the heartbeat."""
        url = self.settings.need_database_url()
        return Database(url, pool_size=self._threads + 2, name="afterturn-worker")

    @cached_property
    def store(self) -> PostgresStore:
        """The flows' ports on Postgres."""
        return PostgresStore(self.database, self._owner)

    @cached_property
    def map_store(self) -> PostgresMapStore:
        """Agents and their peers on Postgres."""
        return PostgresMapStore(self.database, self._owner)

    @property
    def honcho_url(self) -> str:
        """Where Honcho is; the hosted one where there is only a key. Raises ConfigurationError."""
        url = self.settings.honcho_url or (HOSTED_HONCHO if honcho_key() else None)
        if url is None:
            raise ConfigurationError(
                "no Honcho: set HONCHO_URL or HONCHO_API_KEY for the workers,"
                " or start everything with: afterturn up"
            )
        return url

    @cached_property
    def honcho(self) -> HonchoClient:
        """The one Honcho client of this process."""
        return HonchoClient(self.honcho_url, honcho_key(), connections=self._threads + 4)

    def target(self, name: str) -> tuple[HonchoClient, str | None]:
        """Give the Honcho that a copy goes to, and its workspace there (None: the same name).

        Raises ConfigurationError where this worker knows no such target, or it is the Honcho
        that everything is synced to anyway.
        """
        chosen = target(name)
        same_workspace = chosen.workspace in {None, self.settings.workspace}
        if chosen.url.rstrip("/") == self.honcho_url.rstrip("/") and same_workspace:
            raise ConfigurationError(f"target {name!r} is the Honcho that is synced to anyway")
        with self._targets_lock:
            client = self._targets.get(name)
            if client is None:
                client = HonchoClient(chosen.url, chosen.key, connections=self._threads)
                self._targets[name] = client
        return client, chosen.workspace

    def copy_store(self, job_id: UUID, workspace: str | None) -> CopyStore:
        """Give the port on Postgres for one task of a copy."""
        return CopyStore(self.database, self._owner, job_id, workspace)

    def gathered(self) -> GatheredStore:
        """Give the port on Postgres for a drain of whatever is due."""
        lease = self.limits.lease
        return GatheredStore(self.database, CURSORS, {}, owner=self._owner, lease=lease)

    def gathered_copy(self, job_id: UUID, workspace: str | None) -> GatheredStore:
        """Give the same for a drain of one copy, into `workspace` (None: the one of that name)."""
        return GatheredStore(
            self.database,
            COPIES,
            {"job_id": job_id},
            owner=self._owner,
            lease=self.limits.lease,
            with_late=True,
            as_claimed=lambda claim: replace(claim, workspace=workspace or claim.workspace),
        )

    def verify_store(self, job_id: UUID) -> PostgresVerifyStore:
        """Give the port on Postgres for one task of a verification."""
        return PostgresVerifyStore(self.database, self._owner, job_id)

    @cached_property
    def limits(self) -> SyncLimits:
        """How long a sync may take."""
        return SyncLimits(
            lease=self.settings.lease_seconds,
            request=self.settings.request_seconds,
            settling=self.settings.settling_seconds,
            margin=LEASE_MARGIN,
        )

    @cached_property
    def compactions(self) -> PostgresCompactions:
        """Compactions on Postgres."""
        return PostgresCompactions(self.database, self._owner)

    @cached_property
    def llm(self) -> LlmClient | None:
        """The language model that summarises; None where none is configured."""
        model, url, key = self.settings.llm_model, self.settings.llm_base_url, llm_key()
        if model is None or (url is None and key is None):
            return None
        return LlmClient(url or OPENAI, model, key, connections=self._threads)

    @cached_property
    def summarisers(self) -> tuple[Summariser, ...]:
        """The kinds of summary, in the order in which they are tried."""
        store, settings = self.compactions, self.settings
        of_model = self.llm and OfModel(
            self.llm, store, window=settings.llm_window, seconds=settings.llm_seconds
        )
        of_honcho = OfHoncho(self.honcho, store, seconds=settings.request_seconds)
        return (of_honcho, *((of_model,) if of_model else ()), OfSentences(store))

    @cached_property
    def compaction_limits(self) -> CompactionLimits:
        """How long a compaction may take."""
        return CompactionLimits(lease=self.settings.lease_seconds)

    @cached_property
    def bulk_limits(self) -> SyncLimits:
        """The same in small shares: a turn may come to a session that is being repaired."""
        return replace(self.limits, slice=_BULK_SLICE)

    @cached_property
    def pace(self) -> PacePort:
        """The pace at which all workers together send."""
        settings = self.settings
        if not settings.redis_url or not (settings.max_in_flight or settings.requests_per_second):
            return Unpaced()
        return Pace(
            settings.redis_url,
            self.honcho_url,
            in_flight=settings.max_in_flight,
            per_second=settings.requests_per_second,
            held=settings.lease_seconds,
        )

    @cached_property
    def awaited(self) -> Awaited:
        """The asks that agents wait for."""
        return Awaited(self.settings.need_redis_url())

    def check(self) -> None:
        """Raise ConfigurationError now, rather than in the first task, for what is not said."""
        _ = self.database, self.honcho, self.llm

    def close(self) -> None:
        """Close what was opened."""
        if "honcho" in self.__dict__:
            self.honcho.close()
        if isinstance(self.__dict__.get("llm"), LlmClient):
            self.__dict__["llm"].close()
        for client in self._targets.values():
            client.close()
        if isinstance(self.__dict__.get("pace"), Pace):
            self.__dict__["pace"].close()
        if "awaited" in self.__dict__:
            self.awaited.close()
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
