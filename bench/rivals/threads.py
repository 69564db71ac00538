"""The thread design (Hermes'), in its plainest form: each turn's end starts threads that call Honcho.

What waits is in memory only; a turn's end waits for the last one's thread, five seconds at most.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from bench.child import serve
from bench.rivals.inline import Inline
from bench.talk import handlers

if TYPE_CHECKING:
    from collections.abc import Callable

_JOIN = 5.0


class Threads(Inline):
    """The inline calls, made in threads; what one of them found waits for the next turn."""

    def __init__(self, talks: int, *, url: str = "", workspace: str = "") -> None:
        super().__init__(talks, url=url, workspace=workspace)
        self._found: dict[int, bool] = {}
        self._sending: dict[int, threading.Thread] = {}

    def begin(self, talk: int, _text: str) -> bool:
        """Take what the last turn's thread left."""
        return self._found.pop(talk, False)

    def end(self, talk: int, text: str, reply: str) -> None:
        """Start a thread that sends and one that fetches."""
        if before := self._sending.get(talk):
            before.join(_JOIN)
        self._sending[talk] = self._start(lambda: super(Threads, self).end(talk, text, reply))
        self._start(lambda: self._fetch(talk, text))

    def join(self) -> None:
        """Wait until everything is sent."""
        for thread in self._sending.values():
            thread.join()

    def _fetch(self, talk: int, text: str) -> None:
        self._found[talk] = super().begin(talk, text)

    @staticmethod
    def _start(work: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread


if __name__ == "__main__":
    serve(handlers(Threads))
