"""The dialectic's questions: how they are put, where they are cut, when an answer is enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

from afterturn_models.policy.graphemes import is_boundary
from afterturn_models.policy.special_tokens import neutralise
from afterturn_models.policy.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_QUERY = 10_000  # characters of a question that Honcho takes; a longer one is refused
_ENOUGH = 300  # characters of an answer that need no other pass
_ENOUGH_IN_ITEMS = 100  # of one that is set out in headings or items
_ITEMS = ("#", "- ", "* ", "• ", "1. ", "1) ")
_BEARING = "What do you know about this person that bears on what they just said?"
_OPENING = (
    "A conversation with this person begins. What about them matters most at its start: what they"
    " are working on or waiting for, how they like to be spoken to, and what must not be forgotten?"
    " Be brief, and say only what you know."
)
_BEFORE = "\n\nWhat was said just before it:\n"
_SAID = "\n\nWhat they just said:\n"
_FOUND = "\n\nFound so far:\n"
_FOUND_NEXT = "\n\nFound after that:\n"
_MORE = (
    "What has been found so far leaves gaps. Look for what is missing to answer the question, and"
    " answer it in full, with what has been found where that is right."
)
_WEIGH = (
    "The question was answered twice. Where the two answers differ, find out which one holds, and"
    " give one answer, with nothing in it that is not known."
)
_QUESTION = "\n\nThe question:\n"


def bearing_query(said: str, *, most: int = MAX_QUERY, before: str | None = None) -> str:
    """Put the question what bears on what the user just `said`, in `most` characters.

    With what was said `before` it, by both, "and the other one?" finds what it is about: that is
    all that `queryRewrite` does, and no LLM is asked for it. Our own words are within `most` too;
    of what was said the beginning is kept, of what was before it the end.
    """
    room = min(most, MAX_QUERY) - len(_BEARING)
    text = _clean(said)
    if before is None:
        return (_BEARING + "\n\n" + head(text, max(0, room - 2)))[:most]
    room = max(0, room - len(_BEFORE) - len(_SAID))
    kept = head(text, room)
    earlier = tail(_clean(before), room - len(kept))
    return (_BEARING + (_BEFORE + earlier if earlier else "") + _SAID + kept)[:most]


def opening_query(*, most: int = MAX_QUERY) -> str:
    """Put the question what matters about a person before they have said anything."""
    return _OPENING[: min(most, MAX_QUERY)]


def fitting(query: str, *, most: int = MAX_QUERY) -> str:
    """Cut a question that somebody else has put, and mend what Honcho would refuse in it."""
    return head(_clean(query), min(most, MAX_QUERY))


def next_query(question: str, answers: Sequence[str], *, most: int = MAX_QUERY) -> str:
    """Put a question's next pass, given what the passes before it have `answers`.

    Without any, the question is asked again, which its pass's own level may answer.
    """
    if not answers:
        return question
    most = min(most, MAX_QUERY)
    lead = _MORE if len(answers) == 1 else _WEIGH
    room = max(0, most - len(lead) - len(_QUESTION) - len(_FOUND) - len(_FOUND_NEXT))
    first, *rest = (head(_clean(answer), room // 4) for answer in answers[-2:])
    found = _FOUND + first + "".join(_FOUND_NEXT + answer for answer in rest)
    return (lead + found + _QUESTION + head(question, room // 2))[:most]


def suffices(answer: str, *, most: int = _ENOUGH) -> bool:
    """Tell whether an answer says so much that no other pass is worth its price.

    That is 300 characters, or 100 set out in headings or items, or `most`, of which no more is
    injected. The length is all that can be judged without another LLM.
    """
    length = len(answer.strip())
    lines = answer.strip().splitlines()
    in_items = len(lines) > 1 and any(line.lstrip().startswith(_ITEMS) for line in lines)
    return length >= min(_ENOUGH_IN_ITEMS if in_items else _ENOUGH, most)


def shortened(answer: str, most: int) -> str:
    """Cut an answer to `most` characters, after a word where there is one in its second half."""
    text = answer.strip()
    if len(text) <= most:
        return text
    cut = head(text, most - 1)
    space = max(cut.rfind(" "), cut.rfind("\n"))
    return (cut[:space] if space > most // 2 else cut).rstrip() + "…"


def head(text: str, most: int) -> str:
    """Give the beginning of `text`, at most so many characters, with no grapheme cut in two."""
    if len(text) <= most:
        return text
    at = max(0, most)
    while at > 0 and not is_boundary(text, at):
        at -= 1
    return text[:at]


def tail(text: str, most: int) -> str:
    """Give the end of `text`, at most so many characters, with no grapheme cut in two."""
    if len(text) <= most:
        return text
    at = len(text) - max(0, most)
    while at < len(text) and not is_boundary(text, at):
        at += 1
    return text[at:]


def _clean(text: str) -> str:
    """Mend what Honcho, or its SDK, refuses: surrogates, NULs and a tokenizer's special tokens."""
    return neutralise(clean_text(text))[0]
