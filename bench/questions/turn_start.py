"""Does a warm turn begin at the price of its one round trip?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from afterturn_models.prefetched import (
    context_payload,
    context_task_id,
    dialectic_payload,
    dialectic_task_id,
    result_key,
)
from afterturn_models.values import ContextResult
from bench import floors, profiles
from bench.answers import Answer, Row, milliseconds
from bench.counts import per_call
from bench.harness import Contestant, interleave, p99, ratio
from bench.lab import said

if TYPE_CHECKING:
    import psycopg
    from redis import Redis

    from afterturn import Memory
    from bench.lab import Lab

TITLE = "A warm turn's start"
_OURS = "turn start, warm"
_CONTEXT = ContextResult("They live in Porto.", ("Prefers tea",), "It is brief.", "So far.")
_PROFILED = 100


def run(lab: Lab) -> Answer:
    """Measure it beside two pipelined GETDELs."""
    with lab.place() as place:
        redis = place.redis()
        ours = start(place.memory(), redis, place.connection())
        times = interleave(
            {_OURS: ours, floors.GETDELS: floors.getdels(redis)}, rounds=lab.rounds(150, 20)
        )
        counts = per_call(ours.run, redis_url=place.redis_url, prepare=ours.prepare)
        rows = [
            Row(_OURS, floors.GETDELS, ratio(times[_OURS], times[floors.GETDELS]), 1.3),
        ]
        tail = ratio(times[_OURS], times[floors.GETDELS], p99)
        answer = Answer(rows, {"ms": milliseconds(times), "p99_ratio": tail.value, "one": counts})
        if answer.missed:
            answer.profile = profiles.of(
                ours.run, prepare=ours.prepare, times=_PROFILED, title=TITLE
            )
    return answer


def start(memory: Memory, redis: Redis, connection: psycopg.Connection) -> Contestant:
    """Give a turn's start that finds what workers would have left for it."""
    session, turns = memory.session(name="bench-start"), iter(said() * 1_000)
    text, reply = next(turns)
    state: dict[str, Any] = {"turn": session.begin_turn(text), "reply": reply, "text": text}

    def prepare() -> None:
        """End the last turn, and put results where a worker's would be by the next one."""
        state["turn"].end(state["reply"])
        state["text"], state["reply"] = next(turns)
        leave_results(redis, connection, "bench-start")

    def begin() -> None:
        state["turn"] = session.begin_turn(state["text"])
        assert state["turn"].context

    return Contestant(begin, prepare)


def leave_results(redis: Redis, connection: psycopg.Connection, key: str) -> None:
    """Leave in Redis what workers would have fetched after a session's last turn."""
    asked = "SELECT id, turns FROM sessions WHERE key = %s"
    row = connection.execute(asked, (key,)).fetchone()
    assert row is not None
    for task_id, payload in (
        (context_task_id(*row), context_payload(row[1], _CONTEXT, about="user")),
        (dialectic_task_id(*row), dialectic_payload(row[1], "They prefer tea.", about="user")),
    ):
        meta = {"status": "SUCCESS", "result": payload, "task_id": task_id}
        redis.set(result_key(task_id), json.dumps(meta))
