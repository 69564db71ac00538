"""The token budget of a prompt block: which section is cut, and where."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from afterturn_models.policy.tokens import estimate_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

_TITLE = 8  # tokens around a section's text
_LEAST = 12  # tokens below which a rest of a section says nothing


@dataclass(frozen=True, slots=True)
class Section:
    """A titled text; those with the highest `keep` are cut first."""

    title: str
    text: str
    keep: int


def fit(sections: Sequence[Section], tokens: int) -> list[Section]:
    """Give the sections, in their order, cut to `tokens` together.

    The budget is spent by `keep`, lowest first; a section that does not fit whole is cut at the
    end of a line or a word, and left out where hardly anything of it would remain.
    """
    left = tokens
    kept: dict[int, Section] = {}
    for place, section in sorted(enumerate(sections), key=lambda pair: pair[1].keep):
        text = cut(section.text, left - _TITLE)
        if text:
            kept[place] = replace(section, text=text)
            left -= estimate_tokens(text) + _TITLE
    return [kept[place] for place in sorted(kept)]


def cut(text: str, tokens: int) -> str:
    """Give a long beginning of `text` within `tokens`, its "…" too, cut where a person would."""
    if estimate_tokens(text) <= tokens:
        return text
    if tokens < _LEAST:
        return ""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if estimate_tokens(text[:middle] + " …") <= tokens:
            low = middle
        else:
            high = middle - 1
    head = text[:low]
    for mark in ("\n", ". ", " "):
        at = head.rfind(mark)
        if at > low // 2:
            return head[: at + (1 if mark == ". " else 0)].rstrip() + " …"
    return head + "…"
