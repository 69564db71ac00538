"""Our side in a process of its own: an agent that holds conversations with `afterturn.Memory`."""

from __future__ import annotations

import atexit

from afterturn import Memory, Session, Turn
from bench.child import serve
from bench.talk import handlers


class Ours:
    """Conversations over `Memory`, configured by the environment."""

    def __init__(self, talks: int) -> None:
        memory = Memory.open()
        atexit.register(memory.close)
        self._sessions: list[Session] = [memory.session(name=f"t{n}") for n in range(talks)]
        self._turns: dict[int, Turn] = {}
        self._ended = [0] * talks

    def begin(self, talk: int, text: str) -> bool:
        """Begin a turn; tells whether context and dialectic are those after the last turn."""
        turn = self._turns[talk] = self._sessions[talk].begin_turn(text)
        found, last = turn.recall, self._ended[talk]
        return found is not None and found.context_turn == found.dialectic_turn == last

    def end(self, talk: int, _text: str, reply: str) -> None:
        """End it."""
        self._turns.pop(talk).end(reply)
        self._ended[talk] += 1


if __name__ == "__main__":
    serve(handlers(Ours))
