"""What the stand-in has instead of a language model: rules that pick out first-person statements."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

LABEL = "Extract (no language model)"
_READ = 4_000  # characters of a message that are looked at
_SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?]+(?=\s|$)|[.!?](?=\S)[^.!?\n]*)*[.!?]*")
_FACTS: tuple[tuple[int, re.Pattern[str]], ...] = (
    (
        3,
        re.compile(
            r"\b(?:my name is|call me|i live|i work|i prefer|i always|i never|i'm from|i moved|"
            r"i speak|i(?:'m| am) allergic|remember (?:that|my)|don't call me)\b",
            re.IGNORECASE,
        ),
    ),
    (
        2,
        re.compile(
            r"\b(?:my|our) \w+|\bi (?:need|want|like|love|hate|dislike|enjoy|use|own|have|study|"
            r"drink|eat|play|read|teach|build|plan|was born|grew up|used to|can't|cannot|don't)\b",
            re.IGNORECASE,
        ),
    ),
    (1, re.compile(r"\bi(?:'m| am|'ve| was|'ll|'d)\b|\bwe(?:'re| are)?\b", re.IGNORECASE)),
)
_WORD = re.compile(r"\w+")
_COMMON = frozenset(
    [
        "a",
        "about",
        "an",
        "and",
        "any",
        "are",
        "as",
        "at",
        "be",
        "been",
        "by",
        "can",
        "did",
        "do",
        "does",
        "for",
        "from",
        "had",
        "has",
        "have",
        "he",
        "her",
        "his",
        "how",
        "i",
        "in",
        "is",
        "it",
        "its",
        "know",
        "me",
        "my",
        "of",
        "on",
        "or",
        "our",
        "she",
        "should",
        "so",
        "tell",
        "that",
        "the",
        "their",
        "them",
        "they",
        "this",
        "to",
        "us",
        "user",
        "was",
        "we",
        "were",
        "what",
        "when",
        "where",
        "which",
        "who",
        "whom",
        "whose",
        "why",
        "will",
        "with",
        "would",
        "you",
        "your",
    ]
)


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence somebody wrote, how telling its kind is, and when it was written."""

    text: str
    weight: int
    at: int


def sentences(text: str) -> list[str]:
    """Return the sentences and lines of the beginning of `text`."""
    found = (match.group().strip() for match in _SENTENCE.finditer(text[:_READ]))
    return [sentence for sentence in found if len(sentence) > 1]


def weigh(sentence: str) -> int:
    """How much a sentence says about its speaker: 3 identity, 2 habits, 1 a state, 0 nothing."""
    if sentence.endswith("?"):
        return 0
    return next((weight for weight, rule in _FACTS if rule.search(sentence)), 0)


def statements(rows: Iterable[tuple[str, int]]) -> list[Statement]:
    """Return the first-person statements in (content, time) rows, newest rows first, no text twice."""
    found: dict[str, Statement] = {}
    for content, at in rows:
        for sentence in sentences(content):
            weight = weigh(sentence)
            if weight:
                found.setdefault(sentence.casefold(), Statement(sentence, weight, at))
    return list(found.values())


def terms(text: str) -> set[str]:
    """Return the words of `text` that carry meaning, cut to their stems; all of them if none does."""
    words = {word.casefold() for word in _WORD.findall(text)}
    return {_stem(word) for word in (words - _COMMON) or words}


def _stem(word: str) -> str:
    for ending in ("ing", "ies", "ed", "es", "s", "y"):
        if len(word) > len(ending) + 2 and word.endswith(ending):
            return word[: -len(ending)]
    return word


def overlap(wanted: set[str], text: str) -> int:
    """How many of the wanted stems `text` has."""
    return len(wanted & terms(text))


def ranked(found: list[Statement], limit: int, query: str | None = None) -> list[Statement]:
    """Return the best `limit`: those that match `query` first, then by weight, then the newest."""
    wanted = terms(query) if query else set()
    return sorted(
        found,
        key=lambda one: (overlap(wanted, one.text) if wanted else 0, one.weight, one.at),
        reverse=True,
    )[:limit]
