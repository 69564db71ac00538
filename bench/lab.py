"""The laboratory: servers of its own, a clean database a question, workers and rivals on them."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeVar

import psycopg
from redis import Redis

from afterturn import Memory
from afterturn_models.migrate import migrate
from afterturn_sandbox.dialogues import shipped
from afterturn_sandbox.honcho.control import Control
from afterturn_sandbox.postgres import EmbeddedPostgres
from afterturn_sandbox.valkey import EmbeddedValkey
from bench.child import ROOT, Child
from bench.environment import hermes_python
from bench.workers import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

T = TypeVar("T")
LATENCY = 0.2  # seconds: what a Honcho elsewhere takes to answer
# Every dialectic question is asked: what a budget saves is no speed.
_UNBUDGETED = {
    f"AFTERTURN_DIALECTIC_{whose}PER_{span}": "0"
    for whose in ("CALLS_", "PEER_CALLS_")
    for span in ("HOUR", "DAY")
}


@dataclass(slots=True)
class Lab:
    """Servers that run as `afterturn up` runs them, on disk with fsync.

    `short` asks for a quick look: fewer rounds, smaller backlogs, the same questions.
    """

    folder: Path
    short: bool
    _postgres: str = ""
    _redis: str = ""
    _open: ExitStack = field(default_factory=ExitStack)
    _count: Iterator[int] = field(default_factory=itertools.count)

    def __enter__(self) -> Self:
        """Start Postgres and Valkey."""
        self._postgres = self._open.enter_context(EmbeddedPostgres(self.folder / "postgres")).url
        self._redis = self._open.enter_context(EmbeddedValkey(self.folder / "valkey")).url
        self._execute("CREATE DATABASE template")
        migrate(_named(self._postgres, "template"))
        return self

    def __exit__(self, *_: object) -> None:
        """Stop everything."""
        self._open.close()

    def rounds(self, full: int, short: int) -> int:
        """Give how often, by the mode of the run."""
        return short if self.short else full

    @contextmanager
    def place(self) -> Iterator[Place]:
        """Give a fresh database, an emptied Redis and a workspace of their own."""
        name = f"bench{next(self._count)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE template")
        with Redis.from_url(self._redis) as redis:
            redis.flushall()
        with ExitStack() as opened:
            yield Place(
                folder=self.folder,
                name=name,
                database_url=_named(self._postgres, name),
                redis_url=self._redis,
                opened=opened,
            )
        self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self._postgres, autocommit=True) as connection:
            connection.execute(statement)


@dataclass(slots=True)
class Place:
    """Where one question is answered; what is opened here is closed with it."""

    folder: Path
    name: str
    database_url: str
    redis_url: str
    opened: ExitStack
    honcho_url: str = ""
    _count: Iterator[int] = field(default_factory=itertools.count)

    def memory(self, **overrides: Any) -> Memory:
        """Open an agent's memory in this process."""
        settings = {
            "database_url": self.database_url,
            "redis_url": self.redis_url,
            "workspace": self.name,
        }
        return self.opened.enter_context(Memory.open(**{**settings, **overrides}))

    def redis(self) -> Redis:
        """Open a connection to Redis."""
        opened: Redis = self.opened.enter_context(Redis.from_url(self.redis_url))
        return opened

    def connection(self) -> psycopg.Connection:
        """Open a connection to Postgres on which each statement commits by itself."""
        return self.opened.enter_context(psycopg.connect(self.database_url, autocommit=True))

    def honcho(self, latency: float = 0.0) -> Control:
        """Start the stand-in for Honcho at which everything here looks; gives its control."""
        self.honcho_url = self.stand_in(latency)
        return Control(self.honcho_url)

    def stand_in(self, latency: float = 0.0) -> str:
        """Start a stand-in for Honcho that answers after `latency` seconds; gives its URL."""
        place = self.folder / f"{self.name}-honcho{next(self._count)}"
        ready = place.with_suffix(".json")
        process = subprocess.Popen(
            [sys.executable, "-m", "afterturn_sandbox.honcho", "--data", str(place)]
            + ["--ready-file", str(ready), "--latency-ms", str(latency * 1e3)],
            cwd=self.folder,
        )
        self.opened.callback(_end, process)
        until(ready.exists, within=60)
        url: str = json.loads(ready.read_text(encoding="utf-8"))["url"]
        return url

    def env(self, **more: str) -> dict[str, str]:
        """Give the environment in which ours and every rival find this place."""
        return {
            "AFTERTURN_DATABASE_URL": self.database_url,
            "AFTERTURN_REDIS_URL": self.redis_url,
            "AFTERTURN_HONCHO_URL": self.honcho_url,
            "AFTERTURN_WORKSPACE": self.name,
            **_UNBUDGETED,
            "BENCH_DATABASE_URL": self.database_url,
            "BENCH_REDIS_URL": self.redis_url,
            "BENCH_HONCHO_URL": self.honcho_url,
            "BENCH_WORKSPACE": f"{self.name}-rival",
            **more,
        }

    def worker(self, name: str = "w1", *, threads: int = 32, **env: str) -> Worker:
        """Start one of our workers, and wait until tasks reach it."""
        worker = Worker("afterturn_worker.app", name, self.env(**env), self.folder, threads)
        self.opened.callback(worker.stop)
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            asked = "SELECT 1 FROM workers WHERE name = %s AND pid = %s AND beat_at IS NOT NULL"
            until(
                lambda: (
                    worker.alive()
                    and connection.execute(asked, (worker.node, worker.pid)).fetchone()
                ),
                within=40,
            )
        return worker

    def rival_worker(self, app: str, *, threads: int = 32) -> Worker:
        """Start a worker of a rival's Celery app, and wait until it answers a ping."""
        worker = Worker(app, "rival", self.env(), self.folder, threads)
        self.opened.callback(worker.stop)
        worker.wait_for_ping(self.redis_url)
        return worker

    def child(self, module: str, **env: str) -> Child:
        """Start a contestant in a process of its own."""
        log = self.folder / f"{self.name}-{module.rpartition('.')[2]}.log"
        return self.opened.enter_context(Child(module, env=self.env(**env), log=log))

    def hermes(self) -> Child:
        """Start the Hermes provider, by the Python of its own environment.

        Raises RuntimeError where that environment could not be made.
        """
        home = self.folder / f"{self.name}-hermes"
        home.mkdir(exist_ok=True)
        env = self.env(HERMES_HOME=str(home), HOME=str(home))
        log = self.folder / f"{self.name}-hermes.log"
        python = hermes_python()
        return self.opened.enter_context(
            Child("bench.rivals.hermes", env=env, log=log, python=python)
        )


def until(condition: Callable[[], T], *, within: float, every: float = 0.02) -> T:
    """Call `condition` until it is true, and give what it gave; TimeoutError after `within` s."""
    deadline = time.monotonic() + within
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not so within {within:g} s: {condition}")
        time.sleep(every)
    return found


def hints_sent(memory: Memory, within: float = 0.05) -> None:
    """Wait until the hints of the turns before are out, as they are when people take their time."""
    memory._services.dispatcher.drain(within)  # noqa: SLF001 - no agent has to wait for that


def said() -> list[tuple[str, str]]:
    """Give what users said and agents answered in the dialogues that come with afterturn."""
    return [(turn.said, turn.reply) for talk in shipped() for turn in talk.turns if turn.reply]


def clean_environment(folder: Path, env: Mapping[str, str] | None = None) -> None:
    """Let nothing that is configured on this machine reach a measurement, above all no key."""
    foreign = ("AFTERTURN_", "HONCHO_", "CELERY_", "HERMES_", "PG", "BROKER_URL", "RESULT_BACKEND")
    for name in [*os.environ]:
        if name.startswith(foreign) or name.lower().endswith("_proxy"):
            del os.environ[name]
    os.environ.update(HOME=str(folder), AFTERTURN_HOME=str(folder), PYTHONPATH=str(ROOT))
    os.environ.update(env or {})


def _named(url: str, name: str) -> str:
    before, _, query = url.partition("?")
    return before.rpartition("/")[0] + f"/{name}" + (f"?{query}" if query else "")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)
