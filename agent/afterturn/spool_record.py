"""The spool's record: one captured turn as one line of JSON that shows whether it is whole.

A line is `{"crc":"1a2b3c4d","v":1,"at":…,"turn":{…}}`. The checksum is that of everything behind
it, and ASCII escapes keep any text, NUL and lone surrogates too, on that one line.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from afterturn_models.store.capture import WritePolicy
from afterturn_models.store.sessions import SessionSpec
from afterturn_models.values import NewMessage, Role

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

VERSION = 1
_HEAD = b'{"crc":"%08x",'
_HEAD_SIZE = len(_HEAD % 0)


@dataclass(frozen=True, slots=True)
class SpooledTurn:
    """All that a capture needs, by keys and not by ids: Postgres may never have been seen."""

    spec: SessionSpec
    agent_peer: str
    turn_id: UUID
    rows: tuple[NewMessage, ...]
    policy: WritePolicy


@dataclass(frozen=True, slots=True)
class Record:
    """A line read back: when it was appended (seconds since 1970) and the turn."""

    at: float
    turn: SpooledTurn


class NewerFormatError(ValueError):
    """A whole record of a format that this version does not know."""


def encode(turn: SpooledTurn, at: float) -> bytes:
    """Give the line that holds `turn`, its newline included.

    Raises ValueError where the turn's metadata is not JSON. Two surrogates that together stand
    for one character come back as that character.
    """
    envelope = {"v": VERSION, "at": at, "turn": _plain(turn)}
    try:
        # `default` takes what a turn is made of beyond JSON; NaN is not JSON, for Postgres neither.
        text = json.dumps(envelope, default=_simplify, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError("its metadata is not JSON") from error
    rest = text[1:].encode("ascii")
    return _HEAD % zlib.crc32(rest) + rest + b"\n"


def decode(line: bytes) -> Record | None:
    """Read a line back; None where it is damaged.

    Raises NewerFormatError where it is whole, but of a later version's format.
    """
    line = line.rstrip(b"\n")
    rest = line[_HEAD_SIZE:]
    if not rest or line[:_HEAD_SIZE] != _HEAD % zlib.crc32(rest):
        return None
    try:
        envelope = json.loads(b"{" + rest)
        later = envelope["v"] > VERSION
        record = None if later else Record(float(envelope["at"]), _turn(envelope["turn"]))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    if record is None:
        raise NewerFormatError(f"format {envelope['v']}")
    return record


def _plain(value: DataclassInstance) -> dict[str, Any]:
    # Every field there is, so that one added to the vocabulary is not forgotten here.
    return {each.name: getattr(value, each.name) for each in fields(value)}


def _simplify(value: object) -> Any:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, SessionSpec | NewMessage | WritePolicy):
        return _plain(value)
    raise TypeError(f"a {type(value).__name__} is not JSON")


def _turn(plain: dict[str, Any]) -> SpooledTurn:
    return SpooledTurn(
        spec=SessionSpec(**plain["spec"]),
        agent_peer=plain["agent_peer"],
        turn_id=UUID(plain["turn_id"]),
        rows=tuple(_row(row) for row in plain["rows"]),
        policy=WritePolicy(
            given=_pairs(plain["policy"]["given"]), fallback=_pairs(plain["policy"]["fallback"])
        ),
    )


def _row(plain: dict[str, Any]) -> NewMessage:
    at = plain["at"]
    return NewMessage(
        **plain
        | {
            "id": UUID(plain["id"]),
            "role": Role(plain["role"]),
            "at": None if at is None else datetime.fromisoformat(at),
        }
    )


def _pairs(plain: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((key, value) for key, value in plain)
