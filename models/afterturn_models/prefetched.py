"""Prefetched results: the ids they wait under in the Redis backend, and how they are read back.

A worker's task returns `context_payload` or `dialectic_payload`, Celery stores it as any result
does; an agent pops the same key with one GETDEL and decodes it here, without Celery. The texts
are prepared for the prompt block, with the tokens of each, so that the agent's turn counts none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from afterturn_models.policy.block import DIALECTIC, prepare_answer, prepare_context
from afterturn_models.values import ContextResult

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from uuid import UUID

DEFAULT_TOKENS = 2000  # of a block, where nothing else is said
_INT = frozenset({int})
# As Celery writes it there is no white space around it, and no encoding to guess: a turn waits.
_read = json.JSONDecoder().raw_decode
_KEY_PREFIX = "afterturn:celery-task-meta-"


def context_task_id(session_id: UUID | str, turn: int) -> str:
    """Give the task id, and so the result's place, of the context fetched after `turn`."""
    return f"{session_id}.{turn}.context"


def dialectic_task_id(session_id: UUID | str, turn: int) -> str:
    """Give the task id, and so the result's place, of the dialectic asked after `turn`."""
    return f"{session_id}.{turn}.dialectic"


def result_key(task_id: str) -> str:
    """Give the Redis key under which Celery's backend keeps the result of `task_id`."""
    return _KEY_PREFIX + task_id


@dataclass(slots=True)  # not frozen, which takes longer to make: a turn waits for it
class Prefetched:
    """One popped result: what was fetched after `turn`; exactly one of the two is given.

    `about` is the peer of whom it tells (None: not said), `counts` the tokens of each prepared
    text by its name: a field of the context, or `dialectic`. Those of an older worker have none.
    """

    turn: int
    context: ContextResult | None = None
    dialectic: str | None = None
    about: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict, compare=False)


def context_payload(
    turn: int,
    context: ContextResult,
    *,
    about: str | None = None,
    tokens: int = DEFAULT_TOKENS,
    beside: int = 0,
) -> dict[str, Any]:
    """Give what `prefetch_context` returns: what is known of the peer `about`, prepared.

    Its texts are cut to a block of `tokens` and counted; `beside` are the characters that an
    answer of the dialectic in the same block may have.
    """
    prepared = prepare_context(context, tokens, beside=beside)
    known = prepared.context
    return {
        "turn": turn,
        "about": about,
        "context": {
            "representation": known.representation,
            "card": list(known.card),
            "ai_representation": known.ai_representation,
            "summary": known.summary,
            "ai_card": list(known.ai_card),
        },
        "counts": prepared.counts,
    }


def dialectic_payload(turn: int, answer: str, *, about: str | None = None) -> dict[str, Any]:
    """Give what `prefetch_dialectic` returns: an answer about the peer `about`, prepared."""
    text, tokens = prepare_answer(answer)
    return {"turn": turn, "about": about, "dialectic": text, "counts": {DIALECTIC: tokens}}


def decode(raw: bytes | str | None) -> Prefetched | None:
    """Read one result as Celery's backend stores it.

    None for a key that is not there, a task that failed or had nothing to say, and anything that
    is not such a result: a cold turn is never an error.
    """
    if raw is None:
        return None
    try:
        meta, _ = _read(raw if isinstance(raw, str) else raw.decode())
        result = meta["result"] if meta["status"] == "SUCCESS" else None
        return _prefetched(result) if result else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _prefetched(result: dict[str, Any]) -> Prefetched:
    """Read a task's result; few and long steps, since a turn waits. Raises TypeError, KeyError."""
    turn, about = result["turn"], result.get("about")
    if type(turn) is not int:  # exactly: JSON's true is no turn
        raise TypeError("a turn is a number")
    counts = result.get("counts")
    if type(counts) is not dict or not _are_counts(counts.values()):
        counts = _counts(counts)
    name = "" if about is None else about
    if "dialectic" in result:
        answer = result["dialectic"]
        _check_texts((name, answer))
        return Prefetched(turn, None, answer, about, counts)
    known = result["context"]
    told, own, summary = known["representation"], known["ai_representation"], known["summary"]
    card, own_card = known["card"], known.get("ai_card", [])  # the first version's gives none
    if type(card) is not list or type(own_card) is not list:
        raise TypeError("a card is a list")
    _check_texts((name, told, own, summary, *card, *own_card))
    context = ContextResult(told, tuple(card), own, summary, tuple(own_card))
    return Prefetched(turn, context, None, about, counts)


def _are_counts(counts: Collection[Any]) -> bool:
    return _INT.issuperset(map(type, counts)) and min(counts, default=1) > 0


def _counts(counts: Any) -> dict[str, int]:
    """Give the counts that are any; the rest is counted by whoever needs it."""
    if type(counts) is not dict:
        return {}
    return {name: count for name, count in counts.items() if _are_counts((count,))}


# Nothing but texts can be joined: that is the quickest look at all of them. Raises TypeError.
_check_texts = "".join
