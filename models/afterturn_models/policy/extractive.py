"""The summary that needs nothing: sentences of the conversation itself, chosen and kept in order."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from afterturn_models.policy.budget import cut
from afterturn_models.policy.fence import neutralise
from afterturn_models.policy.salience import Salience
from afterturn_models.policy.sentences import sentences
from afterturn_models.policy.text import is_blank
from afterturn_models.policy.tokens import estimate_tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from afterturn_models.values import Role

_LONGEST = 80  # tokens of one line of a summary
_AROUND = 120  # characters on either side of what is to be kept, in a sentence longer than that
_OF_THE_LAST = 0.5  # of the budget is the last summary's, where both sides have more to say


@dataclass(frozen=True, slots=True)
class SaidLine:
    """One message as a summary reads it: who said it (a peer, or a tool's name), and what.

    Parts of a long message are joined before, or are lines of their own.
    """

    role: Role
    speaker: str
    text: str


@dataclass(frozen=True, slots=True)
class _Unit:
    """One line that a summary may have, in its place among all of them."""

    place: int
    line: str
    folded: str
    tokens: int
    score: float


def summarise(
    previous: str, said: Sequence[SaidLine], tokens: int, *, keep: Sequence[str] = ()
) -> str:
    """Give a summary of `previous` (the last summary, "" for none) and what was `said` since.

    It is within `tokens` by estimate: sentences in their order, a line each, with who said them,
    and neutralised, since it goes into prompts. Of each word or phrase of `keep` the last sentence
    that has it comes before all others, then what else has one of them. A summary of a summary
    with nothing new that fits is itself. The same input gives the same bytes.
    """
    wanted = [folded for word in keep if not is_blank(folded := _folded(word))]
    old = list(_known(previous, wanted))
    new = list(_new(said, wanted, {unit.folded for unit in old}, len(old)))
    chosen: dict[int, _Unit] = {}
    left = _take(chosen, _to_keep([*old, *new], wanted), tokens)
    share = min(left, int(tokens * _OF_THE_LAST))
    rest = left - share
    rest += _take(chosen, _best(old), share)
    rest = _take(chosen, _best(new), rest)
    _take(chosen, _best(old), rest)
    return "\n".join(chosen[place].line for place in sorted(chosen))


def _take(chosen: dict[int, _Unit], units: Iterable[_Unit], tokens: int) -> int:
    """Choose `units` in this order while they fit; gives what is left of `tokens`."""
    for unit in units:
        if unit.place not in chosen and unit.tokens <= tokens:
            chosen[unit.place] = unit
            tokens -= unit.tokens
    return tokens


def _best(units: Sequence[_Unit]) -> list[_Unit]:
    return sorted(units, key=lambda unit: (-unit.score, unit.place))


def _to_keep(units: Sequence[_Unit], wanted: Sequence[str]) -> Iterator[_Unit]:
    """Give what must not be missing: of each word the last that was said, then all that has any."""
    having = [[unit for unit in units if word in unit.folded] for word in wanted]
    yield from (found[-1] for found in having if found)
    yield from _best([unit for found in having for unit in found])


def _known(previous: str, wanted: Sequence[str]) -> Iterator[_Unit]:
    """Give the lines of the last summary; what was worth it then is worth more the earlier it is."""
    place = 0
    for line in previous.splitlines():
        whole = estimate_tokens(line) <= _LONGEST
        for one in [line] if whole else sentences(line):
            if not is_blank(one):
                yield _unit(place, "", one, 1.0, wanted)
                place += 1


def _new(
    said: Sequence[SaidLine], wanted: Sequence[str], known: set[str], place: int
) -> Iterator[_Unit]:
    """Give the sentences that were said, each once: what was said again is not said again here."""
    found = [(line, list(sentences(line.text))) for line in said]
    salience = Salience(sentence for _, several in found for sentence in several)
    seen = set(known)
    for number, (line, several) in enumerate(found):
        recent = (number + 1) / len(found)
        for at, sentence in enumerate(several):
            score = salience.score(sentence, line.role, first=at == 0, recent=recent)
            unit = _unit(place, f"- {line.speaker}: ", sentence, score, wanted)
            if unit.folded not in seen:
                seen.add(unit.folded)
                yield unit
                place += 1


def _unit(place: int, head: str, sentence: str, score: float, wanted: Sequence[str]) -> _Unit:
    line = neutralise(head + _shortened(sentence, wanted))
    return _Unit(place, line, _folded(line), estimate_tokens(f"{line}\n"), score)


def _shortened(sentence: str, wanted: Sequence[str]) -> str:
    """Cut a sentence that is too long for one line, around what is to be kept of it."""
    if estimate_tokens(sentence) <= _LONGEST:
        return sentence
    folded = sentence.casefold()
    if len(folded) == len(sentence):  # else places in one are not places in the other
        at = min((folded.find(word) for word in wanted if word in folded), default=-1)
        if at > _AROUND:
            sentence = f"… {sentence[at - _AROUND :]}"
    return cut(sentence, _LONGEST)


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
