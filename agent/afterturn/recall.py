"""Recall: what a turn recalls, as its agent and the prompt block see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from afterturn_models.policy.block import DIALECTIC

if TYPE_CHECKING:
    from collections.abc import Mapping

    from afterturn_models.values import ContextResult


@dataclass(frozen=True, slots=True)
class Recall:
    """What a turn recalls: context and dialectic, each with the turn after which it was fetched.

    `counts` are the tokens of its texts as the worker counted them, by their names (a field of the
    context, or `dialectic`), so that an agent counts none in a turn. `current`: recalled for the
    current message, and not for the one before; `behind`: all but the dialectic, which is older.
    """

    context: ContextResult | None = None
    dialectic: str | None = None
    context_turn: int = 0
    dialectic_turn: int = 0
    counts: Mapping[str, int] = field(default_factory=dict, compare=False)
    current: bool = False
    behind: bool = False


def over(first: Recall | None, second: Recall | None) -> Recall | None:
    """Put `first` over `second`: each piece is that of the first, where it has one."""
    if first is None or second is None:
        return first or second
    context = second if first.context is None else first
    dialectic = second if first.dialectic is None else first
    return Recall(
        context=context.context,
        dialectic=dialectic.dialectic,
        context_turn=context.context_turn,
        dialectic_turn=dialectic.dialectic_turn,
        counts=_context_counts(context) | _dialectic_count(dialectic),
        current=first.current or second.current,
        behind=first.current and dialectic is second and not second.current,
    )


def _context_counts(recall: Recall) -> dict[str, int]:
    return {name: count for name, count in recall.counts.items() if name != DIALECTIC}


def _dialectic_count(recall: Recall) -> dict[str, int]:
    return {name: count for name, count in recall.counts.items() if name == DIALECTIC}
