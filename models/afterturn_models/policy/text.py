"""Cleaning: what Postgres and Honcho cannot hold leaves a text before it is captured."""

from __future__ import annotations

import re

REPLACEMENT = "\ufffd"
_UNHOLDABLE = re.compile("[\x00\ud800-\udfff]")
_SURROGATES = re.compile("[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]")
# White space as Unicode has it, NUL (which is removed), and what Unicode calls default ignorable:
# joiners, marks of direction, variation selectors, fillers, tags. Nothing of it can be seen.
_UNSEEN = (
    r"\s\x00\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_BLANK = re.compile(f"[{_UNSEEN}]*+")
_SEEN = re.compile(f"[^{_UNSEEN}]")


def clean_text(text: str) -> str:
    """Remove NULs and mend surrogates; a text without either is returned as it is.

    Postgres refuses NULs, and Honcho would strip them; a lone surrogate cannot be encoded, and
    never leaves Honcho's SDK. A pair of surrogates becomes the character it stands for, a lone
    one U+FFFD. Nothing else is touched, so that cleaning twice is cleaning once.
    """
    if text.isascii() and "\x00" not in text:
        return text
    if _UNHOLDABLE.search(text) is None:
        return text
    # NULs go first: one may stand between the two halves of a pair.
    return _SURROGATES.sub(_mended, text.replace("\x00", ""))


def is_blank(text: str) -> bool:
    """Tell whether nothing in `text` can be seen: white space and zero-width characters only.

    Honcho's SDK refuses a message of white space, and one of zero-width characters says nothing.
    """
    return _BLANK.fullmatch(text) is not None


def seen_from(text: str, start: int, end: int) -> int:
    """Give the index of the first character from `start` that can be seen, or `end`."""
    found = _SEEN.search(text, start, end)
    return found.start() if found else end


def seen_end(text: str) -> int:
    """Give the index behind the last character of `text` that can be seen, 0 where none can."""
    end = len(text.rstrip())
    while end and _SEEN.match(text, end - 1) is None:
        end -= 1
    return end


def _mended(found: re.Match[str]) -> str:
    pair = found.group()
    if len(pair) == 1:
        return REPLACEMENT
    return pair.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
