"""Prefetched results: the ids they wait under in the Redis backend, and how they are read back.

A worker's task returns `context_payload` or `dialectic_payload`, Celery stores it as any result
does; an agent pops the same key with one GETDEL and decodes it here, without Celery.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from afterturn_models.values import ContextResult

if TYPE_CHECKING:
    from uuid import UUID

T = TypeVar("T")

_KEY_PREFIX = "afterturn:celery-task-meta-"


def context_task_id(session_id: UUID, turn: int) -> str:
    """Give the task id, and so the result's place, of the context fetched after `turn`."""
    return f"{session_id}.{turn}.context"


def dialectic_task_id(session_id: UUID, turn: int) -> str:
    """Give the task id, and so the result's place, of the dialectic asked after `turn`."""
    return f"{session_id}.{turn}.dialectic"


def result_key(task_id: str) -> str:
    """Give the Redis key under which Celery's backend keeps the result of `task_id`."""
    return _KEY_PREFIX + task_id


@dataclass(frozen=True, slots=True)
class Prefetched:
    """One popped result: what was fetched after `turn`; exactly one of the two is given.

    `about` is the peer of whom it tells (None: not said).
    """

    turn: int
    context: ContextResult | None = None
    dialectic: str | None = None
    about: str | None = None


def context_payload(
    turn: int, context: ContextResult, *, about: str | None = None
) -> dict[str, Any]:
    """Give what `prefetch_context` returns: what is known of the peer `about`."""
    return {
        "turn": turn,
        "about": about,
        "context": {
            "representation": context.representation,
            "card": list(context.card),
            "ai_representation": context.ai_representation,
            "summary": context.summary,
        },
    }


def dialectic_payload(turn: int, answer: str, *, about: str | None = None) -> dict[str, Any]:
    """Give what `prefetch_dialectic` returns: an answer about the peer `about`."""
    return {"turn": turn, "about": about, "dialectic": answer}


def decode(raw: bytes | str | None) -> Prefetched | None:
    """Read one result as Celery's backend stores it.

    None for a key that is not there, a task that failed or had nothing to say, and anything that
    is not such a result: a cold turn is never an error.
    """
    if raw is None:
        return None
    try:
        meta = json.loads(raw)
        result = meta["result"] if meta["status"] == "SUCCESS" else None
        return _prefetched(result) if result else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _prefetched(result: dict[str, Any]) -> Prefetched:
    turn = _of(int, result["turn"])
    about = None if result.get("about") is None else _of(str, result["about"])
    if "dialectic" in result:
        return Prefetched(turn, dialectic=_of(str, result["dialectic"]), about=about)
    known = result["context"]
    return Prefetched(
        turn,
        context=ContextResult(
            representation=_of(str, known["representation"]),
            card=tuple(_of(str, line) for line in _of(list, known["card"])),
            ai_representation=_of(str, known["ai_representation"]),
            summary=_of(str, known["summary"]),
        ),
        about=about,
    )


def _of(kind: type[T], value: Any) -> T:
    if type(value) is not kind:  # exactly: JSON's true is no turn
        raise TypeError(f"{kind.__name__} expected")
    return value
