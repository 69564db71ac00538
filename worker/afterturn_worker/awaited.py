"""Awaited asks: the keys that agents leave in Redis while they wait, each taken by one worker.

What is taken is made, once; what cannot be taken, nobody waits for or another worker is making.
"""

from __future__ import annotations

from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from afterturn_models.asks import awaited_key

_TIMEOUT = 2.0
_MARGIN = 0.1  # of the time left, for the answer's way back
_MOST_MARGIN = 0.5  # seconds


class Awaited:
    """Takes the keys of asks; one a process, safe between threads."""

    def __init__(self, redis_url: str) -> None:
        """Connect to nothing yet."""
        self._redis: Redis = Redis.from_url(
            redis_url,
            socket_timeout=_TIMEOUT,
            socket_connect_timeout=_TIMEOUT,
            # A connection that the server closed meanwhile is tried once more. Where the first
            # try did take the key, the second finds none: the ask is not made, never made twice.
            retry=Retry(NoBackoff(), 1),
        )

    def take(self, task_id: str) -> float | None:
        """Take the ask `task_id`; gives the seconds in which it is to be answered.

        They are what is left to the agent, on Redis' own clock, without what the answer needs to
        get there. None where nobody waits for it (any more), where another worker has taken it,
        and where Redis does not answer: the answer would not arrive either.
        """
        key = awaited_key(task_id)
        try:
            pipeline: Any = self._redis.pipeline(transaction=True)
            left, taken = pipeline.pttl(key).delete(key).execute()
        except RedisError:
            return None
        if not taken or left <= 0:
            return None
        seconds = left / 1000
        return float(seconds - min(_MOST_MARGIN, seconds * _MARGIN))

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()
