"""Task names and payloads: all that producers and workers share about a task.

Producers send by name and never import a task's body. A payload is ids and small parameters;
no captured text travels in one. What a model or a recall asks for does, and is shown nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from afterturn_models.prefetched import context_task_id, dialectic_task_id

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from afterturn_models.asks import Op

SYNC_SESSION = "afterturn.sync_session"
PREFETCH_CONTEXT = "afterturn.prefetch_context"
PREFETCH_DIALECTIC = "afterturn.prefetch_dialectic"
RESYNC_PART = "afterturn.resync_part"
DRAIN = "afterturn.drain"
SEED_IDENTITY = "afterturn.seed_identity"
ASK = "afterturn.ask"
MAP_AGENTS = "afterturn.map_agents"
COMPACT_SESSION = "afterturn.compact_session"
INDEX_HISTORY = "afterturn.index_history"
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
    RESYNC_PART: BULK,
    DRAIN: BULK,
    SEED_IDENTITY: MAINTENANCE,
    ASK: INTERACTIVE,
    MAP_AGENTS: MAINTENANCE,
    COMPACT_SESSION: MAINTENANCE,
    INDEX_HISTORY: MAINTENANCE,
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
    in_bulk: bool = False
    after: float = 0.0  # seconds that a worker keeps it before it is run
    shown: str | None = (
        None  # the arguments as logs and Flower may show them, where not as they are
    )
    headers: Mapping[str, str] = field(default_factory=dict)  # the trace that it belongs to

    @property
    def queue(self) -> str:
        """The queue of this task's kind of work, or of work that is to delay none."""
        return BULK if self.in_bulk else TASK_QUEUE[self.name]


def sync_session(
    session_id: UUID, *, task_id: str | None = None, in_bulk: bool = False, after: float = 0.0
) -> Signature:
    """Hint that a session may have something to sync or to prefetch.

    With a `task_id` the result is kept, for a caller that waits for it. `in_bulk`: rows out of
    their turn are sent as well, by the workers that do what is to delay nobody.
    """
    return Signature(
        SYNC_SESSION,
        {"session_id": str(session_id)} | ({"late": True} if in_bulk else {}),
        task_id=task_id,
        ignore_result=task_id is None,
        in_bulk=in_bulk,
        after=after,
    )


def resync_part(job_id: UUID, session_id: UUID) -> Signature:
    """Hint that a re-sync job has work to do in a session."""
    return Signature(RESYNC_PART, {"job_id": str(job_id), "session_id": str(session_id)})


def drain(job_id: UUID | None = None) -> Signature:
    """Hint that many sessions are due, or many parts of one copy."""
    return Signature(DRAIN, {"job_id": str(job_id)} if job_id else {})


def seed_identity(seed_id: int) -> Signature:
    """Hint that the identity ledger has something to seed."""
    return Signature(SEED_IDENTITY, {"seed_id": seed_id})


def ask(
    session_id: UUID, op: Op, arguments: dict[str, Any], *, user: str, task_id: str
) -> Signature:
    """Ask something of Honcho for a caller that waits; its query shows in no log.

    `user` is the peer of the one who speaks now: "user" in `arguments` means that one.
    """
    kwargs = {"session_id": str(session_id), "op": op.value, "user": user, "arguments": arguments}
    return Signature(
        ASK,
        kwargs,
        task_id=task_id,
        ignore_result=False,
        shown=repr({**kwargs, "arguments": "…"}),
    )


def map_agents(workspace: str) -> Signature:
    """Bring a workspace's agentPeerMap and ours together."""
    return Signature(MAP_AGENTS, {"workspace": workspace})


def compact_session(
    session_id: UUID, *, task_id: str | None = None, force: bool = False
) -> Signature:
    """Hint that a session's history may be due to be summarised.

    With a `task_id` the result is kept, for a caller that waits for it. `force`: whatever its
    length, and now.
    """
    return Signature(
        COMPACT_SESSION,
        {"session_id": str(session_id)} | ({"force": True} if force else {}),
        task_id=task_id,
        ignore_result=task_id is None,
    )


def index_history(session_id: UUID) -> Signature:
    """Hint that messages of a session are not in the index of their words yet."""
    return Signature(INDEX_HISTORY, {"session_id": str(session_id)})


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
