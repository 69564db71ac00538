"""A million names, titles and paths: all valid ids, none shared by accident, alike in every process."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

from afterturn_models.policy.ids import is_valid_id
from afterturn_models.policy.session_name import Conversation, Naming, SessionName, session_name

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


def conversations(count: int, seed: int = 4) -> list[tuple[Naming, Conversation]]:
    """Draw conversations of every kind, some of them with thousands of characters."""
    drawn = random.Random(seed)
    return [_conversation(drawn) for _ in range(count)]


def _conversation(drawn: random.Random) -> tuple[Naming, Conversation]:
    text = "".join(drawn.choices(_PIECES, k=drawn.randint(1, 9)))
    if drawn.random() < 0.001:
        text = (text + drawn.choice(_PIECES)) * (5000 // (len(text) + 1) + 1)
    kind = drawn.choice(("name", "title", "directory", "platform_key", "repository", "fresh"))
    if kind in {"directory", "repository"}:
        text = f"/{text}"
    more = {"directory": text} if kind == "repository" else {}
    return drawn.choice(_NAMINGS), Conversation(**{kind: text}, **more)


def keys(count: int) -> tuple[int, int, str]:
    """Name conversations as the store does, which leaves each key to the first source that has it.

    Gives how many sources and how many keys there were, and a digest of all of it.
    """
    taken: dict[str, bytes] = {}
    sources: set[bytes] = set()
    digest = hashlib.sha256()
    for naming, said in conversations(count):
        name = session_name(naming, said)
        source = hashlib.blake2b(name.source.encode("utf-8", "surrogatepass"), digest_size=16)
        key = _key(taken, name, source.digest())
        assert is_valid_id(key)
        sources.add(source.digest())
        digest.update(key.encode())
    return len(sources), len(taken), digest.hexdigest()


def _key(taken: dict[str, bytes], name: SessionName, source: bytes) -> str:
    for key in (name.key, name.apart):
        if taken.setdefault(key, source) == source:
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
