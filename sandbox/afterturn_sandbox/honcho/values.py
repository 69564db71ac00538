"""Times, ids, token counts and JSON in the forms that Honcho's answers have."""

import json
import os
import re
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # UTC without saying so: faster to print
# One encoder for all: `json.dumps` with settings builds a new one each time.
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_ID_BYTES = 16
_PLACE_BYTES = 3  # 16 million messages a session
_RANDOM_BYTES = _ID_BYTES - _PLACE_BYTES
_ID_LENGTH = 21  # Honcho's public ids are nanoids of 21 characters
# Pieces that a byte-pair vocabulary takes for about one token each: a short word with the space
# in front of it, three digits, the space before a number, a run of signs, another script's letter.
_TOKEN = re.compile(r" ?[A-Za-z]{1,10}|\d{1,3}|\s+(?=\d)|[!-/:-@\[-`{-~]{1,3}|[^\x00-\x7f]{1,2}")


def now_us() -> int:
    """Now, in microseconds since the epoch."""
    return time.time_ns() // 1000


def to_us(moment: datetime) -> int:
    """`moment` in microseconds since the epoch; one without a zone counts as UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - EPOCH) // timedelta(microseconds=1)


def iso(us: int) -> str:
    """`2026-01-02T03:04:05.000006Z`; a whole second has no fraction, as in Honcho's answers."""
    return (_NAIVE_EPOCH + timedelta(microseconds=us)).isoformat() + "Z"


def new_ids(count: int) -> list[str]:
    """`count` fresh public ids."""
    raw = os.urandom(_ID_BYTES * count)
    step = _ID_BYTES
    return [
        urlsafe_b64encode(raw[at : at + step])[:_ID_LENGTH].decode()
        for at in range(0, len(raw), step)
    ]


def message_ids(first: int, count: int) -> list[str]:
    """Return ids for messages from place `first` on: its first 4 characters are the place."""
    raw = os.urandom(_RANDOM_BYTES * count)
    step = _RANDOM_BYTES
    return [
        urlsafe_b64encode((first + at).to_bytes(_PLACE_BYTES) + raw[at * step : at * step + step])[
            :_ID_LENGTH
        ].decode()
        for at in range(count)
    ]


def place_of(message_id: str) -> int:
    """Return the place in its session that a message's id stands for; 0 for what is no id."""
    try:
        return int.from_bytes(urlsafe_b64decode(message_id[:4]))
    except ValueError:
        return 0


def count_tokens(text: str) -> int:
    """Return an estimate of `text`'s tokens: no vocabulary is shipped, so it is near, never exact."""
    return len(_TOKEN.findall(text))


def dumps(value: Any) -> str:
    """Compact JSON with every character as itself, as Honcho writes it."""
    return _ENCODER.encode(value)


def without_nul(value: Any) -> Any:
    """`value` with the NULs taken out of every string in it: Postgres text cannot hold them."""
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, dict):
        return {without_nul(key): without_nul(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_nul(item) for item in value]
    return value
