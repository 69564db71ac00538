"""Conversations as an agent holds them, over whatever remembers: for contestants in processes.

Only the standard library: the process may run another environment's Python.
"""

from __future__ import annotations

import itertools
import threading
import time
from typing import Any, Protocol


class Talker(Protocol):
    """An agent's memory of any make, for conversations numbered from 0."""

    def begin(self, talk: int, text: str) -> bool:
        """Begin a turn; tells whether what was prefetched after the last one is there."""
        ...

    def end(self, talk: int, text: str, reply: str) -> None:
        """End the turn that was begun."""
        ...


def turns(talker: Talker, texts: list[list[str]], count: int, pause: float) -> dict[str, Any]:
    """Hold turns of one conversation, `pause` seconds after each start and each end."""
    starts, ends, ready = [], [], 0
    for text, reply in itertools.islice(itertools.cycle(texts), count):
        began = time.perf_counter()
        ready += talker.begin(0, text)
        starts.append(time.perf_counter() - began)
        time.sleep(pause)
        began = time.perf_counter()
        talker.end(0, text, reply)
        ends.append(time.perf_counter() - began)
        time.sleep(pause)
    return {"starts": starts, "ends": ends, "ready": ready}


def talk(
    talker: Talker, texts: list[list[str]], *, talks: int, turns: int, pace: float
) -> dict[str, Any]:
    """Hold conversations side by side, a thread each, a turn every `pace` seconds in each.

    The model takes a third of it, between start and end. The first turns are spread over one
    pace, as people do not begin all at once; `warm` turns are all but these.
    """
    found: dict[str, Any] = {"starts": [], "ends": [], "ready": 0, "warm": 0}
    lock, began = threading.Lock(), time.monotonic() + 0.2

    def converse(number: int) -> None:
        due = began + pace * number / talks
        for turn in range(turns):
            text, reply = texts[(number + turn) % len(texts)]
            time.sleep(max(0.0, due - time.monotonic()))
            at = time.perf_counter()
            ready = talker.begin(number, text)
            start = time.perf_counter() - at
            time.sleep(max(0.0, due + pace / 3 - time.monotonic()))
            at = time.perf_counter()
            talker.end(number, text, reply)
            end = time.perf_counter() - at
            with lock:
                found["starts"].append(start)
                found["ends"].append(end)
                found["warm"] += turn > 0
                found["ready"] += turn > 0 and ready
            due += pace

    threads = [threading.Thread(target=converse, args=(n,)) for n in range(talks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def handlers(open_talker: Any) -> dict[str, Any]:
    """Give what such a process answers: `open` first, then `turns` and `talk`."""
    state: dict[str, Any] = {}

    def opened(talks: int, texts: list[list[str]]) -> None:
        state["texts"], state["talker"] = texts, open_talker(talks)

    return {
        "open": opened,
        "turns": lambda **options: turns(state["talker"], state["texts"], **options),
        "talk": lambda **options: talk(state["talker"], state["texts"], **options),
    }
