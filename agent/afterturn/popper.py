"""Popper: the agent's own connection to Redis, for results that wait there and asks that are made."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.retry import Retry

from afterturn.breaker import Breaker
from afterturn.commands import getdel
from afterturn.wire import bulks
from afterturn_models.asks import awaited_key
from afterturn_models.errors import ConfigurationError
from afterturn_models.prefetched import result_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

log = logging.getLogger("afterturn.popper")

T = TypeVar("T")

_IDLE = 16  # connections that are kept for pops
_TIMEOUT = 0.25  # seconds that a look may take; a Redis that is slower counts as away


class _Line(NamedTuple):
    """A connection, and how to read from its socket; None where redis-py's parser is to."""

    connection: Any
    recv: Callable[[int], bytes] | None


class Flight(NamedTuple):
    """Commands that were sent, and whose answers were not read yet; `fresh`: on a new connection."""

    line: _Line
    commands: bytes
    answers: int
    fresh: bool


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
                protocol=2,  # no answer but to what was asked, and nothing of it unasked
            )
        except ValueError:
            raise ConfigurationError(
                "the Redis URL cannot be read; it has the form redis://host:6379/0"
            ) from None  # the cause may quote a piece of the password
        self._idle: deque[_Line] = deque(maxlen=_IDLE)
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
        commands = b"".join([getdel(task_id) for task_id in task_ids])
        return self.answers(self.ask(commands, len(task_ids))) or [None] * len(task_ids)

    def ask(self, commands: bytes, count: int) -> Flight | None:
        """Send so many commands at once, whose answers are texts or nil, and do not wait for them.

        On redis-py's connections, without its pipeline and its pool, which alone took a fifth of
        the round trip: that is all that a turn waits for. None where Redis is away.
        """
        if self._breaker.open:
            return None
        try:
            return self._sent(commands, count)
        except RedisError as error:
            self._leave_alone(error)
            return None

    def answers(self, flight: Flight | None) -> list[bytes | None] | None:
        """Read what came of `ask`: each answer, None for nil; None in all where Redis is away.

        A connection that the server closed meanwhile is noticed by its use, and a new one asked.
        """
        if flight is None:
            return None
        try:
            return self._read(flight)
        except RedisError as error:
            self._leave_alone(error)
            return None

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
            self._idle.pop().connection.disconnect()

    def _sent(self, commands: bytes, count: int) -> Flight:
        try:
            line = self._idle.pop()
            line.connection.send_packed_command([commands])
        except (IndexError, RedisConnectionError):
            return Flight(self._connected(commands), commands, count, fresh=True)
        return Flight(line, commands, count, fresh=False)

    def _connected(self, commands: bytes) -> _Line:
        connection: Any = self._redis.connection_pool.make_connection()
        connection.send_packed_command([commands])
        # The socket has no public name. Where it has another one day, or where the URL asks for
        # RESP3, redis-py reads the answers itself, and a turn only begins some microseconds later.
        socket = getattr(connection, "_sock", None)
        if socket is None or str(connection.get_protocol()) != "2":
            return _Line(connection, None)
        return _Line(connection, socket.recv)

    def _read(self, flight: Flight) -> list[bytes | None]:
        try:
            found = _answers(flight.line, flight.answers)
        except RedisConnectionError:
            if flight.fresh:
                raise
            flight = Flight(self._connected(flight.commands), flight.commands, flight.answers, True)
            found = _answers(flight.line, flight.answers)
        self._idle.append(flight.line)
        return found

    def _call(self, said: Callable[[], T]) -> T | None:
        if self.away:
            return None
        try:
            return said()
        except RedisError as error:
            self._leave_alone(error)
            return None

    def _leave_alone(self, error: RedisError) -> None:
        log.warning("Redis does not answer, turns start cold until it does: %s", error)
        self._breaker.trip()


def _answers(line: _Line, count: int) -> list[bytes | None]:
    connection, recv = line
    try:
        if recv is not None:
            return bulks(recv, count, seconds=_TIMEOUT)
        return [connection.read_response() for _ in range(count)]
    except BaseException:
        connection.disconnect()  # what was not read yet would be taken for the next answer
        raise
