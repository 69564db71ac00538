"""What the sessions of one process share: Postgres, Redis, the dispatcher, caches, the spool."""

from __future__ import annotations

import os
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING

from afterturn.agent_peers import AgentPeers
from afterturn.asking import Asker
from afterturn.capture import Capturer
from afterturn.dispatch import Dispatcher
from afterturn.history import Histories
from afterturn.opening import Names
from afterturn.registry import Registry
from afterturn.rows import CaptureRules
from afterturn.spool import REFUSED, SPOOL, Spool
from afterturn_models.compaction_settings import FIELDS as COMPACTION
from afterturn_models.db import Database
from afterturn_models.policy.write_frequency import ASYNC
from afterturn_models.profile import SessionProfile
from afterturn_models.recall_settings import FIELDS as RECALL
from afterturn_models.sources import home
from afterturn_models.store.capture import WritePolicy
from afterturn_models.token_counter import token_counter

if TYPE_CHECKING:
    from afterturn.turn import Turn
    from afterturn_models.settings import Loaded

_POLICY = {
    "user_memory_mode": "userMemoryMode",
    "agent_memory_mode": "agentMemoryMode",
    "memory_mode": "memoryMode",
    "write_frequency": "writeFrequency",
    "save_messages": "saveMessages",
}
_GIVEN = "keyword arguments"
_PATIENCE = 5.0  # seconds without a word from Postgres after which a turn is spooled
_alive: weakref.WeakSet[Services] = weakref.WeakSet()


class Services:
    """Built once a process from its settings."""

    def __init__(self, loaded: Loaded) -> None:
        """Raise ConfigurationError where the database or Redis is not configured."""
        # Redis' client takes as long to load as all else together: not before a memory is opened.
        from afterturn.popper import Popper
        from afterturn.timings.timings import Timings

        self.settings = loaded.settings
        database_url = self.settings.need_database_url()
        redis_url = self.settings.need_redis_url()
        self.database = Database(
            database_url, name="afterturn-agent", patience=_PATIENCE, planned_once=True
        )
        self.popper = Popper(redis_url)
        self.timings = Timings(self.settings, redis_url)
        self.dispatcher = Dispatcher(redis_url, self.timings)
        self.asker = Asker(self.popper, self.dispatcher)
        self.spool = Spool(home() / SPOOL)
        self.capturer = Capturer(self.database, self.spool, Spool(home() / REFUSED))
        self.histories = Histories(
            self.database, self.settings.history_cache_entries, self.settings.history_cache_bytes
        )
        self.policy = _policy(loaded)
        self.told = _profile(loaded, self.policy)
        self.counter = token_counter(self.settings)
        self.rules = CaptureRules.of(self.settings, self.counter)
        self.names = Names(self.database, self.capturer, loaded)
        self.agents = AgentPeers(
            self.database,
            self.capturer,
            self.dispatcher,
            self.settings.workspace,
            self.names.agent,
        )
        self.sessions = Registry()
        # Held here, so that a turn outlives an agent that let go of its session in the middle.
        self.unfinished: set[Turn] = set()
        _alive.add(self)

    @property
    def profile(self) -> SessionProfile:
        """What a session that is opened now is told: the owner is whoever that is by now.

        Raises SchemaError.
        """
        return replace(self.told, owner=self.names.settings().peer_name)

    def forked(self) -> None:
        """Go on in a forked child, with nothing of what its parent was in the middle of."""
        self.database.forked()
        self.popper.forked()
        self.timings.forked()
        self.dispatcher.forked()
        self.asker.forked()
        self.capturer.forked()
        self.agents.forked()
        self.histories.forked()
        self.sessions.forked()
        self.unfinished = set()

    def close(self) -> None:
        """Send what hints are waiting, and close every connection."""
        self.dispatcher.close()
        self.timings.close()
        self.popper.close()
        self.capturer.close()
        self.database.close()
        _alive.discard(self)


def _policy(loaded: Loaded) -> WritePolicy:
    """Split the writer's word: keyword arguments come before Postgres, all else behind it."""
    said = {
        name: value for name in _POLICY if (value := getattr(loaded.settings, name)) is not None
    }
    given = {name: value for name, value in said.items() if loaded.origins.get(name) == _GIVEN}
    rest = {name: value for name, value in said.items() if name not in given}
    rest.setdefault("write_frequency", ASYNC)
    return WritePolicy(_as_text(given), _as_text(rest))


def _profile(loaded: Loaded, policy: WritePolicy) -> SessionProfile:
    """Give what this process was told of recall and compaction, for the sessions that it opens."""
    told = [name for name in (*RECALL, *COMPACTION) if name in loaded.origins]
    given = [name for name in told if loaded.origins[name] == _GIVEN]
    rest = [name for name in told if name not in given]
    said = loaded.settings.said
    return SessionProfile(
        given=dict(policy.given) | said(given),
        rest=dict(policy.fallback) | said(rest),
        owner=loaded.settings.peer_name,
    )


def _as_text(values: dict[str, object]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (_POLICY[name], str(value).lower() if isinstance(value, bool) else str(value))
        for name, value in values.items()
    )


def _after_fork() -> None:
    for services in list(_alive):
        services.forked()


os.register_at_fork(after_in_child=_after_fork)
