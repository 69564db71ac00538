"""Search over local memory files: passages that share words with a query, best first.

Files are small and few, so they are read anew at each call: what was just written is found.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from afterturn.local_files import LocalFileError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from afterturn.local_files import LocalFiles

_MOST_FILES = 1000
_MOST_CHARACTERS = 16 * 1024 * 1024
_PASSAGE = 800  # characters, about: a passage ends with its paragraph
_LEAST_STEM = 4  # letters that a word shares with another form of itself
_WORDS = re.compile(r"[^\W_]+")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uac00-\ud7af\u0e00-\u0eff]")


@dataclass(frozen=True, slots=True)
class Passage:
    """Some lines of a file; lines are counted from 1."""

    path: str
    first: int
    last: int
    text: str

    def shown(self, score: float) -> dict[str, Any]:
        """Give it as a tool shows it."""
        return {
            "path": self.path,
            "from": self.first,
            "lines": self.last - self.first + 1,
            "score": round(score, 2),
            "snippet": self.text,
        }


def search(files: LocalFiles, query: str, limit: int) -> list[dict[str, Any]]:
    """Find the passages that bear on `query`, by the words they share (BM25)."""
    found = list(_passages(files))
    counted = [Counter(_terms(f"{one.path} {one.text}")) for one in found]
    scores = _scores(set(_terms(query)), counted)
    best = sorted(zip(scores, found, strict=True), key=lambda pair: -pair[0])[:limit]
    return [passage.shown(score) for score, passage in best if score > 0]


def get(files: LocalFiles, path: str, first: int, lines: int | None) -> dict[str, Any]:
    """Read a file from line `first` on. Raises LocalFileError, which says what may be read."""
    text = files.read(path)
    if text is None:
        raise LocalFileError(f"{path} is not there; there are {_listed(files)}.")
    all_lines = text.splitlines()
    chosen = all_lines[first - 1 :][:lines]
    return {"path": path, "from": first, "of": len(all_lines), "text": "\n".join(chosen)}


def _listed(files: LocalFiles) -> str:
    names = files.names()
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return (", ".join(names[:10]) + more) or "no memory files yet"


def _passages(files: LocalFiles) -> Iterator[Passage]:
    left = _MOST_CHARACTERS
    for name in files.names()[:_MOST_FILES]:
        try:
            text = files.read(name) or ""
        except LocalFileError:
            continue  # a link, or no text: the others are searched all the same
        left -= len(text)
        if left < 0:
            return
        yield from _split(name, text.splitlines())


def _split(path: str, lines: Sequence[str]) -> Iterator[Passage]:
    """Cut a file where a paragraph ends, or before a heading, once there is enough for a passage."""
    start, size = 0, 0
    for at, line in enumerate(lines):
        heading = line.startswith("#") and at > start
        if heading or size > _PASSAGE or (size > _PASSAGE // 2 and not line.strip()):
            yield from _passage(path, lines, start, at)
            start, size = at, 0
        size += len(line) + 1
    yield from _passage(path, lines, start, len(lines))


def _passage(path: str, lines: Sequence[str], start: int, end: int) -> Iterator[Passage]:
    text = "\n".join(lines[start:end]).strip()
    if text:
        yield Passage(path, start + 1, end, text)


def _terms(text: str) -> Iterator[str]:
    """Give the words of a text; scripts without spaces in pairs of characters."""
    for found in _WORDS.finditer(unicodedata.normalize("NFKC", text).casefold()):
        word = found.group()
        if _UNSPACED.search(word) and len(word) > 1:
            yield from (word[at : at + 2] for at in range(len(word) - 1))
        else:
            yield word


def _scores(wanted: set[str], counted: Sequence[Counter[str]]) -> list[float]:
    lengths = [counts.total() for counts in counted]
    usual = sum(lengths) / max(1, len(lengths)) or 1.0
    scores = [0.0] * len(counted)
    for term in wanted:
        hits = [_hits(term, counts) for counts in counted]
        with_it = sum(1 for hit in hits if hit)
        worth = math.log(1 + (len(counted) - with_it + 0.5) / (with_it + 0.5))
        for place, hit in enumerate(hits):
            if hit:
                norm = 0.25 + 0.75 * lengths[place] / usual
                scores[place] += worth * hit * 2.2 / (hit + 1.2 * norm)
    return scores


def _hits(term: str, counts: Counter[str]) -> float:
    """Count a term; another form of it (prefer, prefers) counts half."""
    exact = float(counts[term])
    if exact or len(term) < _LEAST_STEM:
        return exact
    forms = (n for word, n in counts.items() if _related(term, word))
    return 0.5 * sum(forms)


def _related(term: str, word: str) -> bool:
    shorter, longer = sorted((term, word), key=len)
    return (
        len(shorter) >= _LEAST_STEM
        and longer.startswith(shorter)
        and len(longer) - len(shorter) <= 3
    )
