"""A rig: servers, workers and an agent as real processes, with a line between each two of them."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
import redis
from celery import Celery
from psycopg.rows import dict_row

from afterturn_models.broker import celery_config
from afterturn_models.migrate import migrate
from afterturn_sandbox.postgres import EmbeddedPostgres
from afterturn_sandbox.valkey import EmbeddedValkey
from support.faults.agent import Plan
from support.faults.lines import Line, Loop
from support.faults.processes import Agent, StandIn, Timing, Worker
from support.waiting import eventually
from support.workers import WorkerProcess

TESTS = Path(__file__).parents[2]
SKEW = Path(__file__).with_name("skew")


@dataclass(eq=False)
class Rig:
    """Everything that runs; used in a `with` block, and for many schedules one after the other."""

    folder: Path
    timing: Timing = field(default_factory=Timing)

    def __enter__(self) -> Self:
        """Start the servers; no worker yet."""
        self.folder.mkdir(exist_ok=True)
        self.loop = Loop()
        self.workers: list[Worker] = []
        self._agents: list[Agent] = []
        self.postgres = EmbeddedPostgres(self.folder / "postgres")  # durable: it is killed, too
        self.valkey = EmbeddedValkey(self.folder / "valkey")
        self.honcho = StandIn(self.folder)
        self.postgres.start()
        self.valkey.start()
        self.honcho.start()
        migrate(self.postgres.url)
        self.agent_lines = {
            "postgres": Line(self.loop, self.postgres.url),
            "redis": Line(self.loop, self.valkey.url),
        }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End everything."""
        for agent in self._agents:
            agent.stop()
        self.crew(0)
        self.each_line(Line.refuse)
        self.honcho.stop()
        self.valkey.stop()
        self.postgres.stop()
        self.loop.close()

    def crew(self, count: int, shifts: Mapping[int, float] | None = None) -> list[Worker]:
        """Have so many workers run; `shifts` puts the clocks of new ones off, by place."""
        while len(self.workers) > count:
            worker = self.workers.pop()
            worker.signal(signal.SIGCONT)
            worker.process.kill()
            for line in worker.lines.values():
                line.refuse()
        new = [self._worker(n, (shifts or {}).get(n, 0.0)) for n in range(len(self.workers), count)]
        self.workers += new
        for worker in new:
            self.ready(worker)
        return self.workers

    def ready(self, worker: Worker) -> None:
        """Wait until a task has reached the process that is there now: a killed one's row stays."""
        eventually(
            lambda: self.query(
                "SELECT pid FROM workers WHERE name = %(name)s AND pid = %(pid)s AND beat_at IS NOT NULL",
                name=worker.process.name,
                pid=worker.process.pid,
            ),
            within=60,
        )

    def tend(self) -> None:
        """Start again what has died, as a supervisor would."""
        for worker in self.workers:
            if not worker.process.running():
                worker.process = self._process(worker.name, worker.env)

    def agent(self, workspace: str, plan: Plan, *program: str) -> Agent:
        """Make an agent of its own home; it is not started yet."""
        home = self.folder / f"home-{workspace}"
        home.mkdir(exist_ok=True)
        plan.write(home / "plan.json")
        env = {
            **os.environ,
            "PYTHONPATH": _path(TESTS),
            "AFTERTURN_HOME": str(home),
            "AFTERTURN_WORKSPACE": workspace,
            "AFTERTURN_DATABASE_URL": self.agent_lines["postgres"].url,
            "AFTERTURN_REDIS_URL": self.agent_lines["redis"].url,
        }
        command = [sys.executable, *(program or ("-m", "support.faults.agent"))]
        made = Agent([*command, str(home / "plan.json")], env, plan, home / "agent.log", home)
        self._agents.append(made)
        return made

    def query(self, statement: str, **parameters: Any) -> list[dict[str, Any]]:
        """Run a statement, past every line."""
        with psycopg.connect(self.postgres.url, autocommit=True, row_factory=dict_row) as there:
            cursor = there.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def flush_redis(self) -> None:
        """Empty Redis."""
        with redis.Redis.from_url(self.valkey.url) as client:
            client.flushall()

    def publish(self, name: str, **arguments: Any) -> None:
        """Send a task by its name, past every line."""
        with self.publisher() as app:
            app.send_task(name, kwargs=arguments, ignore_result=True, retry=False)

    def publisher(self) -> Celery:
        """Give a Celery app that can send; to be used in a `with` block."""
        app = Celery("twin", set_as_current=False)
        app.conf.update(celery_config(self.valkey.url))
        return app

    def restart(self, server: EmbeddedPostgres | EmbeddedValkey, *, kill: bool) -> None:
        """End a server, in good order or at once, and start it again on its port and its data."""
        if kill and server.pid is not None:
            os.kill(server.pid, signal.SIGKILL)
            eventually(lambda: not server.alive, within=10)
        else:
            server.stop()
        server.start()
        # On another port where its own was not free again at once; its clients keep theirs.
        for lines in self._lines():
            lines["postgres" if server is self.postgres else "redis"].aim(server.url)

    def each_line(self, act: Callable[[Line], None]) -> None:
        """Do something to every line."""
        for lines in self._lines():
            for line in lines.values():
                act(line)

    def _lines(self) -> list[dict[str, Line]]:
        return [self.agent_lines, *(worker.lines for worker in self.workers)]

    def _worker(self, number: int, shift: float) -> Worker:
        lines = {
            "postgres": Line(self.loop, self.postgres.url),
            "redis": Line(self.loop, self.valkey.url),
            "honcho": Line(self.loop, self.honcho.url),
        }
        env = {
            **self.timing.env(),
            "AFTERTURN_HOME": str(self.folder / "home-workers"),
            "AFTERTURN_DATABASE_URL": lines["postgres"].url,
            "AFTERTURN_REDIS_URL": lines["redis"].url,
            "HONCHO_URL": lines["honcho"].url,
        }
        if shift:
            env["FAULTS_CLOCK_SHIFT"] = str(shift)
            env["PYTHONPATH"] = _path(SKEW)
        name = f"w{number}"
        return Worker(name, lines, env, self._process(name, env))

    def _process(self, name: str, env: Mapping[str, str]) -> WorkerProcess:
        return WorkerProcess(name, env, self.folder / f"{name}.log")


def _path(first: Path) -> str:
    """Give a PYTHONPATH that begins with a folder; an empty part of it would be this one."""
    return os.pathsep.join(filter(None, [str(first), os.environ.get("PYTHONPATH")]))
