"""Faults on demand: what networks and overloaded servers do, by rule, for tests and benches."""

import asyncio
import random
import re
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from afterturn_sandbox.honcho.call import Reply
from afterturn_sandbox.honcho.sending import encode, send
from afterturn_sandbox.honcho.state import Counters

Fault = Literal[
    "latency",
    "status",
    "lose_response",
    "reset_before",
    "reset_after",
    "hang",
    "late_commit",
    "drip",
]
Answer = Callable[[], Awaitable[Reply]]
_POLL_SECONDS = 0.02


class Rule(BaseModel):
    """One fault and the requests it meets.

    `method` and `path` are regular expressions over the whole of each. `skip` lets the first
    matches pass, `count` ends the rule after so many, `probability` draws from `seed`.
    `seconds` (plus up to `jitter`) is the wait of `latency`, `late_commit` and `drip`'s pauses.
    `commit` has a `hang` do its work first; `answer` says whether a `late_commit` answers late
    or drops the connection at once.
    """

    model_config = ConfigDict(extra="forbid")

    fault: Fault
    method: str = ".*"
    path: str = ".*"
    count: int | None = Field(default=None, ge=1)
    skip: int = Field(default=0, ge=0)
    probability: float = Field(default=1.0, ge=0.0, le=1.0)
    seed: int = 0
    seconds: float = Field(default=0.0, ge=0.0)
    jitter: float = Field(default=0.0, ge=0.0)
    status: int = Field(default=500, ge=400, le=599)
    detail: str = "An unexpected error occurred"
    retry_after: float | None = Field(default=None, ge=0.0)
    retry_after_form: Literal["seconds", "date"] = "seconds"
    commit: bool = False
    answer: Literal["late", "drop"] = "late"
    chunk: int = Field(default=16, ge=1)
    id: int = 0
    seen: int = 0
    fired: int = 0

    _random: random.Random = PrivateAttr(default_factory=random.Random)

    def start(self, number: int) -> None:
        """Give the rule its number and its own reproducible chance."""
        self.id = number
        self._random = random.Random(self.seed)  # noqa: S311  # reproducible, not secret

    def fires(self, method: str, path: str) -> bool:
        """Whether the rule meets this request; counts it if so."""
        if self.count is not None and self.fired >= self.count:
            return False
        if not (re.fullmatch(self.method, method) and re.fullmatch(self.path, path)):
            return False
        self.seen += 1
        if self.seen <= self.skip or self._random.random() >= self.probability:
            return False
        self.fired += 1
        return True

    def wait(self) -> float:
        """How long this time."""
        return self.seconds + self.jitter * self._random.random()


class Faults:
    """The rules in force, in the order they were added."""

    def __init__(self, counters: Counters) -> None:
        self.rules: list[Rule] = []
        self._counters = counters
        self._last = 0
        self._background: set[asyncio.Task[Reply]] = set()

    def add(self, rule: Rule) -> Rule:
        """Put a rule in force; it has its id then."""
        self._last += 1
        rule.start(self._last)
        self.rules.append(rule)
        return rule

    def remove(self, number: int | None = None) -> int:
        """Lift one rule, or all of them; how many there were."""
        kept = [rule for rule in self.rules if number is not None and rule.id != number]
        gone = len(self.rules) - len(kept)
        self.rules = kept
        return gone

    def match(self, method: str, path: str) -> list[Rule]:
        """Return the rules that meet this request: any latencies, up to the first other fault."""
        met: list[Rule] = []
        for rule in self.rules:
            if rule.fires(method, path):
                met.append(rule)
                self._counters.faults[rule.fault] += 1
                if rule.fault != "latency":
                    break
        return met

    async def serve(
        self, request: web.BaseRequest, met: list[Rule], answer: Answer
    ) -> web.StreamResponse:
        """Answer a request under the rules that it met."""
        for rule in met:
            if rule.fault != "latency":
                return await self._serve_one(request, rule, answer)
            await asyncio.sleep(rule.wait())
        return await send(request, await answer())

    async def _serve_one(
        self, request: web.BaseRequest, rule: Rule, answer: Answer
    ) -> web.StreamResponse:
        match rule.fault:
            case "status":
                return _refuse(rule)
            case "reset_before" | "reset_after":
                if rule.fault == "reset_after":
                    await answer()
                return _reset(request)
            case "lose_response":
                await answer()
                return _drop(request)
            case "hang":
                return await _hang(request, rule, answer)
            case "late_commit":
                return await self._late(request, rule, answer)
            case _:
                return await _drip(request, rule, await answer())

    async def _late(
        self, request: web.BaseRequest, rule: Rule, answer: Answer
    ) -> web.StreamResponse:
        """Commit later, whatever becomes of the client meanwhile."""
        task = asyncio.create_task(_after(rule.wait(), answer))
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        if rule.answer == "drop":
            return _drop(request)
        return await send(request, await asyncio.shield(task))


async def _after(seconds: float, answer: Answer) -> Reply:
    await asyncio.sleep(seconds)
    return await answer()


def _refuse(rule: Rule) -> web.Response:
    response = encode(Reply({"detail": rule.detail}, rule.status))
    if rule.retry_after is not None:
        wait = rule.retry_after
        response.headers["Retry-After"] = (
            f"{wait:g}"
            if rule.retry_after_form == "seconds"
            else formatdate(time.time() + wait, usegmt=True)
        )
    return response


def _closed(request: web.BaseRequest) -> bool:
    return request.transport is None or request.transport.is_closing()


def _drop(request: web.BaseRequest) -> web.StreamResponse:
    """Close the connection without a word."""
    if request.transport is not None:
        request.transport.close()
    return web.Response()  # never sent: its connection is gone


def _reset(request: web.BaseRequest) -> web.StreamResponse:
    """Close the connection with an RST."""
    transport = request.transport
    if transport is not None:
        wire = transport.get_extra_info("socket")
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response()  # never sent: its connection is gone


async def _hang(request: web.BaseRequest, rule: Rule, answer: Answer) -> web.StreamResponse:
    if rule.commit:
        await answer()
    while not _closed(request):  # noqa: ASYNC110  # aiohttp has no event for a client that goes
        await asyncio.sleep(_POLL_SECONDS)
    return web.Response()  # never sent: its connection is gone


async def _drip(request: web.BaseRequest, rule: Rule, reply: Reply) -> web.StreamResponse:
    whole = encode(reply)
    body = bytes(whole.body) if isinstance(whole.body, bytes) else b""
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    response = web.StreamResponse(status=whole.status, headers=headers)
    try:
        await response.prepare(request)
        for at in range(0, len(body), rule.chunk):
            await response.write(body[at : at + rule.chunk])
            await asyncio.sleep(rule.wait())
        await response.write_eof()
    except ConnectionError:
        _drop(request)  # the client has had enough
    return response
