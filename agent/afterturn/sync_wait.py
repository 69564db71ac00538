"""Waiting for Honcho: what `turn.end` does with the write frequency `turn`, and `flush`.

The hint's own task says best what came of it; where it says nothing, the cursor in Postgres does.
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from typing import TYPE_CHECKING

from afterturn.pauses import pauses
from afterturn_models.errors import StoreUnavailableError
from afterturn_models.store.cursors import standing
from afterturn_models.store.due import last_saved_index, raise_to_end
from afterturn_models.values import Standing

if TYPE_CHECKING:
    from uuid import UUID

    from afterturn.popper import Popper
    from afterturn.services import Services
    from afterturn.timings.marks import Marks
    from afterturn_models.db import Database

log = logging.getLogger("afterturn.session")

ANSWER_WITHIN = 1.0  # seconds: an idle worker needs a tenth of it, and a lost hint never answers
# A back-off has to pass or a person to act: waiting longer would only keep the user.
_HELD_UP = frozenset({Standing.WAITING, Standing.PARKED, Standing.GONE})


def answer(popper: Popper, task_id: str, deadline: float) -> Standing | None:
    """Wait for what the sync task `task_id` says, for `ANSWER_WITHIN` seconds at most.

    None where it said nothing by then, where it failed, and at once where Redis is away.
    """
    for _ in pauses(min(deadline, time.monotonic() + ANSWER_WITHIN)):
        raw = popper.pop([task_id])[0]
        if raw is not None:
            return decode(raw)
        if popper.away:
            return None
    return None


def decode(raw: bytes | str) -> Standing | None:
    """Read a sync task's result as Celery's backend stores it; None for anything else."""
    try:
        meta = json.loads(raw)
        return Standing(meta["result"]["standing"]) if meta["status"] == "SUCCESS" else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def turn_synced(services: Services, session_id: UUID, index: int, marks: Marks) -> bool:
    """Send a turn's hint and wait for what comes of it, for `turnSyncSeconds` at most.

    Tells whether everything up to `index` is known to be settled.
    """
    deadline = time.monotonic() + services.settings.turn_sync_seconds
    task_id = f"{session_id}.{uuid.uuid4()}.sync"
    services.dispatcher.hint(session_id, task_id=task_id, marks=marks)
    marks.hinted = time.perf_counter_ns()
    try:
        return synced(services.popper, services.database, session_id, task_id, index, deadline)
    except StoreUnavailableError as error:
        log.warning("captured, but not known to be synced: %s", error)
        return False
    finally:
        marks.done = time.perf_counter_ns()


def flushed(services: Services, session_id: UUID, deadline: float) -> bool:
    """Make all of a session due, send the hint, and watch until it is settled, or the deadline.

    Raises StoreUnavailableError.
    """
    with services.database.statement() as connection:
        target = raise_to_end(connection, session_id)
    if target is None:
        return True
    services.dispatcher.hint(session_id)
    return settled(services.database, session_id, target, deadline, patiently=True)


def synced(
    popper: Popper, database: Database, session_id: UUID, task_id: str, index: int, deadline: float
) -> bool:
    """Wait until a session is settled up to `index`, as far as waiting helps; tell whether it is.

    The answer of the hint's own task comes first. Where that leaves it open (another worker has
    the session, there is more, no answer came, Redis is away), the cursor is watched until the
    deadline. Raises StoreUnavailableError where Postgres goes meanwhile.
    """
    said = answer(popper, task_id, deadline)
    if said is Standing.SYNCED:
        return True
    if said in _HELD_UP:
        return False
    return settled(database, session_id, index, deadline, patiently=False)


def settled(
    database: Database, session_id: UUID, index: int, deadline: float, *, patiently: bool
) -> bool:
    """Watch the cursor until it is at `index`, or the deadline passes, or the session is deleted.

    Not `patiently`: until it is held up as well, by a back-off or by what a person must mend.
    Raises StoreUnavailableError.
    """
    for _ in pauses(deadline):
        with database.statement() as connection:
            saved = last_saved_index(connection, session_id)
            if saved is None or saved >= index:
                return saved is not None
            if not patiently and standing(connection, session_id) in _HELD_UP:
                return False
    return False
