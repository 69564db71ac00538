"""The whole stack on one machine: what is not configured from outside, then workers and Flower."""

from __future__ import annotations

import os
import re
import socket
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.request import ProxyHandler, build_opener, getproxies

from afterturn.cli.processes import made_login
from afterturn_models.db import Database
from afterturn_models.errors import AfterturnError
from afterturn_models.migrate import migrate
from afterturn_models.store.workers import workers
from afterturn_sandbox.announcement import announce, prepare, withdraw
from afterturn_sandbox.errors import SandboxError
from afterturn_sandbox.ports import LOOPBACK, free_port
from afterturn_sandbox.postgres import EmbeddedPostgres
from afterturn_sandbox.processes import Event, EventKind, Supervised, Supervisor
from afterturn_sandbox.valkey import EmbeddedValkey

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from afterturn_sandbox.embedded import EmbeddedServer

_FLOWER_PORT = 5555
_PROBLEMS = re.compile(r'"level": "(warning|error|critical)"|Traceback|\bERROR\b|\bCRITICAL\b')
_GRACE = 75.0  # longer than the longest request of a worker
STOPPED_WITHIN = _GRACE + 75.0  # and then the servers
# What answers here is on loopback: no proxy of the environment stands in between.
_opener = build_opener(ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class StackOptions:
    """What to run: URLs that are given are used as they are, what is None is started here."""

    home: Path
    database_url: str | None = None
    redis_url: str | None = None
    honcho_url: str | None = None
    workers: int = 1
    concurrency: int = 16
    flower: bool = True
    flower_port: int | None = None
    honcho_latency_ms: float = 0.0
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Part:
    """One row of the table: what runs where; `where` never shows a password."""

    name: str
    where: str
    kind: str


class Stack:
    """Everything that `up` and `demo` start; made ready by `start`, ended by `stop`."""

    def __init__(self, options: StackOptions, on_event: Callable[[Event], None]) -> None:
        self.options = options
        self.parts: list[Part] = []
        self.database_url = options.database_url or ""
        self.redis_url = options.redis_url or ""
        self.honcho_url = options.honcho_url or ""
        self.flower_url = ""
        self._servers: list[EmbeddedServer] = []
        self._on_event = on_event
        self._supervisor = Supervisor(state_path(options.home), on_event)
        self._logs = options.home / "logs"

    def start(self) -> None:
        """Start everything and wait until each part answers.

        Raises SandboxError, or another AfterturnError, with one sentence; then what was started
        is stopped again.
        """
        prepare(self.options.home)
        try:
            self._supervisor.open()
            withdraw(self.options.home, former=True)
            self._check_flower_port()
            self._start_servers()
            migrate(self.database_url)
            self._start_honcho()
            # Side by side: a worker is mostly imports until it answers, and so they use every core.
            self._supervisor.start(*self._workers())
            # After them: Flower lists only the workers that it finds when it starts.
            self._supervisor.start(*self._flower())
            announce(self.options.home, self._where())
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything, workers first, the servers that they need last."""
        withdraw(self.options.home)
        self._supervisor.stop()
        while self._servers:
            self._servers.pop().stop()

    def look_after(self, stopping: threading.Event, every: float = 1.0) -> None:
        """Start embedded servers again that die, until `stopping` is set."""
        while not stopping.wait(every):
            for server in self._servers:
                if not server.alive:
                    self._on_event(Event(EventKind.DIED, server.name, "it is started again"))
                    self._restart(server)

    def worker_env(self) -> dict[str, str]:
        """Give the environment in which commands and workers find this stack."""
        return {
            **self.options.env,
            "AFTERTURN_HOME": str(self.options.home),
            "AFTERTURN_DATABASE_URL": self.database_url,
            "AFTERTURN_REDIS_URL": self.redis_url,
            "AFTERTURN_HONCHO_URL": self.honcho_url,
            # Celery prefers these variables to its configuration, and they may be another project's.
            "CELERY_BROKER_URL": self.redis_url,
            "CELERY_RESULT_BACKEND": self.redis_url,
            "BROKER_URL": self.redis_url,
            "RESULT_BACKEND": self.redis_url,
            **_direct_loopback(),
        }

    def _restart(self, server: EmbeddedServer) -> None:
        try:
            server.start()
        except SandboxError as error:
            self._on_event(Event(EventKind.PROBLEM, server.name, str(error)))

    def _start_servers(self) -> None:
        home = self.options.home
        if self.options.database_url:
            self._external("Postgres", self.database_url)
        else:
            self.database_url = self._embed(EmbeddedPostgres(home / "postgres"))
        if self.options.redis_url:
            self._external("Redis", self.redis_url)
        else:
            self.redis_url = self._embed(EmbeddedValkey(home / "valkey"))

    def _embed(self, server: EmbeddedServer) -> str:
        url = server.start()
        self._servers.append(server)
        self.parts.append(Part(server.name, f"127.0.0.1:{server.port}", "embedded"))
        return url

    def _external(self, name: str, url: str) -> None:
        where = re.sub(r"^[a-z0-9+]+://([^@/]*@)?", "", url).split("?")[0]
        self.parts.append(Part(name, where, "configured"))

    def _start_honcho(self) -> None:
        if self.options.honcho_url:
            self._external("Honcho", self.honcho_url)
            return
        port = free_port()
        self.honcho_url = f"http://127.0.0.1:{port}"
        command = ["--port", str(port), "--data", str(self.options.home / "honcho")]
        if self.options.honcho_latency_ms:
            command += ["--latency-ms", str(self.options.honcho_latency_ms)]
        self._supervisor.start(
            self._supervised(
                "honcho",
                ["-m", "afterturn_sandbox.honcho", *command],
                lambda: _answers(f"{self.honcho_url}/health"),
            )
        )
        self.parts.append(Part("Honcho", self.honcho_url, "stand-in, no language model"))

    def _workers(self) -> list[Supervised]:
        return [self._worker(f"worker{n}") for n in range(1, self.options.workers + 1)]

    def _worker(self, name: str) -> Supervised:
        node = f"{name}@{socket.gethostname()}"
        self.parts.append(Part(name, f"{self.options.concurrency} threads", "Celery worker"))
        return self._supervised(
            name,
            ["-m", "celery", "-A", "afterturn_worker.app", "worker", "--hostname", node]
            + ["--pool", "threads", "--concurrency", str(self.options.concurrency)]
            + ["--without-mingle", "--without-gossip"],
            lambda: self._beats(name, node),
            grace=_GRACE,
        )

    def _flower(self) -> list[Supervised]:
        if not self.options.flower:
            return []
        port = self.options.flower_port or free_port(_FLOWER_PORT)
        self.flower_url = f"http://{LOOPBACK}:{port}"
        login = os.environ.get("AFTERTURN_FLOWER_AUTH") or made_login(self.options.home)
        self.parts.append(
            Part("Flower", self.flower_url, f"login in {self.options.home / 'flower-login'}")
        )
        return [
            self._supervised(
                "flower",
                ["-m", "celery", "-A", "afterturn_worker.app", "flower"]
                + [f"--address={LOOPBACK}", f"--port={port}"],
                lambda: _answers(f"{self.flower_url}/healthcheck"),
                env={"FLOWER_BASIC_AUTH": login, "FLOWER_UNAUTHENTICATED_API": "false"},
            )
        ]

    def _check_flower_port(self) -> None:
        port = self.options.flower_port if self.options.flower else None
        if port is not None and free_port(port) != port:
            raise SandboxError(
                f"Flower cannot listen on {LOOPBACK}:{port}, which is taken; choose another "
                "--flower-port, or leave it out for one that is free"
            )

    def _supervised(
        self,
        name: str,
        command: list[str],
        ready: Callable[[], bool],
        *,
        grace: float = 10.0,
        env: Mapping[str, str] | None = None,
    ) -> Supervised:
        return Supervised(
            name=name,
            argv=[sys.executable, *command],
            log_path=self._logs / f"{name}.log",
            ready=ready,
            env={**self.worker_env(), **(env or {})},
            cwd=self.options.home,  # no folder called alembic or agent stands in the way here
            grace=grace,
            problems=_PROBLEMS,
        )

    def _beats(self, name: str, node: str) -> bool:
        """Tell whether the worker that runs now takes tasks; a killed one's row does not count."""
        pid = self._supervisor.pids().get(name)
        database = Database(self.database_url, pool_size=1, name="afterturn-up")
        try:
            with database.statement() as connection:
                return any(
                    (w.name, w.pid) == (node, pid) and w.beat_age is not None
                    for w in workers(connection)
                )
        except AfterturnError:
            return False
        finally:
            database.close()

    def _where(self) -> dict[str, str]:
        return {
            "databaseUrl": self.database_url,
            "redisUrl": self.redis_url,
            "honchoUrl": self.honcho_url,
            "flowerUrl": self.flower_url,
        }


def state_path(home: Path) -> Path:
    """Give the file that remembers what a stack under `home` has started."""
    return home / "run" / "stack.state"


def _direct_loopback() -> dict[str, str]:
    """Let processes that go through the environment's proxy go past it to what runs here."""
    beside = ",".join(filter(None, [getproxies().get("no"), LOOPBACK]))
    return {"no_proxy": beside, "NO_PROXY": beside}


def _answers(url: str) -> bool:
    try:
        with _opener.open(url, timeout=2):
            return True
    except OSError:
        return False
