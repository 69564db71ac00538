"""Highlights: the passage of a message that a search found it for, and where its words stand."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from afterturn_models.policy.search_query import PUNCTUATION, UNSPACED

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH = 240  # characters of a passage, about
_APART = f"[{PUNCTUATION}\\s]+"
_IS_UNSPACED = re.compile(f"[{UNSPACED}]")
_BEFORE, _AFTER = f"(?<![^{PUNCTUATION}{UNSPACED}\\s])", f"(?![^{PUNCTUATION}{UNSPACED}\\s])"


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a text, and where in it the words are that were looked for: from, to."""

    text: str
    marks: tuple[tuple[int, int], ...]


def passage(text: str, phrases: Sequence[tuple[str, ...]], *, width: int = WIDTH) -> Passage:
    """Give about `width` characters of `text` around the first words that were looked for.

    What is only alike in another writing of the same characters has no mark.
    """
    wanted = re.compile("|".join(_pattern(runs) for runs in phrases), re.IGNORECASE)
    spots = [found.span() for found in wanted.finditer(text)]
    first, last = _window(text, spots[0] if spots else (0, 0), width)
    begins, ends = "…" if first else "", "…" if last < len(text) else ""
    moved = len(begins) - first
    marks = [(a + moved, b + moved) for a, b in spots if a >= first and b <= last]
    return Passage(f"{begins}{text[first:last]}{ends}", tuple(marks))


def _window(text: str, spot: tuple[int, int], width: int) -> tuple[int, int]:
    """Choose what is shown: from a third before the spot on, and no word cut where one can be."""
    first = max(0, min(spot[0] - width // 3, len(text) - width))
    last = min(len(text), max(first + width, spot[1]))
    if first:
        space = text.find(" ", first, spot[0])
        first = space + 1 if 0 <= space < first + width // 6 else first
    if last < len(text):
        space = text.rfind(" ", spot[1], last)
        last = space if space > last - width // 6 else last
    return first, last


def _pattern(runs: tuple[str, ...]) -> str:
    """Match runs as the index does: words whole, and apart by what parts words."""
    return _APART_OR_NOT.join(
        re.escape(run) if _IS_UNSPACED.match(run) else f"{_BEFORE}{re.escape(run)}{_AFTER}"
        for run in runs
    )


_APART_OR_NOT = f"(?:{_APART})?"
