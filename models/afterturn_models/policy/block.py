"""The prompt block: what is recalled, titled, fenced, and within a budget of tokens.

Workers prepare the pieces, so that an agent, whose turn waits for it, only joins them: each is
neutralised, cut to its share and counted once. What nobody has prepared is prepared here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from afterturn_models.policy.budget import Section, fit
from afterturn_models.policy.fence import CLOSE, OPEN, may_break_out, neutralise
from afterturn_models.policy.text import is_blank
from afterturn_models.policy.tokens import estimate_tokens
from afterturn_models.values import ContextResult

if TYPE_CHECKING:
    from collections.abc import Mapping

DIALECTIC = "dialectic"
SAID_BEFORE = "What bears on what was said before this message"
SAID_NOW = "What bears on what is being said"


@dataclass(frozen=True, slots=True)
class _Piece:
    """What a piece is called, its per cent of the budget, and its worth: the highest is cut first."""

    title: str
    share: int
    keep: int


# In the order in which they are read.
_PIECES = {
    DIALECTIC: _Piece(SAID_BEFORE, 25, 0),
    "representation": _Piece("About the user", 35, 2),
    "card": _Piece("Known facts", 15, 1),
    "summary": _Piece("The conversation so far", 15, 3),
    "ai_card": _Piece("Facts about yourself", 4, 4),
    "ai_representation": _Piece("About yourself", 6, 5),
}
_TITLES = {
    title: estimate_tokens(f"\n\n## {title}\n")
    for title in (SAID_NOW, *(piece.title for piece in _PIECES.values()))
}
# What the quick way needs of each piece: its name, how it begins, and what that costs.
_BEFORE, _NOW = (
    tuple(
        (name, f"## {title}\n", _TITLES[title])
        for name, piece in _PIECES.items()
        for title in (first if name == DIALECTIC else piece.title,)
    )
    for first in (SAID_BEFORE, SAID_NOW)
)
_FENCE_TOKENS = estimate_tokens(OPEN) + estimate_tokens(f"\n{CLOSE}")
_SAMPLE = 500  # characters of each piece that tell how many tokens its language takes
_LONGEST = 40  # characters a token: what lies beyond is not even looked at
# A count that is said of a longer text is not believed: ordinary text has two to five characters.
_BELIEVED = 12


@dataclass(frozen=True, slots=True)
class Prepared:
    """A context whose pieces may go into a prompt as they are, and the tokens of each by name."""

    context: ContextResult
    counts: dict[str, int] = field(default_factory=dict)


def prepare_context(context: ContextResult, tokens: int, *, beside: int = 0) -> Prepared:
    """Neutralise what is known, cut it to a block of `tokens`, and count it once.

    `beside` are the characters of an answer of the dialectic that may go into the same block: as
    many tokens as they would be in the context's language are left for it, its share at most.
    """
    texts = _texts(context, {})
    room = tokens - min(_tokens_of(beside, texts), tokens * _PIECES[DIALECTIC].share // 100)
    found = _fitted(_sections(texts, room, {}), room - _FENCE_TOKENS)
    names = {piece.title: name for name, piece in _PIECES.items()}
    kept = {names[section.title]: section for section in found}
    text = {name: section.text for name, section in kept.items()}
    return Prepared(
        ContextResult(
            representation=text.get("representation", ""),
            card=_facts(text.get("card", "")),
            ai_representation=text.get("ai_representation", ""),
            summary=text.get("summary", ""),
            ai_card=_facts(text.get("ai_card", "")),
        ),
        {name: section.counted for name, section in kept.items()},
    )


def prepare_answer(answer: str) -> tuple[str, int]:
    """Neutralise an answer of the dialectic, and count its tokens."""
    text = neutralise(answer).strip()
    return text, estimate_tokens(text)


def assemble(
    context: ContextResult | None,
    dialectic: str | None,
    tokens: int,
    *,
    counts: Mapping[str, int] | None = None,
    current: bool = False,
) -> str:
    """Give the block within `tokens`, as they are estimated here; "" where there is nothing.

    `counts` are those that came with the pieces: a piece that has one was prepared, and is only
    looked through for what might end the fence, since the Redis that it came by is anybody's who
    has its password. Pieces together too long are cut again, by their shares.

    The title of the dialectic says what it was asked about: a message before this one, unless it
    was recalled for the `current` message.
    """
    counts = counts or {}
    texts = _texts(context, counts) if context is not None else {}
    texts[DIALECTIC] = dialectic or ""
    body = _as_prepared(texts, tokens, counts, current=current)
    if body is None:
        sections = _sections(texts, tokens, counts, current=current)
        parts = _fitted(sections, tokens - _FENCE_TOKENS)
        body = "\n\n".join(f"## {part.title}\n{part.text}" for part in parts)
    return f"{OPEN}\n\n{body}\n{CLOSE}" if body else ""


def _as_prepared(
    texts: Mapping[str, str], tokens: int, counts: Mapping[str, int], *, current: bool
) -> str | None:
    """Join what workers prepared, which a turn waits for; None where anything is to be done first."""
    left, parts = tokens - _FENCE_TOKENS, []
    for name, heading, cost in _NOW if current else _BEFORE:
        text = texts.get(name)
        if text:
            count = counts.get(name, 0)
            if len(text) > count * _BELIEVED:
                return None
            left -= count + cost
            parts.append(heading + text)
    body = "\n\n".join(parts)
    return None if left < 0 or may_break_out(body) else body


def _texts(context: ContextResult, counts: Mapping[str, int]) -> dict[str, str]:
    return {
        "representation": context.representation,
        "card": _listed(context.card, prepared="card" in counts),
        "summary": context.summary,
        "ai_card": _listed(context.ai_card, prepared="ai_card" in counts),
        "ai_representation": context.ai_representation,
    }


def _listed(card: tuple[str, ...], *, prepared: bool) -> str:
    """Give a card as a list, each fact on a line of its own."""
    if not prepared:
        facts = (" ".join(fact.split()) if "\n" in fact else fact for fact in card)
        card = tuple(fact for fact in facts if not is_blank(fact))
    return "- " + "\n- ".join(card) if card else ""


def _tokens_of(characters: int, texts: Mapping[str, str]) -> int:
    """Estimate the tokens of so many characters of an answer yet to come, as these texts are."""
    sample = "\n".join(text[:_SAMPLE] for text in texts.values() if text)
    if not sample or not characters:
        return 0
    likely = characters * estimate_tokens(sample) // len(sample)
    return likely * 130 // 100 + _TITLES[SAID_BEFORE]  # it may be denser than the sample


def _facts(listed: str) -> tuple[str, ...]:
    return tuple(fact.removeprefix("- ") for fact in listed.split("\n") if fact)


def _sections(
    texts: Mapping[str, str], tokens: int, counts: Mapping[str, int], *, current: bool = False
) -> list[Section]:
    sections = []
    for name, piece in _PIECES.items():
        text = texts.get(name, "")
        if text:
            text, count = _safe(text, counts.get(name), tokens)
            title = SAID_NOW if current and name == DIALECTIC else piece.title
            sections.append(
                Section(title, text, piece.keep, piece.share, count, overhead=_TITLES[title])
            )
    return sections


def _safe(text: str, count: int | None, tokens: int) -> tuple[str, int | None]:
    """Give a piece as it may go into a prompt, and its count where that still holds."""
    if count is None or len(text) > count * _BELIEVED:
        return neutralise(text[: tokens * _LONGEST]).strip(), None
    if not may_break_out(text):
        return text, count
    safe = neutralise(text)
    return safe, count if safe == text else None


def _fitted(sections: list[Section], tokens: int) -> list[Section]:
    """Cut to the budget, and see to it that a cut through a word made no marker of `<users`."""
    whole = {section.title: section.text for section in sections}
    return [
        replace(part, text=neutralise(part.text)) if part.text is not whole[part.title] else part
        for part in fit(sections, tokens)
    ]
