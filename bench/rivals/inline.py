"""The inline design (OpenClaw's plugin): Honcho is called while the user waits, by its own SDK.

It is given the benefit of every doubt: one client kept open, one request at a turn's start and one
at its end.
"""

from __future__ import annotations

import os

from honcho import Honcho

from bench.child import serve
from bench.talk import handlers


class Inline:
    """Conversations over the SDK."""

    def __init__(self, talks: int, *, url: str = "", workspace: str = "") -> None:
        self._honcho = Honcho(
            base_url=url or os.environ["BENCH_HONCHO_URL"],
            workspace_id=workspace or os.environ["BENCH_WORKSPACE"],
            api_key="none",
        )
        self._user, self._agent = self._honcho.peer("user"), self._honcho.peer("agent")
        self._sessions = [self._honcho.session(f"t{n}") for n in range(talks)]
        for session in self._sessions:
            session.add_peers([self._user, self._agent])

    def begin(self, talk: int, text: str) -> bool:
        """Read what is known, and wait for it."""
        context = self._sessions[talk].context(
            summary=True, tokens=2000, peer_target="user", search_query=text
        )
        return context is not None

    def end(self, talk: int, text: str, reply: str) -> None:
        """Send what was said, and wait for that."""
        self._sessions[talk].add_messages([self._user.message(text), self._agent.message(reply)])


if __name__ == "__main__":
    serve(handlers(Inline))
