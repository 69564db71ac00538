"""The same plain app on dramatiq: the ORM, a message a message, results in Redis."""

from __future__ import annotations

import os
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend
from dramatiq.results.errors import ResultError, ResultMissing

from bench.child import serve
from bench.rivals.ordinary import Base, engine, honcho, send_message, stored_turn
from bench.talk import handlers

_url = os.environ.get("BENCH_REDIS_URL", "redis://")
broker = RedisBroker(url=_url)  # type: ignore[no-untyped-call]  # as published
broker.add_middleware(Results(backend=RedisBackend(url=_url)))  # type: ignore[no-untyped-call]  # as published
dramatiq.set_broker(broker)


@dramatiq.actor
def sync_message(message_id: str) -> None:
    """Send one message."""
    send_message(message_id)


@dramatiq.actor(store_results=True)
def prefetch_context(talk: str) -> str:
    """Fetch what is known, for the next turn."""
    context = honcho().session(talk).context(summary=True, tokens=2000, peer_target="user")
    return str(context.peer_representation or "")


@dramatiq.actor(store_results=True)
def prefetch_dialectic(talk: str, query: str) -> str:
    """Ask about the user, for the next turn."""
    return honcho().peer("user").chat(query, session=talk) or ""


class OnDramatiq:
    """Conversations over the actors."""

    def __init__(self, talks: int) -> None:
        Base.metadata.create_all(engine())
        self._waiting: list[list[Any]] = [[] for _ in range(talks)]

    def begin(self, talk: int, _text: str) -> bool:
        """Take what was prefetched, where it is ready."""
        waiting, self._waiting[talk] = self._waiting[talk], []
        try:
            for message in waiting:
                message.get_result(block=False)
        except (ResultMissing, ResultError):
            return False
        return bool(waiting)

    def end(self, talk: int, text: str, reply: str) -> None:
        """Write the turn, then have its messages sent and the next turn's memory fetched."""
        name = f"t{talk}"
        for message_id in stored_turn(name, text, reply):
            sync_message.send(message_id)
        self._waiting[talk] = [prefetch_context.send(name), prefetch_dialectic.send(name, text)]


if __name__ == "__main__":
    serve(handlers(OnDramatiq))
