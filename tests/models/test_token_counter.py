"""One counter: exact by a vocabulary on disk, an estimate without one, and nothing ever fetched."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import logging
import os
import socket
import subprocess
import sys

import pytest

from afterturn_models import token_counter as counting
from afterturn_models.policy.tokens import estimate_tokens
from afterturn_models.settings import Settings
from afterturn_models.token_counter import TokenCounter, Vocabulary, token_counter
from support.waiting import eventually

TEXT = "the cat sat on the other cat"

pytest.importorskip("tiktoken")


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Fail on any connection: nothing here may want one."""

    def refused(*_):
        raise AssertionError("a connection was attempted")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)


@pytest.fixture
def vocabulary(tmp_path):
    """Write a small vocabulary in tiktoken's format: the bytes, and a few words built of them."""
    tokens = [bytes([n]) for n in range(256)]
    tokens += [b"th", b"the", b" t", b" th", b" the", b" c", b" ca", b" cat", b" o", b" on"]
    lines = [f"{base64.b64encode(token).decode()} {rank}" for rank, token in enumerate(tokens)]
    path = tmp_path / "small.tiktoken"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def cache(tmp_path, vocabulary, monkeypatch):
    """Give a folder as tiktoken's cache would be, with the small vocabulary for o200k_base."""
    address = counting._ADDRESS.format("o200k_base")
    folder = tmp_path / "cache"
    folder.mkdir()
    kept = folder / hashlib.sha1(address.encode()).hexdigest()
    kept.write_bytes(vocabulary.read_bytes())
    monkeypatch.setitem(
        counting._DIGESTS, "o200k_base", hashlib.sha256(kept.read_bytes()).hexdigest()
    )
    return folder


def exact(text):
    """Count by the small vocabulary, by hand: its words are a token each, as any other byte is."""
    pieces = {"the": 1, " the": 1, " cat": 1, " on": 1, " sat": 4, " other": 3}
    assert text == TEXT
    return sum(pieces[one] for one in ["the", " cat", " sat", " on", " the", " other", " cat"])


def test_without_a_vocabulary_it_estimates():
    counter = TokenCounter()
    assert counter.count(TEXT) == estimate_tokens(TEXT)
    assert (counter.exact, counter.encoding, counter.load()) == (False, None, False)


def test_a_configured_vocabulary_counts_exactly(vocabulary):
    counter = token_counter(Settings(token_vocabulary=str(vocabulary)), {})
    assert counter.count(TEXT) == estimate_tokens(TEXT)  # it is being read
    eventually(lambda: counter.exact)
    assert counter.encoding == "o200k_base"
    assert counter.count(TEXT) == exact(TEXT)
    assert counter.count("") == 0
    assert counter.count("<|endoftext|>") == len("<|endoftext|>")  # text like any other
    assert counter.count("\ud800x") > 0


def test_each_encoding_cuts_its_own_way(vocabulary):
    counts = []
    for encoding in ("o200k_base", "cl100k_base"):
        counter = TokenCounter(Vocabulary(encoding, vocabulary))
        assert counter.load()
        counts.append(counter.count("THe the"))
    assert counter.encoding == "cl100k_base"
    assert all(counts)


def test_patterns_and_digests_are_tiktokens_own(monkeypatch):
    import tiktoken_ext.openai_public as public

    for name in ("o200k_base", "cl100k_base"):
        asked = {}
        monkeypatch.setattr(
            public,
            "load_tiktoken_bpe",
            lambda url, expected_hash, asked=asked: asked.update(url=url, digest=expected_hash),
        )
        made = getattr(public, name)()
        assert made["pat_str"] == counting._PATTERNS[name]
        assert asked == {"url": counting._ADDRESS.format(name), "digest": counting._DIGESTS[name]}


def test_a_very_long_text_is_counted_in_slices(vocabulary):
    counter = TokenCounter(Vocabulary("o200k_base", vocabulary))
    counter.load()
    assert counter.count(" cat" * 60_000) == 60_000


def test_what_tiktoken_has_cached_is_used(cache):
    for name in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        counter = token_counter(Settings(), {name: str(cache)})
        assert counter.load()
    assert not token_counter(Settings(), {"TIKTOKEN_CACHE_DIR": ""}).load()
    assert not token_counter(Settings(), {"TIKTOKEN_CACHE_DIR": str(cache / "none")}).load()
    assert not token_counter(
        Settings(token_encoding="cl100k_base"), {"TIKTOKEN_CACHE_DIR": str(cache)}
    ).load()


def test_a_damaged_cache_is_left_alone_and_nothing_is_fetched(cache, caplog):
    (kept,) = cache.iterdir()
    kept.write_bytes(kept.read_bytes()[:-5])
    counter = token_counter(Settings(), {"TIKTOKEN_CACHE_DIR": str(cache)})
    with caplog.at_level(logging.WARNING):
        assert not counter.load()
    assert "it is damaged, or of another encoding" in caplog.text
    assert counter.count(TEXT) == estimate_tokens(TEXT)
    assert kept.exists()


@pytest.mark.parametrize("content", [b"", b"what is this", b"YQ== one\n", b"YQ== 1\n", None])
def test_a_vocabulary_that_is_none_is_an_estimate_and_a_warning(tmp_path, content, caplog):
    path = tmp_path / "odd"
    if content is not None:
        path.write_bytes(content)
    counter = token_counter(Settings(token_vocabulary=str(path)), {})
    with caplog.at_level(logging.WARNING):
        assert not counter.load()
    assert "tokens are estimated" in caplog.text
    assert counter.count(TEXT) == estimate_tokens(TEXT)


def test_without_tiktoken_it_estimates_and_says_how_to_have_it(monkeypatch, vocabulary, caplog):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with caplog.at_level(logging.WARNING):
        counter = token_counter(Settings(token_vocabulary=str(vocabulary)), {})
    assert "pip install 'afterturn[tokens]'" in caplog.text
    assert not counter.load()


def test_a_forked_child_reads_it_for_itself(vocabulary):
    """A child that is forked while the parent's thread reads has no such thread."""
    script = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from afterturn_models.token_counter import TokenCounter, Vocabulary\n"
        "counter = TokenCounter(Vocabulary('o200k_base', Path(sys.argv[1])))\n"
        "counter._reading = os.getpid()  # as if its thread were in the middle of it\n"
        "if os.fork():\n"
        "    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))\n"
        "counter.count('x')\n"
        "until = time.monotonic() + 30\n"
        "while not counter.exact and time.monotonic() < until: time.sleep(0.01)\n"
        "os._exit(0 if counter.exact else 1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(vocabulary)], env=os.environ, check=False, timeout=60
    )
    assert done.returncode == 0
