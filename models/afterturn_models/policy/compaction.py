"""Compaction's plan: when a history is summarised, and which rows of it, from token counts alone.

Pure, so that the agent's capture and the worker's task decide alike. What is planned is whole
turns: a tool's call and its answer are of one turn, so that no cut comes between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from afterturn_models.values import Role


@dataclass(frozen=True, slots=True)
class CompactionRules:
    """When compaction is due, and what it leaves alone.

    `window`: tokens of the model's context window. `threshold`: the share of it at which
    compaction is due. `target`: the share of that threshold that the newest turns may keep
    afterwards. `head_turns`: first turns that always stay as they are. `tail_turns`: last turns
    that always stay, the last one in any case. `summary_tokens`: how long a summary may be.
    """

    window: int
    threshold: float
    target: float
    head_turns: int
    tail_turns: int
    summary_tokens: int

    @property
    def due_at(self) -> float:
        """How many tokens beyond the last cut make a compaction due."""
        return self.window * self.threshold

    @property
    def tail_tokens(self) -> float:
        """How many tokens of the newest turns a cut leaves, where their number does not say more."""
        return self.due_at * self.target


@dataclass(frozen=True, slots=True)
class Line:
    """A row as the plan sees it; `turn` is its number in the session, counted from 1."""

    index: int
    turn: int
    role: Role
    tokens: int


@dataclass(frozen=True, slots=True)
class Cut:
    """The rows `covers_from` to `covers_to`, both included: whole turns beyond the last cut.

    `tokens` is what they come to together.
    """

    covers_from: int
    covers_to: int
    tokens: int


def due(total: int, covered: int, rules: CompactionRules) -> bool:
    """Tell whether compaction is due for a session of `total` tokens.

    `covered` are the tokens of every row up to the last cut's `covers_to`, those of the head
    among them; 0 where there was no cut.
    """
    return total - covered > 0 and total - covered >= rules.due_at


def plan(
    lines: Sequence[Line], covered_to: int, rules: CompactionRules, *, force: bool = False
) -> Cut | None:
    """Plan the next cut; None where none is due, or nothing may be cut.

    `lines` are rows in the order of their indexes, every one beyond `covered_to` (0: there was no
    cut) among them; those before it are passed over. A cut takes the oldest turns, all beyond the
    head but for a tail of `tail_turns` at least, and of as many as come to `tail_tokens`. A cut of
    no more than a summary's length gains nothing and is left for later. With `force` neither what
    is due nor `tail_tokens` nor that length counts: all but the protected turns is cut.
    """
    beyond = [line for line in lines if line.index > covered_to]
    total = sum(line.tokens for line in beyond)
    if not force and not due(total, 0, rules):
        return None
    turns = [list(rows) for _, rows in groupby(beyond, key=lambda line: line.turn)]
    kept = len(turns) - _tail(turns, rules, 0 if force else rules.tail_tokens)
    taken = [row for turn in turns[:kept] if turn[0].turn > rules.head_turns for row in turn]
    tokens = sum(row.tokens for row in taken)
    if not taken or (not force and tokens <= rules.summary_tokens):
        return None
    return Cut(taken[0].index, taken[-1].index, tokens)


def _tail(turns: Sequence[Sequence[Line]], rules: CompactionRules, tokens: float) -> int:
    """Count the newest turns that stay: the protected ones, and more while they fit `tokens`."""
    used, kept = 0, 0
    for turn in reversed(turns):
        used += sum(row.tokens for row in turn)
        if kept >= max(1, rules.tail_turns) and used > tokens:
            break
        kept += 1
    return kept
