"""Splitting: a message too long for Honcho becomes parts, cut where a reader would pause."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

from afterturn_models.policy.graphemes import boundary_at_or_before, is_boundary
from afterturn_models.policy.text import is_blank, seen_end, seen_from

MAX_CHARACTERS = 25_000  # Honcho counts code points, as `len` does, and refuses the whole batch
# All possessive, and none begins within a run that it has read: linear on any text.
_PARAGRAPH = re.compile(r"\n(?:[ \t\r]*+\n)++")
_LINE = re.compile("[\n\r\x85\u2028\u2029]")
_SENTENCE = re.compile(
    r"(?<![.!?\u2026])[.!?\u2026]++[\"')\]\u00bb\u2019\u201d]*+\s++"
    r"|[\u3002\uff01\uff1f][\"')\]\u2019\u201d\u300d\u300f\u3011]*+\s*+"
)
_WORD = re.compile(r"\s++|[\uff0c\u3001\uff1b\uff1a]")
_CODE_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})([^\n]*)", re.MULTILINE)


def split_text(text: str, limit: int = MAX_CHARACTERS) -> list[str]:
    """Split `text` into parts of 1 to `limit` characters that joined are `text` again.

    A cut is made in the second half of what fits, so that no part is a scrap: at the last
    paragraph, else line, sentence, word, else between any two graphemes. A cut outside fenced
    code comes before one in it, and code is cut at a line's end wherever it has one. A
    grapheme is cut only where it alone is longer than `limit`. White space goes with the part
    before it, and no part is blank unless white space of about `limit` in a row leaves no
    other way; Honcho refuses such a part, so a caller asks `is_blank` of each.

    The empty text has no parts. Raises ValueError for a limit below 1.
    """
    if limit < 1:
        raise ValueError(f"a part holds at least 1 character, not {limit}")
    if len(text) <= limit:
        return [text] if text else []
    plan = _Plan.of(text, limit)
    parts = []
    start = 0
    while len(text) - start > limit:
        cut = plan.cut(start)
        parts.append(text[start:cut])
        start = cut
    return [*parts, text[start:]]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a cut has to know of the whole text.

    `fences` are the ends of its code blocks, opening and closing by turns; `last` is where its
    last grapheme that can be seen begins.
    """

    text: str
    limit: int
    fences: list[int]
    last: int

    @classmethod
    def of(cls, text: str, limit: int) -> _Plan:
        end = seen_end(text)
        reach = max(0, end - limit)
        last = boundary_at_or_before(text, end - 1, reach) if end - 1 > reach else None
        return cls(text, limit, _code_edges(text), len(text) if last is None else last)

    def cut(self, start: int) -> int:
        """Choose where the part from `start` ends; more than `limit` characters are left."""
        high = start + self.limit
        first = seen_from(self.text, start, high)
        if first < self.last < high and len(self.text) - self.last <= self.limit:
            high = self.last  # the rest keeps something to be seen
        low = max(start + self.limit // 2, first)
        cut = self._pause(start, first, low, high)
        if cut is not None and not is_blank(self.text[cut : cut + self.limit]):
            return cut
        between = boundary_at_or_before(self.text, high, max(start, first))
        if between is None and first > start:
            between = boundary_at_or_before(self.text, high, start)
        return between or start + self.limit

    def _pause(self, start: int, first: int, low: int, high: int) -> int | None:
        """Look for a reader's pause in `low + 1 .. high`, the best kind first."""
        in_code = self._in_code(high)
        for pattern in (_PARAGRAPH, _LINE):
            cut = self._last(pattern, start, low, high, outside=True)
            if cut is not None:
                return cut
        if in_code:
            cut = self._last(_LINE, start, first, high)
            if cut is not None:
                return cut
        for pattern in (_LINE, _SENTENCE, _WORD):
            cut = self._last(pattern, start, low, high)
            if cut is not None:
                return cut
        return None

    def _last(
        self, pattern: re.Pattern[str], start: int, low: int, high: int, *, outside: bool = False
    ) -> int | None:
        ends = [found.end() for found in pattern.finditer(self.text, low, high)]
        for end in reversed(ends):
            if outside and self._in_code(end):
                continue
            if is_boundary(self.text, end, start):
                return end
        return None

    def _in_code(self, at: int) -> bool:
        return bisect_right(self.fences, at) % 2 == 1


def _code_edges(text: str) -> list[int]:
    """Give where fenced code begins and ends, by turns, as CommonMark has it.

    A cut at an edge is outside the code: it begins one behind the start of its first line,
    and ends with its last. A block that is never closed goes on to the end.
    """
    edges: list[int] = []
    opened = ""
    for line in _CODE_FENCE.finditer(text):
        mark, rest = line.groups()
        if not opened:
            if mark[0] == "`" and "`" in rest:
                continue  # code within a line
            opened = mark
            edges.append(line.start() + 1)
        elif mark[0] == opened[0] and len(mark) >= len(opened) and not rest.strip():
            opened = ""
            edges.append(line.end())
    return edges
