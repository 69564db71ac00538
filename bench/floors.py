"""The floor under each question: what the machine, its servers and libraries cost by themselves."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from honcho import Honcho, Peer, Session

from bench.harness import Contestant

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg
    from redis import Redis

    from bench.lab import Place

_TABLE = """
CREATE TABLE IF NOT EXISTS floor (id uuid PRIMARY KEY, session uuid NOT NULL, place bigint NOT NULL,
                                  content text NOT NULL, UNIQUE (session, place))
"""
GETDELS, INSERT, LPUSH = "two pipelined GETDELs", "two-row insert with commit", "one LPUSH"
_CONNECTIONS = 4
_ORM = "import sqlalchemy.orm, psycopg, redis"


def getdels(redis: Redis) -> Contestant:
    """Two GETDELs in a pipeline without MULTI: the least that popping two results can cost."""

    def put() -> None:
        redis.set("floor:1", "x" * 200)
        redis.set("floor:2", "x" * 200)

    def pop() -> None:
        pipeline = redis.pipeline(transaction=False)
        pipeline.getdel("floor:1")
        pipeline.getdel("floor:2")
        pipeline.execute()

    return Contestant(pop, put)


def insert(connection: psycopg.Connection, said: str, reply: str) -> Contestant:
    """Two rows in one statement that commits: the least that a durable turn can cost."""
    connection.execute(_TABLE)
    session, place = uuid.uuid4(), [0]

    def run() -> None:
        place[0] += 2
        connection.execute(
            "INSERT INTO floor VALUES (%s, %s, %s, %s), (%s, %s, %s, %s)",
            (uuid.uuid4(), session, place[0], said) + (uuid.uuid4(), session, place[0] + 1, reply),
        )

    return Contestant(run)


def lpush(redis: Redis) -> Contestant:
    """One LPUSH of 500 bytes: the least that a task by Redis can cost its sender."""
    return Contestant(
        lambda: redis.lpush("floor:list", "x" * 500), lambda: redis.delete("floor:list")
    )


def import_seconds(what: str) -> float:
    """Give the seconds that an import takes in a new interpreter, its start not counted."""
    timed = f"import time; b = time.perf_counter(); {what}; print(time.perf_counter() - b)"
    done = subprocess.run([sys.executable, "-c", timed], check=True, capture_output=True, text=True)
    return float(done.stdout)


def interpreter() -> None:
    """Start an interpreter that does nothing."""
    subprocess.run([sys.executable, "-c", "pass"], check=True)


def orm_import() -> str:
    """Give the import that an agent's own is held against."""
    return _ORM


def bare_rate(url: str, workspace: str, texts: list[tuple[str, str]], batches: int) -> float:
    """Give the messages a second that a stand-in takes in batches of 100 from bare connections."""
    bodies = [
        {"content": text, "peer_id": peer, "metadata": {"afterturn": str(uuid.uuid4())}}
        for turn in (texts * 50)[:50]
        for peer, text in zip(("user", "agent"), turn, strict=True)
    ]
    body = json.dumps({"messages": bodies}).encode()
    began = time.perf_counter()
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        done = [
            pool.submit(
                _post, url, f"/v3/workspaces/{workspace}/sessions/s{n}/messages", body, each
            )
            for n, each in enumerate([batches // _CONNECTIONS] * _CONNECTIONS)
        ]
        sent = sum(one.result() for one in done)
    return 100 * sent / (time.perf_counter() - began)


def _post(url: str, path: str, body: bytes, times: int) -> int:
    """Post the same body so often on one connection; gives how often."""
    where = urlsplit(url)
    assert where.hostname is not None
    connection = http.client.HTTPConnection(where.hostname, where.port or 80, timeout=30)
    try:
        for _ in range(times):
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            if answer.status >= 300:
                raise RuntimeError(f"the stand-in refused: {answer.status}")
    finally:
        connection.close()
    return times


class SdkBatches:
    """The SDK's own `add_messages` of batches of 100, on one kept client: a worker's CPU floor."""

    def __init__(self, place: Place, texts: list[tuple[str, str]]) -> None:
        self._honcho = Honcho(
            base_url=place.honcho_url, workspace_id=f"{place.name}-sdk", api_key="none"
        )
        self._texts = [text for turn in texts[:50] for text in turn][:100]
        self._peers = [Peer("user", self._honcho), Peer("agent", self._honcho)]

    def send(self, session: str, batches: int) -> float:
        """Send so many batches; gives the CPU seconds that it took this process."""
        kept = Session(session, self._honcho)
        began = time.process_time()
        for _ in range(batches):
            kept.add_messages(
                [
                    self._peers[n % 2].message(text, metadata={"afterturn": str(uuid.uuid4())})
                    for n, text in enumerate(self._texts)
                ]
            )
        return time.process_time() - began


def durable_folder(folder: Path) -> str:
    """Name the file system that Postgres writes to, which a commit waits for."""
    done = subprocess.run(
        ["df", "--output=fstype", str(folder)], check=False, capture_output=True, text=True
    )
    return done.stdout.split()[-1] if done.returncode == 0 and done.stdout.split() else "unknown"
