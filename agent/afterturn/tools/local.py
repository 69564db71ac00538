"""Tools over local memory files: the folder's own, and what a configured QMD has indexed.

They are the owner's: nobody else who speaks in a shared chat is offered them, and what is found
never leaves this machine.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from afterturn.local_files import LocalFileError
from afterturn.tools import passages
from afterturn.tools.qmd import Qmd, QmdError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from afterturn.local_files import LocalFiles

log = logging.getLogger("afterturn.tools")


class LocalTools:
    """`memory_search` and `memory_get` for one call; one of `files` and `qmd` is there at least."""

    def __init__(self, files: LocalFiles | None, qmd_command: str | None, seconds: float) -> None:
        self._files = files
        self._command = qmd_command
        self._seconds = seconds

    def call(self, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one of the two tools. Raises LocalFileError or QmdError, which are sentences."""
        if name == "memory_search":
            return self._search(given["query"], given["limit"])
        return self._get(given["path"], given["first"], given.get("lines"))

    def _search(self, query: str, limit: int) -> dict[str, Any]:
        note = ""
        if self._command:
            try:
                return {"results": Qmd(self._command, self._seconds).search(query, limit)}
            except QmdError as error:
                if self._files is None:
                    raise
                log.warning("the memory files are searched without QMD: %s", error)
                note = f"{error}; these are the files' words alone"
        assert self._files is not None
        found = {"results": passages.search(self._files, query, limit)}
        return ({"note": note} if note else {}) | found

    def _get(self, path: str, first: int, lines: int | None) -> dict[str, Any]:
        if self._files is not None and (not self._command or self._has(path)):
            return passages.get(self._files, path, first, lines)
        assert self._command is not None
        return {
            "path": path,
            "from": first,
            "text": Qmd(self._command, self._seconds).get(path, first, lines),
        }

    def _has(self, path: str) -> bool:
        """Tell whether `path` is a memory file: what QMD calls by a name of its own is not."""
        assert self._files is not None
        try:
            return self._files.read(path) is not None
        except LocalFileError:
            return False
