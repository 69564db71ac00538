"""Answers of tools: JSON of a bounded size, which opens and closes nothing in a prompt."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from afterturn.prompt import neutralise
from afterturn_models.policy.budget import cut
from afterturn_models.policy.tokens import estimate_tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST = 40  # characters a token: what lies beyond is not even looked at
_MARKS = 3  # tokens that a name or a number takes with its quotes


def error(sentence: str, **more: str) -> str:
    """Give an answer that says why there is no other, and what can be done."""
    return json.dumps({"error": neutralise(sentence), **more}, ensure_ascii=False)


def answer(value: Mapping[str, Any], tokens: int) -> str:
    """Give `value` as JSON within `tokens`; what comes last in it is cut first, and that is said."""
    budget = tokens
    while True:
        purse = _Purse(budget)
        kept = {name: purse.pay(one) for name, one in value.items()}
        text = json.dumps(kept | ({"cut": True} if purse.empty else {}), ensure_ascii=False)
        over = estimate_tokens(text) - tokens
        if over <= 0 or budget <= 0:
            return text
        budget -= max(over, tokens // 20)  # quotes and escapes took more than was thought


class _Purse:
    """What is left of a budget of tokens while a value is gone through."""

    def __init__(self, tokens: int) -> None:
        self._left = tokens
        self.empty = False
        self._lost = False  # of some text nothing is left

    def pay(self, value: Any) -> Any:
        """Give as much of `value` as is left for it."""
        self._left -= _MARKS
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return self._list(value)
        if isinstance(value, dict):
            return {name: self.pay(one) for name, one in value.items()}
        return value

    def _text(self, value: str) -> str:
        looked_at = value[: max(0, self._left) * _LONGEST]
        whole = neutralise(looked_at)
        kept = cut(whole, self._left) if whole else ""
        self._left -= estimate_tokens(kept)
        self.empty = self.empty or kept != whole or len(looked_at) < len(value)
        self._lost = self._lost or (not kept and bool(value))
        return kept

    def _list(self, value: list[Any]) -> list[Any]:
        kept: list[Any] = []
        for one in value:
            paid = self.pay(one)
            if self._lost and kept:  # it would only take the place of what it had to say
                break
            kept.append(paid)
        self.empty = self.empty or len(kept) < len(value)
        return kept
