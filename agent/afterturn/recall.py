"""Recall: prefetched results popped in one round trip, and what of them is new."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from afterturn.breaker import Breaker
from afterturn_models.errors import ConfigurationError
from afterturn_models.prefetched import context_task_id, decode, dialectic_task_id, result_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from afterturn_models.prefetched import Prefetched
    from afterturn_models.values import ContextResult

log = logging.getLogger("afterturn.recall")

_TIMEOUT = 0.25  # seconds that a pop may take; a Redis that is slower counts as away
_TURNS = 3  # turns whose results are still waited for: older ones would be stale


@dataclass(frozen=True, slots=True)
class Recall:
    """What a turn recalls: context and dialectic, each with the turn after which it was fetched."""

    context: ContextResult | None = None
    dialectic: str | None = None
    context_turn: int = 0
    dialectic_turn: int = 0


class Popper:
    """The agent's own connection to the Redis backend, for destructive reads."""

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
        self._breaker = Breaker("redis", self._redis.ping)

    @property
    def away(self) -> bool:
        """Tell whether Redis is left alone until it answers a probe."""
        return self._breaker.open

    def pop(self, task_ids: Sequence[str]) -> list[bytes | None]:
        """Take the results of `task_ids`: one pipeline of GETDELs, one round trip.

        Gives each raw result, None where there is none, and none at all where Redis is away.
        """
        if not task_ids or self.away:
            return [None] * len(task_ids)
        try:
            pipeline: Any = self._redis.pipeline(transaction=False)
            for task_id in task_ids:
                pipeline.getdel(result_key(task_id))
            found: list[bytes | None] = pipeline.execute()
        except RedisError as error:
            log.warning("Redis does not answer, turns start cold until it does: %s", error)
            self._breaker.trip()
            return [None] * len(task_ids)
        return found

    def forked(self) -> None:
        """Go on in a forked child; its connection is its own, redis-py sees to that."""
        self._breaker.forked()

    def close(self) -> None:
        """Close the connection."""
        self._breaker.close()
        self._redis.close()


class Awaited:
    """The results that one session still waits for, and the newest that it had.

    Its lock is its own, and held for a round trip at most: a turn that ends in one thread does
    not wait for another thread's turn that begins, and may wait for its recall.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._contexts: list[int] = []
        self._dialectics: list[int] = []
        self._context_turn = 0
        self._dialectic_turn = 0

    def expect(self, turn: int) -> None:
        """Wait for what is fetched after `turn`."""
        with self._lock:
            self._contexts = sorted({*self._contexts, turn})[-_TURNS:]
            self._dialectics = sorted({*self._dialectics, turn})[-_TURNS:]

    def pop(self, popper: Popper, session_id: UUID, *, about: str | None = None) -> Recall | None:
        """Take what has come; None where nothing newer than before has.

        In a shared chat the one who speaks now may not be the one who spoke last: what was
        fetched about another peer than `about` is dropped, and reaches nobody's prompt.
        """
        with self._lock:
            return self._pop(popper, session_id, about)

    def _pop(self, popper: Popper, session_id: UUID, about: str | None) -> Recall | None:
        ids = [context_task_id(session_id, turn) for turn in self._contexts]
        ids += [dialectic_task_id(session_id, turn) for turn in self._dialectics]
        found = popper.pop(ids)
        contexts, dialectics = found[: len(self._contexts)], found[len(self._contexts) :]
        context = _newest(self._contexts, contexts, self._context_turn, about)
        dialectic = _newest(self._dialectics, dialectics, self._dialectic_turn, about)
        self._contexts = _still_awaited(self._contexts, contexts)
        self._dialectics = _still_awaited(self._dialectics, dialectics)
        if context is None and dialectic is None:
            return None
        self._context_turn = context.turn if context else self._context_turn
        self._dialectic_turn = dialectic.turn if dialectic else self._dialectic_turn
        return Recall(
            context=context.context if context else None,
            dialectic=dialectic.dialectic if dialectic else None,
            context_turn=context.turn if context else 0,
            dialectic_turn=dialectic.turn if dialectic else 0,
        )

    def forked(self) -> None:
        """Let a forked child go on, whatever thread of its parent held the lock."""
        self._lock = threading.RLock()

    @property
    def waiting(self) -> bool:
        """Tell whether anything may still come."""
        return bool(self._contexts or self._dialectics)


def _newest(
    turns: list[int], found: Sequence[bytes | None], after: int, about: str | None
) -> Prefetched | None:
    """Give the newest result about this peer that says something and is newer than turn `after`."""
    results = [(turn, decode(raw)) for turn, raw in zip(turns, found, strict=True)]
    # One that names another turn than its key does is no result of ours.
    fit = [r for turn, r in results if r is not None and r.turn == turn > after]
    if about is not None:
        fit = [result for result in fit if result.about in {about, None}]
    return max(fit, key=lambda result: result.turn, default=None)


def _still_awaited(turns: list[int], found: Sequence[bytes | None]) -> list[int]:
    """Keep the turns newer than the newest that has come, whatever it had to say."""
    come = max((t for t, raw in zip(turns, found, strict=True) if raw is not None), default=0)
    return [turn for turn in turns if turn > come]
