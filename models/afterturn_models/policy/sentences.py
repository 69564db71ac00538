"""Sentences: a text cut where a reader of its script would pause for breath."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from afterturn_models.policy.text import is_blank

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLOSING = r"[\"')\]\u00bb\u2019\u201d\u300d\u300f\u3011]*+"
_ENDS = re.compile(
    # Latin, Greek, Cyrillic; Arabic and Urdu; Armenian; Ethiopic; Khmer: white space comes behind
    rf"[.!?\u2026\u061f\u06d4\u0589\u1362\u1367\u17d4\u17d5]++{_CLOSING}(?=\s)"
    # scripts without it, and the dandas of India
    rf"|[\u3002\uff01\uff1f\uff61\u0964\u0965]++{_CLOSING}"
)
# A point behind these ends no sentence: initials, titles, and what is short for something.
_SHORT = re.compile(
    r"(?:^|[\s(\".])(?:\w|Mr|Mrs|Ms|Dr|Prof|St|vs|etc|e\.g|i\.e|P\.f|No|Nr|Sr|Sra|bzw|ca|z\.B)\.$",
    re.IGNORECASE,
)
_LINES = re.compile(r"[\n\r\v\f\x85\u2028\u2029]++")


def sentences(text: str) -> Iterator[str]:
    """Give the sentences of `text` in order, each on one line and without white space around it.

    A line's end ends a sentence as well. Nothing that can be seen is lost.
    """
    for line in _LINES.split(text):
        start = 0
        for found in _ENDS.finditer(line):
            if _goes_on(line, found):
                continue
            yield from _seen(line[start : found.end()])
            start = found.end()
        yield from _seen(line[start:])


def _goes_on(line: str, found: re.Match[str]) -> bool:
    """Tell whether a point is not the end: an abbreviation's, or a small letter comes behind it."""
    if not found.group().startswith("."):
        return False
    behind = line[found.end() : found.end() + 3].lstrip()[:1]
    return behind.islower() or bool(_SHORT.search(line[max(0, found.start() - 8) : found.end()]))


def _seen(sentence: str) -> Iterator[str]:
    sentence = sentence.strip()
    if not is_blank(sentence):
        yield sentence
