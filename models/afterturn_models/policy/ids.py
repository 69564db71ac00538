"""Ids that Honcho accepts: made from any text, deterministic, and never alike by accident."""

from __future__ import annotations

import hashlib
import re
import unicodedata

MAX_LENGTH = 100  # the hosted service has refused longer session ids
_VALID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
_DIGEST = 16  # hex digits: 64 bits


def is_valid_id(value: str) -> bool:
    """Tell whether `value` may be sent to Honcho as an id."""
    return _VALID.fullmatch(value) is not None


def honcho_id(text: str, *, fallback: str = "unnamed") -> str:
    """Make an id of Honcho's from any `text`, the same in every process.

    A text that is an id already stays as it is. Any other is sanitised and ends in 64 bits of
    its SHA-256, so that two different texts that sanitise or cut alike stay apart.
    """
    if is_valid_id(text):
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    stem = _UNSAFE.sub("-", plain).strip("-_") or fallback
    return f"{stem[: MAX_LENGTH - _DIGEST - 1].rstrip('-_')}-{digest}"
