"""Counts, which no noise touches: Redis commands, SQL statements, HTTP calls, CPU, memory."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil
import psycopg
from redis import Redis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from afterturn_sandbox.honcho.control import Control

_OWN = {"info", "ping", "client|setinfo", "hello", "auth", "client|setname", "select"}


@dataclass(slots=True)
class Statements:
    """SQL statements of this process, and commits that were round trips of their own."""

    executed: int = 0
    commits: int = 0


@contextmanager
def statements() -> Iterator[Statements]:
    """Count what goes through psycopg in this process, whoever calls it."""
    found = Statements()
    execute, commit = psycopg.Cursor.execute, psycopg.Connection.commit

    def counted(self: Any, *args: Any, **options: Any) -> Any:
        found.executed += 1
        return execute(self, *args, **options)

    def committed(self: Any) -> None:
        if self.pgconn.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            found.commits += 1
        commit(self)

    psycopg.Cursor.execute, psycopg.Connection.commit = counted, committed  # type: ignore[method-assign]  # for a moment
    try:
        yield found
    finally:
        psycopg.Cursor.execute, psycopg.Connection.commit = execute, commit  # type: ignore[method-assign]  # as it was


@dataclass(slots=True)
class RedisWork:
    """What a Redis did: commands by name, and reads from its sockets, which are round trips."""

    commands: dict[str, int]
    reads: int

    @classmethod
    def of(cls, redis: Redis) -> RedisWork:
        """Read its counters."""
        said: Any = redis.info("commandstats")
        stats: Any = redis.info("stats")
        commands = {name.removeprefix("cmdstat_"): one["calls"] for name, one in said.items()}
        return cls(commands, stats["total_reads_processed"])

    def since(self, before: RedisWork) -> RedisWork:
        """Give the difference, without what the counting itself asked."""
        changed = {
            name: calls - before.commands.get(name, 0)
            for name, calls in self.commands.items()
            if name not in _OWN and calls > before.commands.get(name, 0)
        }
        return RedisWork(changed, self.reads - before.reads - 2)


def per_call(
    call: Callable[[], object],
    *,
    redis_url: str,
    control: Control | None = None,
    times: int = 20,
    prepare: Callable[[], object] = lambda: None,
) -> dict[str, Any]:
    """Count what one call makes this process do, `prepare` not included, over `times` calls.

    Redis counts are of the whole server: nobody else is to use it meanwhile.
    """
    totals: dict[str, float] = {"sql_statements": 0, "sql_commits": 0, "redis_reads": 0, "http": 0}
    commands: dict[str, float] = {}
    with Redis.from_url(redis_url) as redis:
        for _ in range(times):
            prepare()
            before, sent = RedisWork.of(redis), http_calls(control)
            with statements() as found:
                call()
            done = RedisWork.of(redis).since(before)
            totals["sql_statements"] += found.executed
            totals["sql_commits"] += found.commits
            totals["redis_reads"] += done.reads
            totals["http"] += http_calls(control) - sent
            for name, count in done.commands.items():
                commands[name] = commands.get(name, 0) + count
    mean = {name: round(total / times, 2) for name, total in totals.items()}
    return {**mean, "redis_commands": {name: round(n / times, 2) for name, n in commands.items()}}


def http_calls(control: Control | None) -> int:
    """Count the requests that a stand-in has answered."""
    return sum(control.counters()["requests"].values()) if control else 0


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used: CPU in seconds, memory in MiB (resident, and its own alone)."""

    cpu: float
    rss: float
    uss: float

    @classmethod
    def of(cls, pid: int) -> Usage:
        """Read it of a running process."""
        process = psutil.Process(pid)
        times, memory = process.cpu_times(), process.memory_full_info()
        return cls(times.user + times.system, memory.rss / 2**20, memory.uss / 2**20)


def cpu_of(*pids: int) -> float:
    """Give the CPU seconds that processes have used so far."""
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids)
