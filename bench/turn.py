"""What a turn costs the agent: its start over two GETDELs, its end over a two-row insert."""

from __future__ import annotations

import json
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from redis import Redis

from afterturn import Memory
from afterturn_models.migrate import migrate
from afterturn_models.prefetched import (
    context_payload,
    context_task_id,
    dialectic_payload,
    dialectic_task_id,
    result_key,
)
from afterturn_models.values import ContextResult
from afterturn_sandbox.postgres import EmbeddedPostgres
from afterturn_sandbox.valkey import EmbeddedValkey
from bench.harness import Contestant, Times, interleave

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SAID = "Could you get me a reservation at P.f. Chang's in Corte Madera at afternoon 12?"
_REPLY = "Please confirm your reservation at P.f. Chang's in Corte Madera at 12 pm for 2."
_FLOOR_TABLE = """
CREATE TABLE floor (id uuid PRIMARY KEY, session uuid NOT NULL, place bigint NOT NULL,
                    content text NOT NULL, UNIQUE (session, place))
"""


@dataclass(frozen=True, slots=True)
class Servers:
    """A durable Postgres and a Valkey, for this measurement alone."""

    database_url: str
    redis_url: str


@contextmanager
def servers(folder: Path) -> Iterator[Servers]:
    """Run them as `afterturn up` does, on disk with fsync."""
    with EmbeddedPostgres(folder / "postgres") as postgres, EmbeddedValkey(folder / "v") as valkey:
        migrate(postgres.url)
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute(_FLOOR_TABLE)
        yield Servers(postgres.url, valkey.url)


def measure(running: Servers, *, rounds: int) -> dict[str, Times]:
    """Measure start and end of a warm turn, and the floor of each."""
    with (
        Memory.open(database_url=running.database_url, redis_url=running.redis_url) as memory,
        Redis.from_url(running.redis_url) as redis,
        psycopg.connect(running.database_url, autocommit=True) as connection,
    ):
        contestants = {
            **_starts(memory, redis, connection),
            **_ends(memory, connection),
        }
        return interleave(contestants, rounds=rounds)


def _starts(memory: Memory, redis: Redis, connection: psycopg.Connection) -> dict[str, Contestant]:
    session = memory.session(name="bench-start")
    state = {"turn": session.begin_turn(_SAID)}

    def prepare() -> None:
        """End the last turn, and put results where a worker's would be by the next one."""
        state["turn"].end(_REPLY)
        row = connection.execute(
            "SELECT id, turns FROM sessions WHERE key = 'bench-start'"
        ).fetchone()
        assert row is not None
        context = ContextResult("They live in Porto.", ("Prefers tea",), "It is brief.", "So far.")
        for task_id, payload in (
            (context_task_id(*row), context_payload(row[1], context, about="user")),
            (dialectic_task_id(*row), dialectic_payload(row[1], "They prefer tea.", about="user")),
        ):
            meta = {"status": "SUCCESS", "result": payload, "task_id": task_id}
            redis.set(result_key(task_id), json.dumps(meta))

    def begin() -> None:
        state["turn"] = session.begin_turn(_SAID)
        assert state["turn"].context

    def put_two() -> None:
        redis.set("floor:1", "x" * 200)
        redis.set("floor:2", "x" * 200)

    def pop_two() -> None:
        pipeline = redis.pipeline(transaction=False)
        pipeline.getdel("floor:1")
        pipeline.getdel("floor:2")
        pipeline.execute()

    return {
        "turn start, warm": Contestant(begin, prepare),
        "two pipelined GETDELs": Contestant(pop_two, put_two),
    }


def _ends(memory: Memory, connection: psycopg.Connection) -> dict[str, Contestant]:
    session = memory.session(name="bench-end")
    state = {"turn": session.begin_turn(_SAID), "place": 0}
    floor_session = uuid.uuid4()

    def prepare() -> None:
        state["turn"] = session.begin_turn(_SAID)

    def end() -> None:
        state["turn"].end(_REPLY)

    def insert() -> None:
        state["place"] += 2
        connection.execute(
            "INSERT INTO floor VALUES (%s, %s, %s, %s), (%s, %s, %s, %s)",
            (uuid.uuid4(), floor_session, state["place"], _SAID)
            + (uuid.uuid4(), floor_session, state["place"] + 1, _REPLY),
        )

    return {
        "turn end": Contestant(end, prepare),
        "two-row insert with commit": Contestant(insert),
    }
