"""Compaction as an agent or a person asks for it: a task is sent, and what came of it read back."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from afterturn.pauses import pauses
from afterturn_models.signatures import compact_session

if TYPE_CHECKING:
    from uuid import UUID

    from afterturn.services import Services

_AGAIN = 0.5  # seconds until a session is asked for again that another worker has
_SHORT = {"busy", "more"}  # what is not the end of it


@dataclass(frozen=True, slots=True)
class CompactionOutcome:
    """What came of a compaction.

    `outcome` is compacted, nothing (none was due), off (by compactionSummary), waiting (for a
    cool-down after failures; `error` says of what), busy (another worker is at it), more (a part
    is done) or gone. `made_by` lists what made each summary: honcho, llm:<model>, extractive.
    `covers_to` is the index up to which the history is summarised, None where it is not.
    """

    outcome: str
    made_by: tuple[str, ...] = ()
    covers_to: int | None = None
    error: str | None = None


def compacted(
    services: Services, session_id: UUID, *, seconds: float, force: bool = False
) -> CompactionOutcome | None:
    """Have a session compacted, and wait for what comes of it, for `seconds` at most.

    None where nothing was said by then; with 0 seconds it is only asked for.
    """
    deadline = time.monotonic() + seconds
    made: tuple[str, ...] = ()
    while True:
        said = _asked(services, session_id, deadline, force=force)
        if said is None:
            return None
        made += said.made_by
        if said.outcome not in _SHORT or time.monotonic() + _AGAIN >= deadline:
            return CompactionOutcome(said.outcome, made, said.covers_to, said.error)
        if said.outcome == "busy":
            time.sleep(_AGAIN)


def _asked(
    services: Services, session_id: UUID, deadline: float, *, force: bool
) -> CompactionOutcome | None:
    task_id = f"{session_id}.{uuid.uuid4()}.compact"
    if not services.dispatcher.send(compact_session(session_id, task_id=task_id, force=force)):
        return None
    if deadline <= time.monotonic():
        return None
    for _ in pauses(deadline):
        raw = services.popper.pop([task_id])[0]
        if raw is not None:
            return _decoded(raw)
        if services.popper.away:
            break
    return None


def _decoded(raw: bytes | str) -> CompactionOutcome | None:
    """Read the task's result as Celery's backend stores it; None for anything else."""
    try:
        meta = json.loads(raw)
        if meta["status"] != "SUCCESS":
            return None
        said = meta["result"]
        return CompactionOutcome(
            str(said["outcome"]), tuple(said["made_by"]), said["covers_to"], said["error"]
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
