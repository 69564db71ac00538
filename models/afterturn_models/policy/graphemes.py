"""Grapheme clusters: between which characters a text may be cut without breaking what is read."""

from __future__ import annotations

import unicodedata

ZWNJ = "\u200c"
ZWJ = "\u200d"
_HANGUL_LV_STEP = 28
# Numeral signs of Arabic and its like, and letters that are written before their cluster.
_PREPENDED = frozenset(
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e"
    "\U000110bd\U000110cd\U000111c2\U000111c3\U0001193f\U00011941\U00011a3a"
    "\U00011a84\U00011a85\U00011a86\U00011a87\U00011a88\U00011a89\U00011d46\U00011f02"
)
# Letters and symbols that extend, by the annex: sara am of Thai and Lao, half-width voicing marks.
_EXTENDING = frozenset("\u0e33\u0eb3\uff9e\uff9f" + ZWNJ + ZWJ)
_CONTROLS = frozenset({"Cc", "Zl", "Zp"})
_MARKS = frozenset({"Mn", "Me", "Mc"})
_VIRAMA = 9  # the canonical combining class of signs that join two consonants


def is_boundary(text: str, at: int, start: int = 0) -> bool:
    """Tell whether `text` may be cut before `at`, where `start` is a boundary at or before it.

    The rules of Unicode's annex 29, told from the characters' categories, as the standard
    library has no table of cluster breaks: CRLF, combining marks, variation selectors, skin
    tones, tags, Hangul syllables, flags, joined emoji, conjuncts. Where a category is coarser
    than the annex, two characters stay together that might have been parted, never the reverse
    for those named.
    """
    if at <= start or at >= len(text):
        return True
    before, after = text[at - 1], text[at]
    if before < "\x7f" and after < "\x7f":
        return not (before == "\r" and after == "\n")
    if _is_control(before) or _is_control(after):
        return True
    return not (
        _extends(after)
        or before in _PREPENDED
        or _joins_next(text, at, start)
        or _is_hangul_pair(before, after)
        or (_is_regional(after) and _regionals_before(text, at, start) % 2 == 1)
    )


def boundary_at_or_before(text: str, at: int, start: int) -> int | None:
    """Give the last boundary in `start + 1 .. at`, or None where one cluster fills it all."""
    for place in range(at, start, -1):
        if is_boundary(text, place, start):
            return place
    return None


def _is_control(char: str) -> bool:
    category = unicodedata.category(char)
    return category in _CONTROLS or (
        category == "Cf" and char not in _PREPENDED and not _extends(char)
    )


def _extends(char: str) -> bool:
    """Tell whether `char` belongs to what stands before it."""
    return (
        unicodedata.category(char) in _MARKS
        or char in _EXTENDING
        or "\U0001f3fb" <= char <= "\U0001f3ff"  # skin tones
        or "\U000e0020" <= char <= "\U000e007f"  # tags, as in the flag of Scotland
    )


def _joins_next(text: str, at: int, start: int) -> bool:
    """Tell whether a joiner, or a virama before a letter, binds what comes next.

    A virama may have marks or a joiner behind it; three are looked over, as no script has more.
    """
    if text[at - 1] == ZWJ:
        return True
    if unicodedata.category(text[at]) != "Lo":
        return False
    for place in range(at - 1, max(start, at - 4) - 1, -1):
        if unicodedata.combining(text[place]) == _VIRAMA:
            return True
        if not _extends(text[place]):
            return False
    return False


def _is_hangul_pair(before: str, after: str) -> bool:
    first, second = _hangul(before), _hangul(after)
    return (
        (first == "L" and second in {"L", "V", "LV", "LVT"})
        or (first in {"LV", "V"} and second in {"V", "T"})
        or (first in {"LVT", "T"} and second == "T")
    )


def _hangul(char: str) -> str | None:
    """Give a character's place in a Hangul syllable: L, V, T, LV, LVT; None for any other."""
    if "\u1100" <= char <= "\u115f" or "\ua960" <= char <= "\ua97c":
        return "L"
    if "\u1160" <= char <= "\u11a7" or "\ud7b0" <= char <= "\ud7c6":
        return "V"
    if "\u11a8" <= char <= "\u11ff" or "\ud7cb" <= char <= "\ud7fb":
        return "T"
    if "\uac00" <= char <= "\ud7a3":
        return "LVT" if (ord(char) - 0xAC00) % _HANGUL_LV_STEP else "LV"
    return None


def _is_regional(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _regionals_before(text: str, at: int, start: int) -> int:
    """Count the regional indicators that end before `at`; two of them are one flag."""
    place = at
    while place > start and _is_regional(text[place - 1]):
        place -= 1
    return at - place
