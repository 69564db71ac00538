"""Agent processes that talk: `python -m support.talker SESSIONS TURNS [TURNS …]`.

For each number of turns a process of its own has them, in turn over its sessions, and tells the
milliseconds of its slowest. They are forked from one that has imported all that they need.
"""

from __future__ import annotations

import os
import sys
import time

from afterturn import Memory


def main() -> int:
    """Fork the agents and wait for them; gives how many failed."""
    sessions, *turns = map(int, sys.argv[1:])
    children = [
        os.fork() or _talk(f"a{place}", sessions, number) for place, number in enumerate(turns)
    ]
    return sum(os.waitpid(child, 0)[1] != 0 for child in children)


def _talk(name: str, sessions: int, turns: int) -> int:
    """Talk, then leave without a flush: what is captured is the workers' to send."""
    slowest = 0.0
    with Memory.open() as memory:
        opened = [memory.session(name=f"{name}-{place}") for place in range(sessions)]
        for number in range(turns):
            began = time.perf_counter()
            turn = opened[number % sessions].begin_turn(f"And what of question {number}, then?")
            turn.end(f"That is answer {number}.")
            slowest = max(slowest, time.perf_counter() - began)
    os.write(1, f"{slowest * 1000:.1f}\n".encode())
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
