"""The wire: the texts that Redis answers with, read from a socket.

A turn waits for this and for little else. redis-py makes and keeps the connection; its own parser,
which is written for every answer that there is, took longer than Redis itself.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable

_CHUNK = 32_768  # bytes that are asked for at a time
_BULK = ord("$")
_END = b"\r\n"


def bulks(recv: Callable[[int], bytes], count: int, *, seconds: float) -> list[bytes | None]:
    """Read the answers to `count` commands, each a bulk string of RESP2, or nil, which is None.

    `recv` is a socket's. Raises redis-py's errors: for an answer that is an error, or none of
    these; where the server closed the connection; and where not all of it was there after
    `seconds`. The connection is of no use then.
    """
    try:
        data, at = recv(_CHUNK), 0
        found: list[bytes | None] = []
        until: float | None = None
        while True:
            at = _read(data, at, count, found)
            if len(found) == count:
                break
            until = until or time.monotonic() + seconds
            data, at = data[at:] + _more(recv, data, at, until), 0
    except TimeoutError:
        raise RedisTimeoutError("Redis does not answer in time") from None
    except OSError as error:
        raise RedisConnectionError(f"the connection to Redis is lost: {error}") from None
    if at != len(data):
        raise InvalidResponse("Redis says more than it was asked")
    return found


def _read(data: bytes, at: int, count: int, found: list[bytes | None]) -> int:
    """Add the answers that are whole, and give the place behind the last of them."""
    while len(found) < count and (end := data.find(_END, at)) > 0:
        if data[at] != _BULK:
            raise _not_bulk(data[at:end])
        said = data[at + 1 : end]
        if said == b"-1":
            found.append(None)
            at = end + 2
            continue
        size = int(said) if said.isdigit() else _size(said)
        stop = end + 2 + size
        if len(data) < stop + 2:
            break
        if data[stop : stop + 2] != _END:
            raise InvalidResponse("Redis sent a text of another length than it said")
        found.append(data[end + 2 : stop])
        at = stop + 2
    return at


def _size(said: bytes) -> int:
    if said == b"-1":
        return -1
    if not said.isdigit():
        raise InvalidResponse(f"Redis sent a length that is none: {said[:20]!r}")
    return int(said)


def _not_bulk(line: bytes) -> Exception:
    if line[:1] == b"-":
        return ResponseError(line[1:].decode(errors="replace"))
    return InvalidResponse(f"Redis sent no text, but {line[:20]!r}")


def _more(recv: Callable[[int], bytes], data: bytes, at: int, until: float) -> bytes:
    """Read on: as much as the next answer still lacks, as far as that is known."""
    if not data:
        raise RedisConnectionError("Redis closed the connection")
    end = data.find(_END, at)
    lacking = end + 4 + _size(data[at + 1 : end]) - len(data) if end > 0 else 1
    chunks = []
    while lacking > 0:
        if time.monotonic() > until:
            raise TimeoutError
        chunk = recv(max(_CHUNK, lacking))
        if not chunk:
            raise RedisConnectionError("Redis closed the connection")
        chunks.append(chunk)
        lacking -= len(chunk)
    return b"".join(chunks)
