"""The stand-in as an HTTP server: one loop, one database, a route's work on the loop itself."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from afterturn_sandbox.honcho import auth, search
from afterturn_sandbox.honcho.call import Call, Reply
from afterturn_sandbox.honcho.control_api import PREFIX, ControlApi
from afterturn_sandbox.honcho.deliver import Courier
from afterturn_sandbox.honcho.errors import ApiError
from afterturn_sandbox.honcho.faults import Faults
from afterturn_sandbox.honcho.router import Route
from afterturn_sandbox.honcho.routes import build_router
from afterturn_sandbox.honcho.sending import encode, send
from afterturn_sandbox.honcho.state import State

_log = logging.getLogger(__name__)
_MAX_BODY = 64 * 1024 * 1024  # 100 messages of 25,000 characters, all escaped
_KEEPALIVE_SECONDS = 75.0
_SHUTDOWN_SECONDS = 1.0


class HonchoServer:
    """A stand-in that listens. Requests are handled one after the other, each in a transaction."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._router = build_router()
        self.faults = Faults(state.counters)
        self._control = ControlApi(state, self.faults)
        self._courier = Courier(state)
        self._runner: web.ServerRunner | None = None

    async def start(self, host: str, port: int) -> str:
        """Listen; the base URL, with the real port.

        Raises:
            OSError: the address cannot be listened on.
        """
        server = web.Server(
            self._handle,
            request_factory=_request,
            keepalive_timeout=_KEEPALIVE_SECONDS,
            access_log=None,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_SECONDS)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, backlog=1024)
        await site.start()
        listening = self._runner.addresses[0]
        shown = f"[{listening[0]}]" if ":" in listening[0] else listening[0]
        return f"http://{shown}:{listening[1]}"

    async def stop(self) -> None:
        """Stop listening, cut what hangs, close the database."""
        if self._runner is not None:
            await self._runner.cleanup()
        self._state.store.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        if path.startswith(PREFIX):
            return encode(await self._controlled(request))
        try:
            route, params = self._router.find(request.method, path)
        except ApiError as error:
            self._count(f"{request.method} unknown", error.status)
            return self._lost(request, error)
        met = self.faults.match(request.method, path)
        if route.form:
            form, body = await _form(request), b""
        else:
            form, body = {}, await request.read()

        async def answer() -> Reply:
            return await self._answer(request, route, params, body, form)

        if self._state.latency_seconds:
            await asyncio.sleep(self._state.latency_seconds)
        if met:
            return await self.faults.serve(request, met, answer)
        return await send(request, await answer())

    def _lost(self, request: web.BaseRequest, error: ApiError) -> web.Response:
        """Answer what no route takes; a slash too many is redirected, as FastAPI does."""
        straight = request.path.rstrip("/")
        if straight != request.path and self._router.knows(straight):
            location = str(request.url.with_path(straight, keep_query=True))
            return web.Response(status=307, headers={"Location": location})
        return encode(_refusal(error))

    async def _controlled(self, request: web.BaseRequest) -> Reply:
        try:
            return await self._control.answer(request)
        except ApiError as error:
            return _refusal(error)

    async def _answer(
        self,
        request: web.BaseRequest,
        route: Route,
        params: dict[str, str],
        body: bytes,
        form: Mapping[str, Any],
    ) -> Reply:
        try:
            identity = self._admit(request, route, params)
            if route.searches:
                await search.catch_up(self._state.store)
            query = {key: request.query.getall(key) for key in request.query}
            call = Call(self._state, identity, params, query, body, form)
            reply = route.handler(call)
        except ApiError as error:
            reply = _refusal(error)
        except Exception:  # noqa: BLE001  # whatever else goes wrong is a 500, as in Honcho
            _log.exception("%s %s failed", request.method, request.path)
            reply = Reply({"detail": "An unexpected error occurred"}, 500)
        self._count(f"{route.method} {route.template}", reply.status)
        if self._state.events:
            self._courier.dispatch()
        return reply

    def _admit(
        self, request: web.BaseRequest, route: Route, params: dict[str, str]
    ) -> auth.Identity:
        if route.access == "public":
            return auth.ADMIN
        identity = self._state.auth.identify(request.headers.get("Authorization"))
        if not identity.admin:
            member = identity.peer is not None and self._is_member(identity.peer, params)
            auth.authorize(identity, route.access, params, member=member)
        return identity

    def _is_member(self, peer: str, params: dict[str, str]) -> bool:
        found = self._state.store.value(
            "SELECT 1 FROM members n JOIN peers p ON p.pk = n.peer "
            "JOIN sessions s ON s.pk = n.session JOIN workspaces w ON w.pk = s.workspace "
            "WHERE w.name = ? AND s.name = ? AND p.name = ? AND n.left_at IS NULL",
            (params.get("workspace_id"), params.get("session_id"), peer),
        )
        return bool(found)

    def _count(self, operation: str, status: int) -> None:
        self._state.counters.requests[operation] += 1
        self._state.counters.statuses[str(status)] += 1


def _refusal(error: ApiError) -> Reply:
    return Reply({"detail": error.detail}, error.status)


async def _form(request: web.BaseRequest) -> Mapping[str, Any]:
    if not request.content_type.startswith("multipart/"):
        return {}
    return await request.post()


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(
        message, payload, protocol, writer, task, loop, client_max_size=_MAX_BODY
    )
