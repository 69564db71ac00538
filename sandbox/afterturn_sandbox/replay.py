"""The demo's conversations: many at a time on one thread, each at the pace of people."""

from __future__ import annotations

import heapq
import itertools
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from afterturn import Memory, Session
    from afterturn_sandbox.dialogues import Dialogue, DialogueTurn


@dataclass(slots=True)
class Replay:
    """What was measured; times in seconds."""

    turns: int = 0
    messages: int = 0
    spooled: int = 0
    warm: int = 0  # turns that could be warm: all but each conversation's first
    hits: int = 0
    starts: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    block: str = ""  # one prompt block as an agent saw it
    sessions: dict[str, Session] = field(default_factory=dict)


def replay(
    memory: Memory,
    dialogues: Sequence[Dialogue],
    *,
    at_a_time: int,
    pace: float,
    progress: Callable[[], None],
) -> Replay:
    """Hold every dialogue, `at_a_time` of them at once; each turn takes `pace` seconds.

    A third of that is the model's, between begin and end, the rest the user's, who reads and
    writes before the next one.
    """
    found = Replay()
    waiting = (_converse(memory, dialogue, pace, found, progress) for dialogue in dialogues)
    order = itertools.count()
    now = time.monotonic()
    # Spread the first turns, as people do not begin all at the same moment.
    going = [
        (now + pace * n / at_a_time, next(order), conversation)
        for n, conversation in enumerate(itertools.islice(waiting, at_a_time))
    ]
    heapq.heapify(going)
    while going:
        due, _, conversation = heapq.heappop(going)
        time.sleep(max(0.0, due - time.monotonic()))
        pause = next(conversation, None)
        following = conversation if pause is not None else next(waiting, None)
        if following is not None:
            heapq.heappush(going, (time.monotonic() + (pause or 0.0), next(order), following))
    return found


def _converse(
    memory: Memory,
    dialogue: Dialogue,
    pace: float,
    found: Replay,
    progress: Callable[[], None],
) -> Generator[float]:
    """Hold one dialogue; yields how long to wait before it goes on."""
    session = memory.session(name=dialogue.name)
    found.sessions[dialogue.name] = session
    for number, said in enumerate(dialogue.turns):
        yield from _turn(session, said, number, pace / 3, found)
        progress()
        yield pace * 2 / 3
    session.close()


def _turn(
    session: Session, said: DialogueTurn, number: int, pause: float, found: Replay
) -> Iterator[float]:
    began = time.perf_counter()
    turn = session.begin_turn(said.said)
    found.starts.append(time.perf_counter() - began)
    yield pause
    for role, content in said.between:
        turn.add(role, content)
    began = time.perf_counter()
    result = turn.end(said.reply)
    found.ends.append(time.perf_counter() - began)
    found.turns += 1
    found.messages += said.messages
    found.spooled += result.spooled
    found.warm += number > 0
    found.hits += number > 0 and bool(turn.context)
    found.block = max(found.block, turn.context, key=_telling)


def _telling(block: str) -> tuple[int, int]:
    """Rank blocks by how many sections they have, then by length."""
    return block.count("\n## "), len(block)
