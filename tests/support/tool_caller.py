"""A session whose tools are called as a model calls them."""

from __future__ import annotations

import json
import time
from typing import Any

from afterturn import Memory
from afterturn.session import Session


class Caller:
    """Gives each answer as values."""

    def __init__(self, memory: Memory, session: Session) -> None:
        self.memory = memory
        self.session = session

    def __call__(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool."""
        said = self.session.call_tool(name, json.dumps(arguments))
        answer: dict[str, Any] = json.loads(said)
        return answer

    def timed(self, name: str, **arguments: Any) -> tuple[float, dict[str, Any]]:
        """Call a tool; gives the seconds that it took as well."""
        began = time.monotonic()
        answer = self(name, **arguments)
        return time.monotonic() - began, answer

    def learn(self, *texts: str) -> Caller:
        """Have the user say something, and Honcho hear of it."""
        for text in texts:
            self.session.begin_turn(text).end("Lovely!")
        assert self.session.flush(timeout=20)
        return self
