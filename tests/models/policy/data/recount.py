"""Recount the texts of `o200k_texts.json` with the true vocabulary, after one was changed or added.

    npm pack tiktoken@1.0.22 && tar xzf tiktoken-1.0.22.tgz
    pip install tiktoken
    python recount.py package/encoders/o200k_base.json

The PyPI package brings the algorithm and no vocabulary, the npm package has that in a file. The
texts were written for this test, and nothing was fitted to them.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import tiktoken

TEXTS = Path(__file__).with_name("o200k_texts.json")


def encoding(vocabulary: Path) -> tiktoken.Encoding:
    """Build o200k_base from the npm package's file: lines of a first rank and its tokens."""
    known = json.loads(vocabulary.read_text("utf-8"))
    ranks = {}
    for line in known["bpe_ranks"].splitlines():
        _, first, *tokens = line.split(" ")
        ranks |= {base64.b64decode(token): int(first) + n for n, token in enumerate(tokens)}
    return tiktoken.Encoding(
        "o200k_base",
        pat_str=known["pat_str"],
        mergeable_ranks=ranks,
        special_tokens=known["special_tokens"],
    )


def main() -> None:
    """Write each text's count beside it."""
    o200k = encoding(Path(sys.argv[1]))
    categories = json.loads(TEXTS.read_text("utf-8"))
    for texts in categories.values():
        for text in texts:
            text["tokens"] = len(o200k.encode_ordinary("\n".join(text["lines"])))
    TEXTS.write_text(json.dumps(categories, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
