"""Token counts without a vocabulary: an estimate that is fair to every script."""

from __future__ import annotations

import re

# Runs that tokenizers of today's models treat alike, and about how many characters of each make
# one token there.
_RUNS = re.compile(
    r"(?P<latin>[A-Za-z]+)|(?P<digits>[0-9]+)|(?P<space>\s+)|(?P<ascii>[\x21-\x7e])"
    r"|(?P<wide>[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\u3040-\u30ff])|(?P<other>.)",
    re.DOTALL,
)


def estimate_tokens(text: str) -> int:
    """Estimate how many tokens `text` is; never 0 for a text that is not empty."""
    total = 0.0
    for run in _RUNS.finditer(text):
        length = run.end() - run.start()
        match run.lastgroup:
            case "latin":
                total += max(1.0, length / 6)
            case "digits":
                total += max(1.0, length / 3)
            case "space":
                total += 0.0 if length == 1 else 1.0
            case "wide":
                total += 0.8
            case "ascii":
                total += 0.8
            case _:
                total += 0.6 if ord(run.group()) < 0x2000 else 1.2
    return max(1, round(total)) if text else 0
