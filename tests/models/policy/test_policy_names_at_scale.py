"""A million names, titles and paths: all valid ids, none shared by accident, alike in every process."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from afterturn_models.policy.ids import is_valid_id
from afterturn_models.policy.session_name import Conversation, Naming, SessionName, session_name

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNT = 1_000_000
_PIECES = (
    "a", "b", "foo", "Foo", "foo.", "föö", "пример", "例え", "🙂", "e\u0301", "é", " ", "-", "_",
    ".", "..", "/", "\\", "~", "%2f", "\x00", "\n", "\u200b", "\ud800", "con", "default", "global",
    "0", "7", "x" * 40, "A-Z", "@", ":", "#",
)  # fmt: skip
_NAMINGS = (
    Naming(),
    Naming("per-repo"),
    Naming("per-session"),
    Naming(peer_prefix="ann"),
    Naming(gateway_first=True),
)


_KINDS = ("name", "title", "directory", "platform_key", "repository", "fresh")
_BATCH = 10_000  # drawn at once, which takes half the time


def conversations(count: int, seed: int = 4) -> Iterator[list[tuple[Naming, Conversation]]]:
    """Draw conversations of every kind in batches, some of them with thousands of characters."""
    drawn = random.Random(seed)
    for begin in range(0, count, _BATCH):
        many = min(_BATCH, count - begin)
        lengths = drawn.choices(range(1, 10), k=many)
        pieces = iter(drawn.choices(_PIECES, k=sum(lengths)))
        texts = ["".join(islice(pieces, length)) for length in lengths]
        for place in drawn.sample(range(many), k=many // 1000):
            more = texts[place] + drawn.choice(_PIECES)
            texts[place] = more * (5000 // len(more) + 1)
        kinds, namings = drawn.choices(_KINDS, k=many), drawn.choices(_NAMINGS, k=many)
        yield [
            (naming, _conversation(kind, text))
            for naming, kind, text in zip(namings, kinds, texts, strict=True)
        ]


def _conversation(kind: str, text: str) -> Conversation:
    if kind == "repository":
        return Conversation(repository=f"/{text}", directory=text)
    return Conversation(**{kind: f"/{text}" if kind == "directory" else text})


def keys(count: int) -> tuple[int, int, str]:
    """Name conversations as the store does, which leaves each key to the first source that has it.

    Gives how many sources and how many keys there were, and a digest of all of it.
    """
    taken: dict[str, str] = {}
    digest = hashlib.sha256()
    for batch in conversations(count):
        given = [_key(taken, session_name(naming, said)) for naming, said in batch]
        digest.update("\n".join(given).encode())
    assert all(map(is_valid_id, taken))  # each key that was given is in it
    return len(set(taken.values())), len(taken), digest.hexdigest()


def _key(taken: dict[str, str], name: SessionName) -> str:
    for key in (name.key, name.apart):
        if taken.setdefault(key, name.source) == name.source:
            return key
    raise AssertionError(f"two sources share {name.apart}")


def test_a_million_names_are_valid_and_shared_by_nobody() -> None:
    sources, taken, _ = keys(COUNT)
    assert sources == taken > COUNT // 4


def test_every_process_gives_the_same_names() -> None:
    call = "from test_policy_names_at_scale import keys; print(keys(20_000)[2])"
    found = {
        subprocess.run(
            [sys.executable, "-c", call],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parent)},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
