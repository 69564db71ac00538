"""Popper: the agent's own connection to Redis, for results that wait there and asks that are made."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.retry import Retry

from afterturn.breaker import Breaker
from afterturn_models.asks import awaited_key
from afterturn_models.errors import ConfigurationError
from afterturn_models.prefetched import result_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

log = logging.getLogger("afterturn.popper")

_IDLE = 16  # connections that are kept for pops
_TIMEOUT = 0.25  # seconds that a look may take; a Redis that is slower counts as away


class Popper:
    """Reads results destructively; after a failure Redis is left alone until it answers a probe."""

    def __init__(self, redis_url: str) -> None:
        """Connect to nothing yet; raises ConfigurationError for a URL that is none."""
        try:
            self._redis: Redis = Redis.from_url(
                redis_url,
                socket_timeout=_TIMEOUT,
                socket_connect_timeout=_TIMEOUT,
                retry=Retry(NoBackoff(), 0),
            )
        except ValueError:
            raise ConfigurationError(
                "the Redis URL cannot be read; it has the form redis://host:6379/0"
            ) from None  # the cause may quote a piece of the password
        self._idle: deque[Any] = deque(maxlen=_IDLE)
        self._breaker = Breaker("redis", self._redis.ping)

    @property
    def away(self) -> bool:
        """Tell whether Redis is left alone until it answers a probe."""
        return self._breaker.open

    def pop(self, task_ids: Sequence[str]) -> list[bytes | None]:
        """Take the results of `task_ids`: one pipeline of GETDELs, one round trip.

        Gives each raw result, None where there is none, and none at all where Redis is away.
        """
        if not task_ids:
            return []
        return self._call(lambda: self._popped(task_ids)) or [None] * len(task_ids)

    def await_ask(self, task_id: str, seconds: float) -> bool:
        """Say that the ask `task_id` is waited for, for so long on Redis' own clock.

        False where Redis is away: nobody would answer.
        """
        key, life = awaited_key(task_id), max(1, int(seconds * 1000))
        return bool(self._call(lambda: self._redis.set(key, 1, px=life)))

    def holds(self, task_ids: Sequence[str]) -> bool:
        """Tell whether a result of `task_ids` waits; False where Redis is away."""
        keys = [result_key(task_id) for task_id in task_ids]
        return bool(self._call(lambda: self._redis.exists(*keys)))

    def forked(self) -> None:
        """Go on in a forked child, which leaves its parent's connections alone."""
        self._breaker.forked()
        self._idle = deque(maxlen=_IDLE)

    def close(self) -> None:
        """Close every connection."""
        self._breaker.close()
        self._redis.close()
        while self._idle:
            self._idle.pop().disconnect()

    def _popped(self, task_ids: Sequence[str]) -> list[bytes | None]:
        """Send the GETDELs at once, then read what they gave.

        On redis-py's connections, without its pipeline and its pool, which alone took a fifth of
        the round trip: that is all that a turn waits for. One that the server closed meanwhile is
        noticed by its use, and a new one asked.
        """
        wanted = b"".join([_getdel(result_key(task_id)) for task_id in task_ids])
        try:
            return self._exchanged(self._idle.pop(), wanted, len(task_ids))
        except (IndexError, RedisConnectionError):
            connection = self._redis.connection_pool.make_connection()
            return self._exchanged(connection, wanted, len(task_ids))

    def _exchanged(self, connection: Any, wanted: bytes, count: int) -> list[bytes | None]:
        try:
            connection.send_packed_command([wanted])
            found = [connection.read_response() for _ in range(count)]
        except BaseException:
            connection.disconnect()  # what was not read yet would be taken for the next answer
            raise
        self._idle.append(connection)
        return found

    def _call(self, command: Callable[[], Any]) -> Any:
        if self.away:
            return None
        try:
            return command()
        except RedisError as error:
            log.warning("Redis does not answer, turns start cold until it does: %s", error)
            self._breaker.trip()
            return None


def _getdel(key: str) -> bytes:
    """Give the command as Redis reads it; keys are ours, of ASCII."""
    return b"*2\r\n$6\r\nGETDEL\r\n$%d\r\n%s\r\n" % (len(key), key.encode())
