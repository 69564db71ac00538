"""The pace at which all workers together send to a Honcho: a cap in flight, a rate, a pause.

It lives in Redis, so that every worker sees it. It is a courtesy and no truth: while Redis is away
or after it was emptied, requests go out unpaced, and Honcho's own 429 says when to stop.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
import uuid
from typing import TYPE_CHECKING, TypeVar

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.commands.core import Script

T = TypeVar("T")

log = logging.getLogger("afterturn.pace")

_TIMEOUT = 1.0
_AGAIN = 0.25  # seconds after which a full house is asked again
_AWAY = 5.0  # seconds for which a Redis that did not answer is not asked again
_QUIET = 60.0  # seconds between two words about it

# Redis' own clock counts, never a worker's. Requests are spaced evenly (GCRA without a burst): one
# number a Honcho, the time at which the next is due, and no second holds more than it may.
# Who has to wait is told a moment of its own, two for each request that may be sent, and so comes
# back about twice in all; it is no reservation. What can wait stands in a line of its own.
_ADMIT = """
local function text(number) return string.format('%.6f', number) end
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local cap, ttl, rate = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local again = tonumber(ARGV[5])
local first, step = 0, 0
local pause = tonumber(redis.call('GET', KEYS[1]) or '0')
if pause > now then first = pause end
if cap > 0 then
    redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
    step = again / cap
    if redis.call('ZCARD', KEYS[2]) >= cap then first = math.max(first, now + again) end
end
if rate > 0 then
    local due = tonumber(redis.call('GET', KEYS[3]) or '0')
    step = math.max(step, 0.5 / rate)
    if due > now + 0.000001 then first = math.max(first, due) end
end
if first > 0 then
    local turn = math.max(tonumber(redis.call('GET', KEYS[4]) or '0'), first)
    redis.call('SET', KEYS[4], text(turn + step), 'PX', math.ceil((turn + step - now) * 1000) + 1000)
    return text(turn - now)
end
if rate > 0 then
    redis.call('SET', KEYS[3], text(now + 1 / rate), 'PX', math.ceil(2000 / rate) + 1000)
end
if cap > 0 then
    redis.call('ZADD', KEYS[2], text(now + ttl), ARGV[4])
    redis.call('PEXPIRE', KEYS[2], math.ceil(ttl * 1000) + 1000)
end
return '0'
"""
_PAUSE = """
local clock = redis.call('TIME')
local till = clock[1] + clock[2] / 1000000 + tonumber(ARGV[1])
if till > tonumber(redis.call('GET', KEYS[1]) or '0') then
    redis.call('SET', KEYS[1], string.format('%.6f', till), 'PX',
               math.ceil(tonumber(ARGV[1]) * 1000) + 1000)
end
return 1
"""


class Pace:
    """Admits requests to the Honcho at one URL; shared by every worker on one Redis."""

    def __init__(
        self, redis_url: str, honcho_url: str, *, in_flight: int, per_second: float, held: float
    ) -> None:
        """Admit `in_flight` requests at once and `per_second` of them (0: any number).

        A place that a killed worker held is free again after `held` seconds.
        """
        self._redis: Redis = Redis.from_url(
            redis_url,
            socket_timeout=_TIMEOUT,
            socket_connect_timeout=_TIMEOUT,
            retry=Retry(NoBackoff(), 0),
        )
        name = hashlib.sha256(honcho_url.encode()).hexdigest()[:16]
        self._key = f"afterturn:pace:{name}"
        self._in_flight, self._per_second, self._held = in_flight, per_second, held
        self._admit: Script = self._redis.register_script(_ADMIT)
        self._pause: Script = self._redis.register_script(_PAUSE)
        self._away_until = self._quiet_until = -math.inf

    def admit(self, *, can_wait: bool = False) -> tuple[float, str]:
        """Ask to send one request: how many seconds to wait, 0 for go, and the place that it has.

        A place is given back with `leave`. What `can_wait` (a repair) stands in a line of its own,
        so that a turn never waits for all of it.
        """
        place, line = uuid.uuid4().hex, "bulk-line" if can_wait else "line"
        wait = self._ask(
            lambda: self._admit(
                keys=[self._under(what) for what in ("pause", "in-flight", "rate", line)],
                args=[self._in_flight, self._held, self._per_second, place, _AGAIN],
            ),
            "requests go out unpaced",
        )
        return (0.0, "") if wait is None else (float(wait), place)

    def leave(self, place: str) -> None:
        """Give a place back."""
        if not place or not self._in_flight:
            return
        self._ask(
            lambda: self._redis.zrem(self._under("in-flight"), place),
            f"a place in flight is free again in {self._held:g} s",
        )

    def pause(self, seconds: float) -> None:
        """Let no worker send for `seconds`: Honcho has asked for that."""
        self._ask(
            lambda: self._pause(keys=[self._under("pause")], args=[max(seconds, 0.0)]),
            "a pause is known to this worker only",
        )

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()

    def _under(self, what: str) -> str:
        return f"{self._key}:{what}"

    def _ask(self, call: Callable[[], T], otherwise: str) -> T | None:
        """Ask Redis, unless it was away a moment ago: no request is to wait for that each time."""
        if time.monotonic() < self._away_until:
            return None
        try:
            return call()
        except RedisError as error:
            now = time.monotonic()
            self._away_until = now + _AWAY
            if now >= self._quiet_until:
                self._quiet_until = now + _QUIET
                log.warning("%s, Redis does not answer: %s", otherwise, error)
            return None
