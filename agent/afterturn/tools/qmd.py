"""QMD: the local search command that a user has configured, run for `memory_search`.

It is run without a shell, under a deadline, and its output is bounded. A command that is missing,
fails or says nothing sensible is a sentence, never a traceback.
"""

from __future__ import annotations

import json
import os
import selectors
import shlex
import signal
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from afterturn_models.errors import AfterturnError

if TYPE_CHECKING:
    from typing import IO

_SEARCHES = ("search", "vsearch", "query")
_MOST_BYTES = 1024 * 1024
_PIECE = 65_536


class QmdError(AfterturnError):
    """The configured command did not answer; the message is a sentence that says why."""


class Qmd:
    """A command that speaks as `qmd` does (github.com/tobi/qmd)."""

    def __init__(self, command: str, seconds: float) -> None:
        """Use `command`, split as a shell splits words, for at most `seconds` a call.

        Its last word may be `search` (keywords, the default), `vsearch` or `query` (by meaning).
        Raises QmdError for a command that cannot be split.
        """
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise QmdError(f"qmdCommand cannot be read: {error}") from None
        if not words:
            raise QmdError("qmdCommand is empty")
        given = len(words) > 1 and words[-1] in _SEARCHES
        self._search = words[-1] if given else _SEARCHES[0]
        self._words = words[:-1] if given else words
        self._name = os.path.basename(words[0])  # noqa: PTH119 - as errors show it
        self._seconds = seconds

    def search(self, query: str, limit: int) -> list[dict[str, Any]]:
        """Give passages, best first: path, score and snippet. Raises QmdError."""
        said = self._run(self._search, "--json", "-n", str(limit), "--", query).strip()
        if not said or said.casefold().startswith("no results"):
            return []
        try:
            found = json.loads(said)
        except ValueError:
            raise QmdError(f"{self._name} answered something that is no JSON") from None
        if not isinstance(found, list):
            raise QmdError(f"{self._name} answered something that is no list")
        return [_passage(one) for one in found[:limit] if isinstance(one, dict)]

    def get(self, path: str, first: int, lines: int | None) -> str:
        """Give a document, or some of its lines, as text. Raises QmdError."""
        some = () if lines is None else ("-l", str(lines))
        return self._run("get", "--from", str(first), *some, "--", path)

    def _run(self, *words: str) -> str:
        try:
            process = subprocess.Popen(  # noqa: S603 - the user's own command, and no shell
                [*self._words, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "a NUL in its arguments"
            raise QmdError(f"{self._name} cannot be run: {reason}") from None
        with process:
            try:
                said, complained = self._read(process)
            finally:
                _end(process)
        if process.returncode:
            why = complained.strip().partition("\n")[0][:200] or f"exit status {process.returncode}"
            raise QmdError(f"{self._name} failed: {why}")
        return said

    def _read(self, process: subprocess.Popen[bytes]) -> tuple[str, str]:
        """Read both outputs to their end. Raises QmdError at the deadline, or beyond the bound."""
        deadline = time.monotonic() + self._seconds
        read: dict[IO[bytes], bytearray] = {}
        with selectors.DefaultSelector() as selector:
            for stream in (process.stdout, process.stderr):
                assert stream is not None
                read[stream] = bytearray()
                selector.register(stream, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(max(0.0, deadline - time.monotonic()))
                if not ready and time.monotonic() >= deadline:
                    raise QmdError(f"{self._name} did not answer within {self._seconds:g} s")
                for key, _ in ready:
                    self._take(selector, key.fileobj, read)
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise QmdError(f"{self._name} did not end within {self._seconds:g} s") from None
        out, complained = (bytes(part).decode("utf-8", "replace") for part in read.values())
        return out, complained

    def _take(
        self, selector: selectors.BaseSelector, stream: Any, read: dict[Any, bytearray]
    ) -> None:
        piece = os.read(stream.fileno(), _PIECE)
        if not piece:
            selector.unregister(stream)
            return
        read[stream] += piece
        if len(read[stream]) > _MOST_BYTES:
            raise QmdError(f"{self._name} answered more than {_MOST_BYTES} bytes")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the command with all that it has started; it is in a group of its own."""
    if process.poll() is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _passage(found: dict[str, Any]) -> dict[str, Any]:
    score = found.get("score")
    return {
        "path": str(found.get("file") or found.get("path") or found.get("docid") or ""),
        "score": round(score, 3) if isinstance(score, int | float) else 0,
        "snippet": str(found.get("snippet") or found.get("body") or found.get("title") or ""),
    }
