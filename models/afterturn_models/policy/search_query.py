"""Search queries: what a person types, as words that a full-text index knows, in any language.

The index and the query are cut into words by the same rules, which are here: punctuation parts
words, so that the name of a file or of a variable is found by its pieces, and scripts that put no
spaces between words are taken in pairs of characters, each of which begins at every character.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from afterturn_models.policy.text import clean_text

# Written so that Python and Postgres read them alike.
PUNCTUATION = (
    r"\u0021-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u007e\u00a1-\u00a9\u00ab-\u00b4\u00b6-\u00b9"
    r"\u00bb-\u00bf\u00d7\u00f7\u055a-\u055f\u0589\u060c\u061b\u061f\u066a-\u066d\u06d4\u0964\u0965"
    r"\u2000-\u206f\u20a0-\u20cf\u2190-\u2bff\u3000-\u3004\u3008-\u303f\ufe10-\ufe6f\ufffd"
)
UNSPACED = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"
    r"\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003fffd"
)
MOST_CHARACTERS = 1000
_MOST_WORDS = 50
_LONGEST_WORD = 500  # characters; what is longer is in no index either

_PIECE = re.compile(r'(-?)(?:"([^"]*)"?|([^\s"]+))')
_QUOTES = str.maketrans(dict.fromkeys("“”„‟«»「」『』", '"'))
_RUN = re.compile(f"[{UNSPACED}]+|[^{PUNCTUATION}{UNSPACED}\\s]+")
_IS_UNSPACED = re.compile(f"[{UNSPACED}]")


class QueryError(ValueError):
    """What cannot be searched for; the sentence says why."""


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A query as Postgres' `to_tsquery('simple', …)` reads it, and what is known of every hit.

    `phrases` are the words that are looked for, each of them a sequence that stands together; one
    of `needed` is in every hit, letter by letter, where there is any in it.
    """

    tsquery: str
    phrases: tuple[tuple[str, ...], ...]
    needed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Term:
    """A word, or a phrase, as a sequence of runs."""

    runs: tuple[str, ...]
    without: bool

    @property
    def asked(self) -> str:
        """The term in the words of Postgres."""
        return f"!{_together(self.runs)}" if self.without else _together(self.runs)

    @property
    def longest(self) -> str:
        """What is in every message that the term fits; "" where nothing is."""
        return "" if self.without else max(self.runs, key=len)[:_LONGEST_WORD]


def parse_query(said: str) -> SearchQuery:
    """Read a query as web searches do: all words, "a phrase", this or that, -without.

    Raises QueryError where there is nothing in it that a message could have.
    """
    if len(said) > MOST_CHARACTERS:
        raise QueryError(f"a search takes {MOST_CHARACTERS} characters at most; say it shorter")
    groups = _groups(_normal(said).translate(_QUOTES))
    phrases = tuple(term.runs for group in groups for term in group if not term.without)
    if not phrases:
        raise QueryError("there is no word to search for; say one at least that a message has")
    needed = max(([term.longest for term in group] for group in groups), key=_shortest)
    return SearchQuery(
        " & ".join(f"({' | '.join(term.asked for term in group)})" for group in groups),
        phrases,
        tuple(needed) if all(needed) else (),
    )


def _groups(said: str) -> list[list[_Term]]:
    """Give what a hit must have, each as the terms of which one is enough."""
    groups: list[list[_Term]] = []
    joined = False
    for minus, quoted, plain in _PIECE.findall(said):
        if not minus and plain.lower() == "or":
            joined = True
            continue
        runs = tuple(_RUN.findall(quoted or plain))[:_MOST_WORDS]
        if runs:
            term = _Term(runs, without=bool(minus))
            if joined and groups:
                groups[-1].append(term)
            else:
                groups.append([term])
            joined = False
    return groups


def _shortest(needed: list[str]) -> int:
    return min(len(one) for one in needed)


def _together(runs: tuple[str, ...]) -> str:
    """Ask for runs of one phrase: those of words follow each other, those of pairs are all there."""
    if any(_IS_UNSPACED.match(run) for run in runs):
        asked = [_pairs(run) if _IS_UNSPACED.match(run) else _word(run) for run in runs]
        return f"({' & '.join(asked)})"
    return f"({' <-> '.join(_word(run) for run in runs)})"


def _pairs(run: str) -> str:
    if len(run) == 1:
        return f"'{run}':*"
    pairs = dict.fromkeys(run[at : at + 2] for at in range(len(run) - 1))
    return " & ".join(f"'{pair}'" for pair in pairs)


def _word(run: str) -> str:
    return f"'{run[:_LONGEST_WORD]}'"


def _normal(text: str) -> str:
    return unicodedata.normalize("NFKC", clean_text(text))
