"""Waiting for Honcho: what `turn.end` does with the write frequency `turn`, and `flush`.

The hint's own task says best what came of it; where it says nothing, the cursor in Postgres does.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from afterturn_models.store.cursors import standing
from afterturn_models.store.due import last_saved_index
from afterturn_models.values import Standing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from afterturn.recall import Popper
    from afterturn_models.db import Database

ANSWER_WITHIN = 1.0  # seconds: an idle worker needs a tenth of it, and a lost hint never answers
_POLL = (0.005, 0.05)  # seconds between two looks: at first, and at most
# A back-off has to pass or a person to act: waiting longer would only keep the user.
_HELD_UP = frozenset({Standing.WAITING, Standing.PARKED, Standing.GONE})


def pauses(deadline: float) -> Iterator[None]:
    """Come back at once, then ever less often, until `deadline` on the monotonic clock is past.

    There is a last look at the deadline itself.
    """
    pause = _POLL[0]
    while True:
        yield
        left = deadline - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(pause, left))
        pause = min(pause * 2, _POLL[1])


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
