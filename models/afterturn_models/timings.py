"""Timings: how long each stage took in a process, and the hashes in Redis where a fleet's add up.

What is kept there are counts by bucket, and no word of anybody. They are measurements and no truth:
Redis may be emptied, and a process that cannot write them loses what it measured meanwhile.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from afterturn_models.policy.timing_buckets import BOUNDS, Histogram

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

log = logging.getLogger("afterturn.timings")

AGENT, WORKER = "agent", "worker"
KEPT = 24 * 3600  # seconds after its last change for which a hash is kept
FLUSH_SECONDS = 5.0  # between two flushes of a process
_HOUR = 3600
_TIMEOUT = 0.5  # seconds that a flush may take
_AWAY = 30.0  # seconds for which a Redis that took none is not tried again
_PREFIX = "afterturn:timings"
_SUM = "sum"


def hash_key(role: str, workspace: str, hour: int | None) -> str:
    """Name the hash of a role: of one hour since 1970, or the total that only ever grows (None).

    Agents' are kept for each workspace; a worker serves all of them, and has one.
    """
    whose = f"{role}:{workspace}" if role == AGENT else role
    return f"{_PREFIX}:{whose}:{'total' if hour is None else hour}"


class StageTimes:
    """Histograms by stage: what this process measured, and what of it was not flushed yet.

    Safe between threads and after a fork.
    """

    def __init__(self) -> None:
        self.forked()

    def forked(self) -> None:
        """Start afresh in a forked child: what was measured is its parent's to tell."""
        self._lock = threading.RLock()
        self._all: defaultdict[str, Histogram] = defaultdict(Histogram)
        self._new: defaultdict[str, Histogram] = defaultdict(Histogram)

    def note(self, stage: str, duration: int) -> None:
        """Count one duration in nanoseconds."""
        with self._lock:
            self._all[stage].add(duration)
            self._new[stage].add(duration)

    def histograms(self) -> dict[str, Histogram]:
        """Give what was measured since the process began."""
        with self._lock:
            return {stage: found.copy() for stage, found in self._all.items()}

    def take(self) -> dict[str, Histogram]:
        """Take what was measured since it was last taken."""
        with self._lock:
            taken, self._new = self._new, defaultdict(Histogram)
            return taken


class Flusher:
    """Adds what a process measured to its fleet's; used by one thread, which may wait for it."""

    def __init__(self, redis_url: str, role: str, workspace: str = "") -> None:
        """Connect to nothing yet."""
        self._url = redis_url
        self._role, self._workspace = role, workspace
        self._redis: Redis | None = None
        self._away_until = -math.inf

    def flush(self, times: StageTimes) -> bool:
        """Write what is new; False where Redis did not take it.

        That one is left alone for a while then: it costs nobody more than half a second a time.
        """
        if time.monotonic() < self._away_until:
            return False
        try:
            self._redis = self._redis or connect(self._url, _TIMEOUT)
            self._redis.ping()  # first: what was taken and not written is lost, never written twice
            if taken := times.take():
                self._pipeline(self._redis, taken).execute()
        except (RedisError, ValueError) as error:
            self._away_until = time.monotonic() + _AWAY
            log.debug("timings not shared: %s", error)
            return False
        return True

    def close(self) -> None:
        """Close the connection."""
        if self._redis is not None:
            self._redis.close()
            self._redis = None

    def _pipeline(self, redis: Redis, taken: Mapping[str, Histogram]) -> Any:
        pipeline = redis.pipeline(transaction=False)
        for hour in (int(time.time()) // _HOUR, None):
            key = hash_key(self._role, self._workspace, hour)
            for field, count in _fields(taken):
                pipeline.hincrby(key, field, count)
            pipeline.expire(key, KEPT)
        return pipeline


def connect(redis_url: str, timeout: float) -> Redis:
    """Give a client that waits `timeout` seconds and tries once; raises ValueError for no URL."""
    client: Redis = Redis.from_url(
        redis_url,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
    )
    return client


def recent(redis: Redis, workspace: str, hours: int) -> dict[str, dict[str, Histogram]]:
    """Read by role and stage what was measured in this hour and the `hours` - 1 before it.

    Raises RedisError.
    """
    now = int(time.time()) // _HOUR
    # A machine whose clock is ahead of this one's already writes the next hour's.
    return _read(redis, workspace, [*range(now - hours + 1, now + 2)])


def totals(redis: Redis, workspace: str) -> dict[str, dict[str, Histogram]]:
    """Read by role and stage what was measured in all: counts that only grow. Raises RedisError."""
    return _read(redis, workspace, [None])


def _read(
    redis: Redis, workspace: str, hours: Iterable[int | None]
) -> dict[str, dict[str, Histogram]]:
    places = [(role, hour) for role in (AGENT, WORKER) for hour in hours]
    pipeline = redis.pipeline(transaction=False)
    for role, hour in places:
        pipeline.hgetall(hash_key(role, workspace, hour))
    found: dict[str, dict[str, Histogram]] = {AGENT: {}, WORKER: {}}
    for (role, _), fields in zip(places, pipeline.execute(), strict=True):
        for stage, histogram in _parsed(fields).items():
            found[role].setdefault(stage, Histogram()).merge(histogram)
    return found


def _fields(taken: Mapping[str, Histogram]) -> Iterable[tuple[str, int]]:
    for stage, histogram in taken.items():
        yield f"{stage}|{_SUM}", histogram.total
        for place, count in histogram.buckets.items():
            yield f"{stage}|{place}", count


def _parsed(fields: Mapping[bytes, bytes]) -> dict[str, Histogram]:
    """Read a hash; what is none of ours in it is passed over, since anybody may write to Redis."""
    found: defaultdict[str, Histogram] = defaultdict(Histogram)
    for name, value in fields.items():
        stage, _, part = name.decode(errors="replace").rpartition("|")
        if not stage or not value.isdigit():
            continue
        if part == _SUM:
            found[stage].total += int(value)
        elif part.isdecimal() and int(part) <= len(BOUNDS):
            found[stage].buckets[int(part)] = int(value)
    return found
