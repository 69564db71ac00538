"""A plain Celery app for the same job, written the ordinary way.

The ORM, a task a message, `delay`, and `AsyncResult.get` for what was prefetched. The Honcho client
is kept, which is more than most do.
"""

from __future__ import annotations

import os
import time
import uuid
from functools import cache
from typing import TYPE_CHECKING, Any

from celery import Celery
from honcho import Honcho
from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from bench.child import serve
from bench.talk import handlers

if TYPE_CHECKING:
    from celery.result import AsyncResult

app = Celery(
    "ordinary",
    broker=os.environ.get("BENCH_REDIS_URL", "redis://"),
    backend=os.environ.get("BENCH_REDIS_URL", "redis://"),
    set_as_current=False,  # beside another app in a benchmark's process
)


class Base(DeclarativeBase):
    """The declarative base."""


class Message(Base):
    """A message of a conversation."""

    __tablename__ = "ordinary_messages"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    talk: Mapped[str] = mapped_column(index=True)
    peer: Mapped[str]
    content: Mapped[str]
    synced: Mapped[bool] = mapped_column(default=False)


@cache
def engine() -> Any:
    """Give the process its engine."""
    url = os.environ["BENCH_DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://", 1)
    return create_engine(url, pool_size=40)


@cache
def honcho() -> Honcho:
    """Give the process its client."""
    return Honcho(
        base_url=os.environ["BENCH_HONCHO_URL"],
        workspace_id=os.environ["BENCH_WORKSPACE"],
        api_key="none",
    )


def stored_turn(talk: str, text: str, reply: str) -> list[str]:
    """Write a turn's two messages; gives their ids."""
    with Session(engine()) as db:
        rows = [
            Message(talk=talk, peer="user", content=text),
            Message(talk=talk, peer="agent", content=reply),
        ]
        db.add_all(rows)
        db.commit()
        return [str(row.id) for row in rows]


def send_message(message_id: str) -> None:
    """Send one message, the ordinary way: a peer and a session made for it."""
    with Session(engine()) as db:
        message = db.get_one(Message, uuid.UUID(message_id))
        peer = honcho().peer(message.peer)
        session = honcho().session(message.talk)
        session.add_messages([peer.message(message.content)])
        message.synced = True
        db.commit()


@app.task(name="ordinary.sync_message", autoretry_for=(Exception,), retry_backoff=True)
def sync_message(message_id: str) -> None:
    """Send one message."""
    send_message(message_id)


@app.task(name="ordinary.prefetch_context")
def prefetch_context(talk: str) -> str:
    """Fetch what is known, for the next turn."""
    context = honcho().session(talk).context(summary=True, tokens=2000, peer_target="user")
    return str(context.peer_representation or "")


@app.task(name="ordinary.prefetch_dialectic")
def prefetch_dialectic(talk: str, query: str) -> str:
    """Ask about the user, for the next turn."""
    return honcho().peer("user").chat(query, session=talk) or ""


class Ordinary:
    """Conversations over the app."""

    def __init__(self, talks: int) -> None:
        Base.metadata.create_all(engine())
        self._waiting: list[list[AsyncResult[Any]]] = [[] for _ in range(talks)]

    def begin(self, talk: int, _text: str) -> bool:
        """Take what was prefetched, where it is ready."""
        waiting, self._waiting[talk] = self._waiting[talk], []
        ready = [result for result in waiting if result.ready()]
        for result in ready:
            result.get(timeout=1)
            result.forget()
        return bool(waiting) and len(ready) == len(waiting)

    def end(self, talk: int, text: str, reply: str) -> None:
        """Write the turn, then have its messages sent and the next turn's memory fetched."""
        name = f"t{talk}"
        for message_id in stored_turn(name, text, reply):
            sync_message.delay(message_id)
        self._waiting[talk] = [prefetch_context.delay(name), prefetch_dialectic.delay(name, text)]


def backlog(talks: int, turns: int, texts: list[list[str]]) -> dict[str, Any]:
    """Have so many turns of so many conversations sent, and wait until the last is there."""
    Base.metadata.create_all(engine())
    with Session(engine()) as db:
        rows = [
            Message(talk=f"t{talk}", peer=peer, content=text)
            for turn in range(turns)
            for talk in range(talks)
            for peer, text in zip(("user", "agent"), texts[turn % len(texts)], strict=True)
        ]
        db.add_all(rows)
        db.commit()
        ids = [str(row.id) for row in rows]
    began = time.perf_counter()
    for message_id in ids:
        sync_message.delay(message_id)
    waiting = select(func.count()).select_from(Message).where(Message.synced.is_(False))
    with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        while db.scalar(waiting):
            time.sleep(0.02)
    return {"messages": len(ids), "seconds": time.perf_counter() - began}


if __name__ == "__main__":
    serve({**handlers(Ordinary), "backlog": backlog})
