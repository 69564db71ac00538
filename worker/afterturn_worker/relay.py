"""The relay: every few seconds, in every worker, one query over Postgres for what was left behind.

A lost hint, a retry whose time has come, a lease that ran out, a session gone quiet: all are
cursors with `last_saved_index < due_index` and `run_at` past. There is no beat to run or to lose.
"""

from __future__ import annotations

from kombu.exceptions import OperationalError

from afterturn_models import signatures
from afterturn_models.broker import send
from afterturn_models.store import agents, due, identity, resync
from afterturn_worker.periodic import Periodic, log
from afterturn_worker.resources import resources

_MOST = 500  # sessions a tick; the next tick takes more
_MAP_AGAIN = 15.0  # seconds between two hints at a workspace's agents


class Relay(Periodic):
    """Hints at every session that is due and that nobody works on."""

    name = "afterturn.relay"
    label = "relay"

    def seconds(self) -> float:
        """Give the time between two ticks."""
        return resources().settings.relay_seconds

    def tick(self) -> None:
        """Make quiet sessions due, then hint at what is due."""
        process = resources()
        with process.database.statement() as connection:
            due.raise_quiet(connection, idle=process.settings.idle_seconds, most=_MOST)
            found = due.take_due(connection, again=process.settings.relay_seconds, most=_MOST)
            resync.finish_jobs(connection)
            parts = resync.take_due_parts(
                connection, again=process.settings.relay_seconds, most=_MOST
            )
            seeds = identity.take_undone(
                connection, again=process.settings.relay_seconds, most=_MOST
            )
            unmapped = agents.take_unmapped(connection, again=_MAP_AGAIN, most=_MOST)
        try:
            for session_id, in_turn in found:
                hint = signatures.sync_session(session_id, in_bulk=not in_turn)
                send(self.worker.app, hint)
            for job_id, session_id in parts:
                send(self.worker.app, signatures.resync_part(job_id, session_id))
            for seed_id in seeds:
                send(self.worker.app, signatures.seed_identity(seed_id))
            for workspace in unmapped:
                send(self.worker.app, signatures.map_agents(workspace))
        except (OperationalError, OSError) as error:
            log.warning(
                "broker_unavailable", error=str(error), left=len(found) + len(parts) + len(seeds)
            )
