"""Task names and payloads: all that producers and workers share about a task.

Producers send by name and never import a task's body. A payload is ids and small parameters;
no captured text travels in one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from afterturn_models.prefetched import context_task_id, dialectic_task_id

if TYPE_CHECKING:
    from uuid import UUID

SYNC_SESSION = "afterturn.sync_session"
PREFETCH_CONTEXT = "afterturn.prefetch_context"
PREFETCH_DIALECTIC = "afterturn.prefetch_dialectic"
BEAT = "afterturn.beat"

INTERACTIVE, SYNC, PREFETCH, BULK, MAINTENANCE = (
    "interactive",
    "sync",
    "prefetch",
    "bulk",
    "maintenance",
)
QUEUES = (INTERACTIVE, SYNC, PREFETCH, BULK, MAINTENANCE)

TASK_QUEUE = {
    SYNC_SESSION: SYNC,
    PREFETCH_CONTEXT: PREFETCH,
    PREFETCH_DIALECTIC: PREFETCH,
    BEAT: MAINTENANCE,
}


@dataclass(frozen=True, slots=True)
class Signature:
    """A task to send: its name, JSON arguments, queue, and what becomes of its result.

    `task_id` is given where the result is read back by a known id. There is no expiry: it would
    be judged by the worker's clock, and every task returns at once where its work is done.
    """

    name: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    task_id: str | None = None
    ignore_result: bool = True

    @property
    def queue(self) -> str:
        """The queue of this task's kind of work."""
        return TASK_QUEUE[self.name]


def sync_session(session_id: UUID, *, task_id: str | None = None) -> Signature:
    """Hint that a session may have something to sync or to prefetch.

    With a `task_id` the result is kept, for a caller that waits for it.
    """
    return Signature(
        SYNC_SESSION,
        {"session_id": str(session_id)},
        task_id=task_id,
        ignore_result=task_id is None,
    )


def prefetch_context(session_id: UUID, turn: int) -> Signature:
    """Fetch context after `turn`, for the next one to pop."""
    return _prefetch(PREFETCH_CONTEXT, session_id, turn, context_task_id(session_id, turn))


def prefetch_dialectic(session_id: UUID, turn: int) -> Signature:
    """Ask Honcho about the user after `turn`, for the next one to pop."""
    return _prefetch(PREFETCH_DIALECTIC, session_id, turn, dialectic_task_id(session_id, turn))


def _prefetch(name: str, session_id: UUID, turn: int, task_id: str) -> Signature:
    return Signature(
        name,
        {"session_id": str(session_id), "turn": turn},
        task_id=task_id,
        ignore_result=False,
    )
