"""What goes over a line, read as far as it takes to recognise the step of a sync that it is."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from functools import cache
from typing import Protocol

# Each step by what only its statement says. `test_fault_steps.py` holds these against the store.
STATEMENTS = {
    "claim": re.compile(r"UPDATE cursors c\s+SET lease_owner\b.*\bepoch \+ 1", re.DOTALL),
    "intent": re.compile(
        r"UPDATE cursors(?: c)?\s+SET last_saved_index\b.*\bRETURNING (?:c\.session_id, c\.)?due_index",
        re.DOTALL,
    ),
    "release": re.compile(
        r"UPDATE cursors(?: c)?\s+SET last_saved_index\b.*\bdue_index <= ", re.DOTALL
    ),
    "postpone": re.compile(r"UPDATE cursors\s+SET last_saved_index\b.*\battempts \+ 1", re.DOTALL),
    "capture": re.compile(r"\bINSERT INTO messages\b"),
}
_SESSION = rb"POST /v3/workspaces/[^/ ]+/sessions/[^/ ]+"
REQUESTS = {
    "post": re.compile(_SESSION + rb"/messages HTTP"),
    "look-up": re.compile(_SESSION + rb"/messages/list\b"),
    "peers": re.compile(_SESSION + rb"/peers\b"),
}
_HINT = b"afterturn.sync_session"
_NEGOTIATIONS = {80877103, 80877104}  # TLS or GSSAPI asked for; the real start-up comes after it


class Reader(Protocol):
    """Reads what the client of one connection says."""

    def steps(self, data: bytes) -> list[str]:
        """Name the steps that `data` completes."""
        ...


@cache
def step_of(statement: str) -> str | None:
    """Name the step that a statement is, if it is one."""
    return next((name for name, mark in STATEMENTS.items() if mark.search(statement)), None)


class PostgresReader:
    """Follows the client's side of Postgres' protocol: a prepared statement shows its text once."""

    def __init__(self) -> None:
        self._buffer = b""
        self._started = False
        self._prepared: dict[bytes, str] = {}

    def steps(self, data: bytes) -> list[str]:
        """Name the statements that are to be executed now."""
        self._buffer += data
        found = [step_of(statement) for statement in self._executed()]
        return [step for step in found if step is not None]

    def _executed(self) -> Iterator[str]:
        while (message := self._next()) is not None:
            kind, body = message
            if kind == b"P":
                name, _, rest = body.partition(b"\0")
                self._prepared[name] = rest.partition(b"\0")[0].decode()
            elif kind == b"B":
                yield self._prepared.get(body.split(b"\0", 2)[1], "")
            elif kind == b"Q":
                yield body.rstrip(b"\0").decode()

    def _next(self) -> tuple[bytes, bytes] | None:
        head = 5 if self._started else 4
        if len(self._buffer) < head:
            return None
        (length,) = struct.unpack("!I", self._buffer[head - 4 : head])
        end = head - 4 + length
        if len(self._buffer) < end:
            return None
        whole, self._buffer = self._buffer[:end], self._buffer[end:]
        if self._started:
            return whole[:1], whole[5:]
        (code,) = struct.unpack("!I", whole[4:8])
        self._started = code not in _NEGOTIATIONS
        return b"", b""


class HttpReader:
    """Sees the first line of each request: a client writes a request's head in one piece."""

    def steps(self, data: bytes) -> list[str]:
        """Name the request that begins here."""
        line = data[:600].partition(b"\r\n")[0]
        return [name for name, mark in REQUESTS.items() if mark.match(line)]


class RedisReader:
    """Sees hints on their way into a queue."""

    def steps(self, data: bytes) -> list[str]:
        """Name a hint."""
        return ["hint"] if _HINT in data and b"LPUSH" in data else []
