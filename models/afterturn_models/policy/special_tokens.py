"""Special tokens: a tokenizer's control words, made harmless in what is sent to Honcho."""

from __future__ import annotations

import re

ZWNJ = "\u200c"  # zero-width non-joiner: not seen, and no tokenizer's control word has one
# Those that the encodings of tiktoken refuse in ordinary text; the pattern covers them all.
KNOWN = (
    "<|endoftext|>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|endofprompt|>",
)
# The word's characters exclude `<`, so that a text of `<|<|<|` is read once, not once a token.
_TOKEN = re.compile(r"<(?=\|[^\s<>|]++\|>)")


def neutralise(text: str) -> tuple[str, bool]:
    """Give `text` without a special token in it, and whether it had to be changed.

    Honcho counts a message's tokens with tiktoken, which refuses `<|endoftext|>` and its like
    in ordinary text: the message is answered 422, and its whole batch with it. A zero-width
    non-joiner behind the `<` lets it read the same and be ordinary text. Every `<|word|>` is
    treated alike, since other encodings have other words; `f <| x |> g` is none.

    Doing it twice is doing it once. Each token makes the text one character longer, so a caller
    neutralises first and splits afterwards: no cut can put a token together again, while a
    part of 25,000 characters neutralised after the split would be too long.
    """
    changed, count = _TOKEN.subn("<" + ZWNJ, text)
    return changed, count > 0
