"""Pruning: what a tool said is cut to its head and its tail before anything else is given up."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from afterturn_models.policy.graphemes import boundary_at_or_before
from afterturn_models.policy.text import clean_text
from afterturn_models.policy.tokens import estimate_tokens, within
from afterturn_models.values import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from afterturn_models.policy.extractive import SaidLine

_HEAD = 0.6  # of what is left: a tool says first what it found, and last how it ended
_LONGEST_JSON = 400_000  # characters that are parsed: beyond it, that is no longer cheap
_SHAPES = ((400, 30), (160, 10), (60, 3))  # characters of a text in it, items of a list or object
_DENSEST = 10  # characters a token: JSON that is longer is not even counted
_CLUSTER = 16  # characters that are looked back over for a boundary between two graphemes
_TRIES = 24


def prune_tool_output(text: str, tokens: int, count: Callable[[str], int] = estimate_tokens) -> str:
    """Give `text` within `tokens` as `count` has it: its head, its tail, and how much is missing.

    JSON stays JSON where that is enough: its long texts and lists are cut, and say so. Where not
    even the mark has room nothing is left. The same text and budget give the same bytes.
    """
    text = clean_text(text)
    if count(text) <= tokens:
        return text
    shorter = _shorter_json(text, tokens, count)
    if shorter is not None:
        return shorter
    room = tokens - count(_mark(len(text)))
    for _ in range(_TRIES):
        if room <= 0:
            break
        found = _ends(text, room)
        if count(found) <= tokens:  # as a rule the first one does
            return found
        room = min(room - 1, room * 7 // 8)
    mark = _mark(len(text)).strip()
    return mark if count(mark) <= tokens else ""


def pruned(lines: Sequence[SaidLine], tokens: int) -> list[SaidLine]:
    """Give `lines` with each tool's output pruned to `tokens`; what people said stays as it is."""
    return [
        replace(line, text=prune_tool_output(line.text, tokens)) if line.role is Role.TOOL else line
        for line in lines
    ]


def _mark(left_out: int) -> str:
    return f"\n[… {left_out} characters left out …]\n"


def _ends(text: str, room: int) -> str:
    """Give head and tail of about `room` tokens together, by estimate, with the mark between."""
    head = _boundary(text, within(text, int(room * _HEAD)))
    first = _tail_start(text, room - estimate_tokens(text[:head]))
    if first <= head:  # the estimate of the parts is a little more than that of the whole
        first = min(len(text), head + 1)
    return f"{text[:head]}{_mark(first - head)}{text[first:]}"


def _tail_start(text: str, room: int) -> int:
    """Give where the last `room` tokens of a text begin, about, and not within a grapheme."""
    length = min(len(text), room * 8)
    while length > 0:
        used = estimate_tokens(text[-length:])
        if used <= room:
            return _boundary(text, len(text) - length)
        length = min(length - 1, length * room // used)
    return len(text)


def _boundary(text: str, at: int) -> int:
    found = boundary_at_or_before(text, at, max(0, at - _CLUSTER))
    return at if found is None else found


def _shorter_json(text: str, tokens: int, count: Callable[[str], int]) -> str | None:
    """Give JSON with less in it that is within `tokens`; None where it is none, or that is not enough."""
    if len(text) > _LONGEST_JSON or not text.lstrip().startswith(("{", "[")):
        return None
    try:
        said = json.loads(text)
        for characters, items in ((len(text), len(text)), *_SHAPES):
            shorter = json.dumps(
                _shrunk(said, characters, items), ensure_ascii=False, separators=(",", ":")
            )
            if len(shorter) <= tokens * _DENSEST and count(shorter) <= tokens:
                return clean_text(shorter)
    except (ValueError, RecursionError):
        pass
    return None


def _shrunk(value: Any, characters: int, items: int) -> Any:
    if isinstance(value, str):
        more = len(value) - characters
        return f"{value[:characters]} [… {more} characters left out]" if more > 0 else value
    if isinstance(value, list):
        kept = [_shrunk(one, characters, items) for one in value[:items]]
        more = len(value) - items
        return [*kept, f"[… {more} items left out]"] if more > 0 else kept
    if isinstance(value, dict):
        few = list(value.items())[:items]
        shrunk = {name: _shrunk(one, characters, items) for name, one in few}
        more = len(value) - items
        return {**shrunk, "…": f"[… {more} more left out]"} if more > 0 else shrunk
    return value
