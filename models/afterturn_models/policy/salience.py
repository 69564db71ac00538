"""Salience: how much a sentence is worth in a summary, from its own signs and its words' company.

No word list of a language decides: what counts are numbers, names, files, questions, who spoke,
and words that come again without coming everywhere. A few words for decisions only help.
"""

from __future__ import annotations

import re
from collections import Counter
from math import sqrt
from typing import TYPE_CHECKING

from afterturn_models.values import Role

if TYPE_CHECKING:
    from collections.abc import Iterable

_UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]{{2}}|[^\W\d_{_UNSPACED}]{{3,}}")
_DIGIT = re.compile(r"\d")
_FILE = re.compile(r"https?://|\w/\w|\b\w+\.[a-z]\w{0,4}\b|[`_]\w|\w\(\)|@\w")
_QUESTION = re.compile(r"[?\u037e\u061f\uff1f]")
_DECIDED = re.compile(
    r"\b(?:decid|agree|chose|will |must|should|need|prefer|always|never|remember|because|deadline"
    r"|todo|to do|next step|done|fixed|error|fail|important|name is|called|live|allerg|favou?rite"
    r"|entsch|muss|soll|immer|nie\b|wichtig|heiß|erledigt|fehler"
    r"|decidi|debe|siempre|nunca|prefier|importante|llam|error"
    r"|décid|doit|toujours|jamais|préfèr|s'appell|erreur)"
    r"|決|决|要|必|总是|從不|喜欢|因为|重要|完成|错误|必ず|好き|名前|решил|должен|всегда|никогда|важно"
    r"|يجب|قرر|دائم|مهم|चाहिए|हमेशा|ज़रूरी",
    re.IGNORECASE,
)
_SPOKEN_BY = {Role.USER: 0.8, Role.ASSISTANT: 0.3, Role.TOOL: 0.0}
_EVERYWHERE = 0.2  # of all sentences: a word in more of them tells nothing
_WORDS = 24  # of a sentence: more of them are no more worth
_SAYS_NOTHING = 2  # words, in sentences such as thanks and greetings


class Salience:
    """Scores sentences against all of those that a summary is made of."""

    def __init__(self, sentences: Iterable[str]) -> None:
        """Count in how many of `sentences` each word stands."""
        self._found: Counter[str] = Counter()
        total = 0
        for sentence in sentences:
            self._found.update(set(_words(sentence)))
            total += 1
        self._everywhere = max(3.0, total * _EVERYWHERE)

    def score(self, sentence: str, role: Role, *, first: bool, recent: float) -> float:
        """Score a sentence: `first` of its message, and how `recent`, from 0 to 1, that is."""
        words = _words(sentence)
        again = sum(2 <= self._found[word] <= self._everywhere for word in set(words[:_WORDS]))
        score = _SPOKEN_BY[role] + 0.4 * recent + (0.2 if first else 0.0)
        score += again / sqrt(len(words) + 4)
        score += min(1.2, 0.6 * len(_DIGIT.findall(sentence)[:2]))
        score += min(1.0, 0.5 * sum(word[0].isupper() for word in sentence.split()[1:]))
        score += 0.6 if _FILE.search(sentence) else 0.0
        score += 0.9 if _DECIDED.search(sentence) else 0.0
        score += 0.3 if role is Role.USER and _QUESTION.search(sentence) else 0.0
        return score - (1.5 if len(words) <= _SAYS_NOTHING else 0.0)


def _words(sentence: str) -> list[str]:
    return _WORD.findall(sentence.casefold())
