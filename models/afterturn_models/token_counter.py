"""The one token counter of a process: exact where a vocabulary is on disk, else the estimate.

Nothing is ever fetched: tiktoken brings the algorithm, and its vocabulary is read from a file that
is configured, or from tiktoken's own cache where that has it whole.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import importlib.util
import logging
import os
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afterturn_models.policy.tokens import estimate_tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from afterturn_models.settings_model import Settings

log = logging.getLogger("afterturn.tokens")

_ADDRESS = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"  # what names a file
_SLICE = 100_000  # characters encoded at once: a longer text may cost a token more a slice
# How each encoding cuts a text into pieces, and the digest of its vocabulary, as tiktoken has them.
_PATTERNS = {
    "o200k_base": (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
    "cl100k_base": (
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"
        r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
    ),
}
_DIGESTS = {
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
}


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A file of tokens and their ranks, a line each; `digest` is its SHA-256 where one is asked for."""

    encoding: str
    path: Path
    digest: str | None = None


class TokenCounter:
    """Counts tokens. Safe between threads, and in a forked child.

    The vocabulary takes a third of a second to read, so that it is read in the background from the
    first count on; until then, and for good where it cannot be read, counts are estimates.
    """

    def __init__(self, vocabulary: Vocabulary | None = None) -> None:
        """Count by `vocabulary`; None: by the estimate."""
        self._vocabulary = vocabulary
        self._encoder: Any = None
        self._reading: int | None = None  # the process in which a thread reads it

    @property
    def exact(self) -> bool:
        """Tell whether counts are exact by now."""
        return self._encoder is not None

    @property
    def encoding(self) -> str | None:
        """Name the encoding that is counted by; None for the estimate."""
        return self._vocabulary.encoding if self._vocabulary and self.exact else None

    def count(self, text: str) -> int:
        """Give the tokens of `text`; a special token in it is text like any other."""
        encoder = self._encoder
        if encoder is None:
            self._read_soon()
            return estimate_tokens(text)
        if len(text) <= _SLICE:
            return len(encoder.encode_ordinary(text))
        slices = (text[at : at + _SLICE] for at in range(0, len(text), _SLICE))
        return sum(len(encoder.encode_ordinary(one)) for one in slices)

    def load(self) -> bool:
        """Read the vocabulary now; tells whether counts are exact from here on."""
        if self._vocabulary is not None and self._encoder is None:
            self._encoder = _encoder(self._vocabulary)
            if self._encoder is None:
                self._vocabulary = None
        return self.exact

    def _read_soon(self) -> None:
        """Begin to read the vocabulary, once a process: a child does not have its parent's thread."""
        if self._vocabulary is None or self._reading == os.getpid():
            return
        self._reading = os.getpid()
        threading.Thread(target=self.load, name="afterturn-vocabulary", daemon=True).start()


def token_counter(settings: Settings, env: Mapping[str, str] = os.environ) -> TokenCounter:
    """Give the counter that a process is configured to have; see `tokenEncoding`, `tokenVocabulary`."""
    installed = importlib.util.find_spec("tiktoken") is not None
    if settings.token_vocabulary and not installed:
        log.warning(
            "tokenVocabulary has no effect without tiktoken: pip install 'afterturn[tokens]'"
        )
    if not installed:
        return TokenCounter()
    if settings.token_vocabulary:
        path = Path(settings.token_vocabulary).expanduser()
        return TokenCounter(Vocabulary(settings.token_encoding, path))
    return TokenCounter(_cached(settings.token_encoding, env))


def _cached(encoding: str, env: Mapping[str, str]) -> Vocabulary | None:
    """Give the vocabulary that tiktoken has in its cache; None where it would fetch it."""
    said = env.get("TIKTOKEN_CACHE_DIR", env.get("DATA_GYM_CACHE_DIR"))
    if said == "":
        return None  # this is how tiktoken is told to keep none
    folder = Path(said) if said else Path(tempfile.gettempdir(), "data-gym-cache")
    name = hashlib.sha1(_ADDRESS.format(encoding).encode(), usedforsecurity=False).hexdigest()
    path = folder / name
    return Vocabulary(encoding, path, _DIGESTS[encoding]) if path.is_file() else None


def _encoder(vocabulary: Vocabulary) -> Any:
    """Make tiktoken's encoder; None, with a warning, where the vocabulary is not what it should be."""
    try:
        ranks = _ranks(vocabulary)
        tiktoken = importlib.import_module("tiktoken")
        return tiktoken.Encoding(
            vocabulary.encoding,
            pat_str=_PATTERNS[vocabulary.encoding],
            mergeable_ranks=ranks,
            special_tokens={},
        )
    except (OSError, ValueError, ImportError) as error:
        log.warning("tokens are estimated, %s cannot be used: %s", vocabulary.path, error)
        return None


def _ranks(vocabulary: Vocabulary) -> dict[bytes, int]:
    """Read the ranks. Raises OSError, and ValueError for a file that is damaged or another."""
    data = vocabulary.path.read_bytes()
    if vocabulary.digest and hashlib.sha256(data).hexdigest() != vocabulary.digest:
        raise ValueError("it is damaged, or of another encoding")
    ranks = {}
    for line in data.splitlines():
        if line:
            token, rank = line.split()
            ranks[base64.b64decode(token)] = int(rank)
    missing = 256 - sum(len(token) == 1 for token in ranks)
    if missing:  # the encoder would panic at a text with one of them
        raise ValueError(f"it has no token for {missing} of the 256 bytes")
    return ranks
