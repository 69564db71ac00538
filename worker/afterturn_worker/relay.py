"""The relay: every few seconds, in every worker, one query over Postgres for what was left behind.

A lost hint, a retry whose time has come, a lease that ran out, a session gone quiet: all are
cursors with `last_saved_index < due_index` and `run_at` past. There is no beat to run or to lose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kombu.exceptions import OperationalError

from afterturn_models import signatures
from afterturn_models.broker import send
from afterturn_models.store import agents, compaction_due, due, identity, resync
from afterturn_models.store.many_leases import COPIES, CURSORS
from afterturn_worker.periodic import Periodic, log
from afterturn_worker.resources import resources
from afterturn_worker.sweeping import Sweep

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    from sqlalchemy import Connection

    from afterturn_models.settings import Settings
    from afterturn_models.signatures import Signature

_MOST = 500  # sessions a tick; the next tick takes more
_DRAIN_FROM = 16  # due sessions that are worth one task for all of them
_MAP_AGAIN = 15.0  # seconds between two hints at a workspace's agents


class Relay(Periodic):
    """Hints at every session that is due and that nobody works on."""

    name = "afterturn.relay"
    label = "relay"
    _sweep = Sweep()  # one for a process, as the relay is

    def seconds(self) -> float:
        """Give the time between two ticks."""
        return resources().settings.relay_seconds

    def tick(self) -> None:
        """Make quiet sessions due, then hint at what is due."""
        process = resources()
        with process.database.statement() as connection:
            hints = left_behind(connection, process.settings)
            hints += self._sweep.hints(connection, process.settings)
        try:
            for hint in hints:
                send(self.worker.app, hint)
        except (OperationalError, OSError) as error:
            log.warning("broker_unavailable", error=str(error), left=len(hints))


def left_behind(connection: Connection, settings: Settings) -> list[Signature]:
    """Find what nobody works on, note that it was hinted at, and give the hints."""
    again = settings.relay_seconds
    due.raise_quiet(connection, idle=settings.idle_seconds, most=_MOST)
    sessions = due.take_due(connection, again=again, most=_MOST)
    resync.finish_jobs(connection)
    parts = resync.take_due_parts(connection, again=again, most=_MOST)
    seeds = identity.take_undone(connection, again=again, most=_MOST)
    unmapped = agents.take_unmapped(connection, again=_MAP_AGAIN, most=_MOST)
    long = compaction_due.take_wanted(connection, again=again, most=_MOST)
    return [
        *_syncs(connection, sessions),
        *_parts(connection, parts),
        *(signatures.seed_identity(seed) for seed in seeds),
        *(signatures.map_agents(workspace) for workspace in unmapped),
        *(signatures.compact_session(session) for session in long),
    ]


def _syncs(connection: Connection, found: Sequence[tuple[UUID, bool]]) -> Iterator[Signature]:
    """Hint at sessions, at many that are plain by one drain."""
    in_turn = [session for session, turn in found if turn]
    drained = _drained(CURSORS.drainable(connection, {}, in_turn))
    if drained:
        yield signatures.drain()
    for session, turn in found:
        if session not in drained:
            yield signatures.sync_session(session, in_bulk=not turn)


def _parts(connection: Connection, found: Sequence[tuple[UUID, UUID]]) -> Iterator[Signature]:
    """Hint at parts of jobs, at many of one copy by one drain."""
    jobs = {job for job, _ in found}
    drained = {}
    for job in jobs:
        sessions = [session for of, session in found if of == job]
        drained[job] = _drained(COPIES.drainable(connection, {"job_id": job}, sessions))
        if drained[job]:
            yield signatures.drain(job)
    for job, session in found:
        if session not in drained[job]:
            yield signatures.resync_part(job, session)


def _drained(plain: set[UUID]) -> set[UUID]:
    return plain if len(plain) >= _DRAIN_FROM else set()
