"""The token budget of a prompt block: how it is shared out, which section is cut, and where."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from afterturn_models.policy.graphemes import is_boundary
from afterturn_models.policy.tokens import estimate_tokens, within

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEAST = 12  # tokens below which a rest of a section says nothing
_MARK = 2  # tokens of " …"
_FULL_STOPS = (". ", "\u3002")
_CLUSTER = 16  # characters that are looked back over for a boundary between two graphemes


@dataclass(frozen=True, slots=True)
class Section:
    """A text of a block; those with the highest `keep` are cut first.

    `share` is the per cent of the whole budget that it may have before any other, `tokens` what
    the text was counted at (None: not yet), `overhead` the tokens of its title.
    """

    title: str
    text: str
    keep: int
    share: int = 0
    tokens: int | None = None
    overhead: int = 8

    @property
    def counted(self) -> int:
        """The tokens of the text, estimated where nobody has counted it."""
        return estimate_tokens(self.text) if self.tokens is None else self.tokens


def fit(sections: Sequence[Section], tokens: int) -> list[Section]:
    """Give the sections, in their order, counted and cut to `tokens` together.

    Each has its share of the budget; what one leaves of it goes to the others, by `keep`, lowest
    first. A section that is given less than it needs is cut at the end of a line or a word, and
    left out where hardly anything of it would remain.
    """
    counted = [_counted(section) for section in sections if section.text]
    if sum(map(_need, counted)) <= tokens:
        return counted
    left = tokens
    waiting = {place: _claim(section, tokens) for place, section in enumerate(counted)}
    kept: dict[int, Section] = {}
    for place, section in sorted(enumerate(counted), key=lambda pair: pair[1].keep):
        del waiting[place]
        given = _cut_to(section, left - sum(waiting.values()) - section.overhead)
        if given is not None:
            kept[place] = given
            left -= _need(given)
    return [kept[place] for place in sorted(kept)]


def cut(text: str, tokens: int) -> str:
    """Give a long beginning of `text` within `tokens`, its "…" too, cut where a person would."""
    return _cut(text, tokens)[0]


def _cut(text: str, tokens: int) -> tuple[str, int]:
    """Give what is left of `text`, and the tokens of that."""
    fits = within(text, tokens, spare=_MARK)
    if fits == len(text):
        return text, estimate_tokens(text)
    head = text[:fits]
    for room in range(tokens - _MARK, _LEAST - _MARK - 1, -1):
        shorter = _at_a_pause(text, len(head))
        count = estimate_tokens(shorter)
        if count <= tokens:  # as a rule the first one is
            return shorter, count
        head = head[: within(head, room - 1)]
    return "", 0


def _counted(section: Section) -> Section:
    if section.tokens is not None:
        return section
    return replace(section, tokens=section.counted)


def _need(section: Section) -> int:
    return section.counted + section.overhead


def _claim(section: Section, tokens: int) -> int:
    """Give what is kept of the budget for a section while those of more worth are served."""
    need, share = _need(section), tokens * section.share // 100
    if need <= share:
        return need
    return share if share - section.overhead >= _LEAST else 0  # hardly anything would remain


def _cut_to(section: Section, tokens: int) -> Section | None:
    if section.counted <= tokens:
        return section
    text, count = _cut(section.text, tokens)
    return replace(section, text=text, tokens=count) if text else None


def _at_a_pause(text: str, end: int) -> str:
    """Cut `text` at `end` or before it: after a line, else a sentence, else a word."""
    head = text[:end]
    for mark in ("\n", *_FULL_STOPS, " "):
        at = head.rfind(mark)
        if at > end // 2:
            return head[: at + (mark in _FULL_STOPS)].rstrip() + " …"
    start = max(0, end - _CLUSTER)
    while end > start and not is_boundary(text, end, start):
        end -= 1
    return text[:end] + "…" if end else ""
