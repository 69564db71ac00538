"""A loopback server that speaks OpenAI's chat completions as it is told to, and records requests."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from aiohttp import web

from support.waiting import eventually

Fault = Literal["hang", "drip", "cut", "garbage", "400", "401", "404", "429", "500"]
_BODY_BYTES = 64 * 1024 * 1024
_DRIP_SECONDS = 0.05


class Gate:
    """Holds a stream: each chunk waits for a permit, so that a test sees it come one by one."""

    def __init__(self, permits: int = 0) -> None:
        self._permits = threading.Semaphore(permits)
        self._open = threading.Event()

    def let(self, chunks: int = 1) -> None:
        """Let so many more chunks pass."""
        self._permits.release(chunks)

    def open(self) -> None:
        """Let everything pass from now on."""
        self._open.set()

    async def passed(self) -> None:
        """Wait for a permit, without stopping the server's loop."""
        while not self._open.is_set() and not self._permits.acquire(blocking=False):  # noqa: ASYNC110  # it is let from another thread
            await asyncio.sleep(0.005)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model makes; `arguments` is an object, or text as a model may get it wrong."""

    name: str
    arguments: dict[str, Any] | str = field(default_factory=dict)
    id: str = ""

    def shown(self, place: int) -> dict[str, Any]:
        """Give it as the API does."""
        raw = self.arguments
        text = raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False)
        function = {"name": self.name, "arguments": text}
        return {"id": self.id or f"call_{place}", "type": "function", "function": function}


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request gets.

    Streamed, `text` comes in `chunks`, or by words where none are given, with `pause` seconds
    before each, and each waits at the `gate` where there is one. Whatever is not streamed waits
    for one permit. `fault` comes instead of an answer, a status with `text` for its message; a
    `cut` after the first `cut_after` chunks.
    """

    text: str = ""
    tool_calls: Sequence[ToolCall] = ()
    chunks: Sequence[str] = ()
    pause: float = 0.0
    gate: Gate | None = None
    fault: Fault | None = None
    cut_after: int = 1
    finish: str | None = None
    retry_after: float | None = None

    @property
    def finish_reason(self) -> str:
        """Why the model stopped."""
        return self.finish or ("tool_calls" if self.tool_calls else "stop")

    def pieces(self) -> list[str]:
        """Give the text as it is streamed."""
        if self.chunks:
            return list(self.chunks)
        words = self.text.split(" ")
        return [word if place == 0 else f" {word}" for place, word in enumerate(words)]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came: its JSON, and its headers by lower-case name."""

    body: dict[str, Any]
    headers: dict[str, str]

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages of the request."""
        found: list[dict[str, Any]] = self.body["messages"]
        return found

    @property
    def text(self) -> str:
        """All that the messages say, for what must or must not be in it."""
        return "\n".join(str(message.get("content") or "") for message in self.messages)


Reply = Callable[[Asked], Answer | str]


class LlmServer:
    """An endpoint at `url` (it ends in /v1), on a loop of its own; to be used with `with`.

    A request gets the next scripted answer, and where there is none what `reply` gives for it.
    `asked` are the requests in order; `dropped` how many clients went before their answer's end.
    """

    def __init__(self, reply: Reply | str = "Understood.", *, model: str = "test-model") -> None:
        said = reply
        self._reply: Reply = (lambda _: said) if isinstance(said, str) else said
        self._model = model
        self._scripted: deque[Answer] = deque()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: web.AppRunner | None = None
        self.asked: list[Asked] = []
        self.dropped = 0
        self.url = ""

    def __enter__(self) -> Self:
        """Listen on a free port of 127.0.0.1."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        """Cut whatever is under way and stop listening."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def script(self, *answers: Answer | str | Fault) -> None:
        """Queue answers: text, an `Answer`, or the name of a fault."""
        for answer in answers:
            self._scripted.append(_answer(answer))

    def forget(self) -> None:
        """Forget what was asked, and what was scripted and not asked for."""
        self.asked.clear()
        self._scripted.clear()

    def wait_for(self, requests: int, *, within: float = 20.0) -> Asked:
        """Wait until so many requests have come; gives the last of them."""
        eventually(lambda: len(self.asked) >= requests, within=within)
        return self.asked[requests - 1]

    async def _start(self) -> None:
        app = web.Application(client_max_size=_BODY_BYTES)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/v1/models", self._models)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def _stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": self._model}]})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        asked = Asked(await request.json(), {k.lower(): v for k, v in request.headers.items()})
        self.asked.append(asked)
        answer = self._scripted.popleft() if self._scripted else _answer(self._reply(asked))
        try:
            return await self._answered(request, asked, answer)
        except ConnectionError:
            self.dropped += 1
            return web.Response()  # to nobody: the connection is closed
        except asyncio.CancelledError:
            self.dropped += 1
            raise

    async def _answered(
        self, request: web.Request, asked: Asked, answer: Answer
    ) -> web.StreamResponse:
        if answer.fault is not None and answer.fault != "cut":
            return await _faulty(request, answer)
        if asked.body.get("stream"):
            return await self._stream(request, asked, answer)
        if answer.gate is not None:
            await self._held(request, answer.gate)
        await asyncio.sleep(answer.pause)
        if answer.fault == "cut":
            _cut(request)
        return web.json_response(self._whole(asked, answer))

    async def _held(self, request: web.Request, gate: Gate) -> None:
        """Wait at a gate, unless the client goes meanwhile."""
        waiting = asyncio.ensure_future(gate.passed())
        while not waiting.done():
            if _gone(request):
                waiting.cancel()
                raise ConnectionResetError
            await asyncio.wait([waiting], timeout=0.02)

    def _whole(self, asked: Asked, answer: Answer) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": answer.text or None}
        if answer.tool_calls:
            message["tool_calls"] = [call.shown(at) for at, call in enumerate(answer.tool_calls)]
        choice = {"index": 0, "message": message, "finish_reason": answer.finish_reason}
        return {
            **self._head("chat.completion"),
            "choices": [choice],
            "usage": _usage(asked, answer),
        }

    async def _stream(
        self, request: web.Request, asked: Asked, answer: Answer
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for sent, delta in enumerate(_deltas(answer)):
            if answer.fault == "cut" and sent >= answer.cut_after:
                _cut(request)
            if answer.gate is not None:
                await self._held(request, answer.gate)
            await asyncio.sleep(answer.pause)
            await self._event(request, response, {"choices": [_choice(delta)]})
        last = {"choices": [_choice({}, answer.finish_reason)]}
        await self._event(request, response, last)
        if (asked.body.get("stream_options") or {}).get("include_usage"):
            usage = {"choices": [], "usage": _usage(asked, answer)}
            await self._event(request, response, usage)
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _event(
        self, request: web.Request, response: web.StreamResponse, body: dict[str, Any]
    ) -> None:
        if _gone(request):
            raise ConnectionResetError
        event = {**self._head("chat.completion.chunk"), **body}
        await response.write(f"data: {json.dumps(event, ensure_ascii=False)}\n\n".encode())

    def _head(self, kind: str) -> dict[str, Any]:
        number = len(self.asked)
        return {"id": f"chatcmpl-{number}", "object": kind, "created": 0, "model": self._model}


def _answer(given: Answer | str) -> Answer:
    if isinstance(given, Answer):
        return given
    faults = {"hang", "drip", "cut", "garbage", "400", "401", "404", "429", "500"}
    return Answer(fault=given) if given in faults else Answer(text=given)  # type: ignore[arg-type]  # one of them, as just looked up


def _deltas(answer: Answer) -> Iterator[dict[str, Any]]:
    """Give what is streamed, piece by piece; a tool call comes as its head, then its arguments."""
    role: dict[str, Any] = {"role": "assistant"}
    if answer.text or answer.chunks:
        for piece in answer.pieces():
            yield {**role, "content": piece}
            role = {}
    for at, call in enumerate(answer.tool_calls):
        shown = {**call.shown(at), "index": at}
        arguments = shown["function"]["arguments"]
        shown["function"] = {**shown["function"], "arguments": ""}
        yield {**role, "tool_calls": [shown]}
        role = {}
        half = len(arguments) // 2
        for piece in (arguments[:half], arguments[half:]):
            if piece:
                yield {"tool_calls": [{"index": at, "function": {"arguments": piece}}]}


def _choice(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish}


def _usage(asked: Asked, answer: Answer) -> dict[str, int]:
    """Give a usage of a sort: nobody charges by it."""
    read, written = len(asked.text) // 4, len("".join(answer.pieces())) // 4
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


async def _faulty(request: web.Request, answer: Answer) -> web.StreamResponse:
    match answer.fault:
        case "hang":
            while not _gone(request):  # noqa: ASYNC110  # aiohttp has no event for a client that goes
                await asyncio.sleep(0.02)
            raise ConnectionResetError
        case "drip":
            return await _dripped(request)
        case "garbage":
            return web.Response(
                text="<html>not what was asked for</html>", content_type="text/html"
            )
    status = int(answer.fault or 500)
    headers = {} if answer.retry_after is None else {"Retry-After": f"{answer.retry_after:g}"}
    said = answer.text or f"scripted {status}"
    error = {"message": said, "type": "scripted", "code": str(status)}
    return web.json_response({"error": error}, status=status, headers=headers)


async def _dripped(request: web.Request) -> web.StreamResponse:
    """Answer a space at a time and never to an end: no read of the client times out."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    async for piece in _drops():
        if _gone(request):
            break
        await response.write(piece)
    raise ConnectionResetError


async def _drops() -> AsyncIterator[bytes]:
    while True:
        yield b" "
        await asyncio.sleep(_DRIP_SECONDS)


def _gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _cut(request: web.Request) -> None:
    """Cut the connection in the middle, and end the handler."""
    with suppress(AttributeError):
        request.transport.abort()  # type: ignore[union-attr]  # none where the client went first
    raise ConnectionResetError
