"""Token counts without a vocabulary: an estimate that is fair to every script.

A text is cut into the pieces that o200k_base cuts before it counts, and each piece is priced by
its letters. A piece costs the same wherever it stands, and most texts are made of few different
ones, so that prices are kept: an estimate is one pass of a regular expression and a sum.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import accumulate
from operator import add

from afterturn_models.policy.token_weights import (
    BEHIND_SPACE,
    IDEOGRAPHS,
    LETTERS,
    PAIRS,
    SCRIPTS,
    SYMBOL_BLOCKS,
    WHOLE_SYMBOLS,
)

_SIGN = r"[\t -/:-@\[-`{-~\xa0-\xbf\u2010-\u203a]"  # may stand before a word, and be of its token
_UPPER = r"A-Z\xc0-\xd6\xd8-\xde"
_LOWER = r"a-z\xdf-\xf6\xf8-\u036f\u1e00-\u1eff"
_OTHER = (
    r"\u0370-\u1dff\u1f00-\u1fff\u2c00-\u2dff\ua000-\ud7ff\ufb00-\ufdff\ufe70-\ufefc"  # alphabets
)
_IDEOGRAPH = (
    r"\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9d"
    r"\U00020000-\U0003ffff"
)
_POINT = (  # the punctuation of East Asia, and the quotes and dashes that all have
    r"\u2010-\u2027\u3000-\u3004\u3008-\u3020\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
)
_PIECES = re.compile(
    rf"{_SIGN}?(?:[{_UPPER}]{{0,16}}+[{_LOWER}]{{1,48}}+(?:'(?:s|t|re|ve|m|ll|d))?|[{_UPPER}]{{1,64}}+)"
    rf"| ?[{_OTHER}]{{1,48}}+"
    rf"|(?:{_SIGN}|[{_POINT}])?[{_IDEOGRAPH}]{{1,16}}+"
    r"|[0-9]{1,3}"
    r"| ?(?:[!-/:-@\[-`{-~]{1,64}+|[\u2500-\u259f]{1,64}+)[\r\n/]{0,16}+"
    rf"|[{_POINT}]{{1,16}}+[\r\n/]{{0,16}}+"
    r"| ?[\u2030-\u2bff\U0001f000-\U0001faff]"
    r"|\s*[\r\n]++|\s+(?!\S)|\s++|.",
    re.DOTALL,
)
_ONE = 100  # prices are whole hundredths of a token, so that their sum does not hang on the order
_KEPT = 20_000  # prices, a few megabytes at most
_LONGEST_KEPT = 32  # characters: a longer piece hardly comes again
_LONGEST = 68  # characters that one token may be at these prices: what lies beyond never fits


def estimate_tokens(text: str) -> int:
    """Estimate how many tokens of o200k_base `text` is; never 0 for a text that is not empty.

    Within a tenth over whole texts of prose, chat and code; single words may be far off. What is
    joined at a line's end costs no more than its parts together.
    """
    return -(-sum(map(_PRICES.__getitem__, _PIECES.findall(text))) // _ONE)


def within(text: str, tokens: int, *, spare: int = 0) -> int:
    """Give how many characters of `text` fit into `tokens`, up to a piece's end.

    All of them, or as many as leave `spare` tokens for what stands in for the rest.
    """
    pieces = _PIECES.findall(text[: max(0, tokens) * _LONGEST])
    totals = list(accumulate(map(_PRICES.__getitem__, pieces)))
    if totals and totals[-1] <= tokens * _ONE:
        return sum(map(len, pieces))
    return sum(map(len, pieces[: bisect_right(totals, (tokens - spare) * _ONE)]))


class _Prices(dict[str, int]):
    """Prices of pieces by the piece, made when they are first asked for.

    Threads share it without a lock: at worst a price is made twice.
    """

    def __missing__(self, piece: str) -> int:
        price = _price(piece)
        if len(piece) <= _LONGEST_KEPT:
            if len(self) >= _KEPT:
                self.clear()
            self[piece] = price
        return price


_PRICES = _Prices()
_PAIR_PRICES = {
    before + letter: (int(digit, 36) if digit < "a" else ord(digit) - ord("a") + 36) * 5 - 150
    for before, row in PAIRS.items()
    for letter, digit in zip(LETTERS, row, strict=True)
}
_IDEOGRAPH_PRICES = {letter: price for price, few in IDEOGRAPHS.items() for letter in few}
_LATIN_1 = re.compile("[\x80-\xff]")
_BEYOND = re.compile("[^\x00-\x7f]")
_POINTS = re.compile(f"[{_POINT}]++")
_RARE_KANA, _RARE_IDEOGRAPH = 100, 140
_LEADING_POINT = 70


def _price(piece: str) -> int:
    last = piece[-1]
    if last.isspace():
        mark = piece.strip()
        return _price(mark) if mark else _ONE * (1 + len(piece) // 64)
    if not last.isascii():
        return _points(len(piece)) if _POINTS.fullmatch(piece) else _beyond_ascii(piece, ord(last))
    return _word(piece) if last.isalpha() else _ONE if last.isdigit() else _punctuation(piece)


def _beyond_ascii(piece: str, code: int) -> int:
    """Price what ends in a character beyond ASCII by the block that this one is of."""
    if code < 0x370 or 0x1E00 <= code < 0x1F00:
        return _word(piece) if len(piece) > 1 or piece.isalpha() else _ONE
    if 0x2000 <= code < 0x2C00 or 0x1F000 <= code < 0x1FB00:
        return _symbol(piece, code)
    if 0x3005 <= code < 0xA000 or 0xF900 <= code < 0xFB00 or code >= 0x20000 or code >= 0xFF66:
        return sum(map(_ideograph, piece))
    return _of_alphabet(len(piece.lstrip()), code)


def _word(piece: str) -> int:
    """Price a Latin word: one token, and more the less its letters go together."""
    start = " " if piece[0] == " " else "_" if piece[0].isalpha() else "("
    word = piece if start == "_" else piece[1:]
    low = word.lower()
    letters = low if low.isascii() else _BEYOND.sub("`", _LATIN_1.sub("~", low))
    price = sum(map(_PAIR_PRICES.__getitem__, map(add, start + letters[:-1], letters)))
    return _ONE + max(0, price + (25 if low != word else 0))


def _punctuation(piece: str) -> int:
    mark = piece.lstrip()
    if mark.count(mark[0]) == len(mark):
        return _ONE * (1 + len(mark) // 20)
    return _ONE + 40 * max(0, len(mark) - 3)


def _points(length: int) -> int:
    return _ONE + 50 * max(0, length - 2)


def _symbol(piece: str, code: int) -> int:
    last = piece[-1]
    if 0x2500 <= code < 0x25A0 and len(piece) > 1:  # lines and boxes come in runs
        return _ONE * (1 + len(piece) // 12)
    if last in WHOLE_SYMBOLS:
        return _ONE if len(piece) == 1 or last in BEHIND_SPACE else 2 * _ONE
    first, blocks = SYMBOL_BLOCKS[code >= 0x1F000]
    return _ONE * int(blocks[(code - first) >> 6])


def _ideograph(letter: str) -> int:
    if letter < "\u3005" or "\uff00" < letter < "\uff66":
        return _LEADING_POINT
    rare = _RARE_KANA if letter < "\u3100" else _RARE_IDEOGRAPH
    return _IDEOGRAPH_PRICES.get(letter, rare)


def _of_alphabet(length: int, code: int) -> int:
    """Price a word of `length` letters by the script that its last one is of."""
    first, each = next(prices for end, prices in SCRIPTS if code < end)
    return max(_ONE, first + each * length)
