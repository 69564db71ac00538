"""Messages to Honcho from an event loop: one request a batch, under a deadline for all of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
from honcho.http import AsyncHonchoHTTPClient

from afterturn_models.errors import OutcomeUnknown
from afterturn_worker.honcho.batches import WORKSPACES, batch_body, check_stored, messages_path
from afterturn_worker.honcho.connection import KEEPALIVE, shown_url
from afterturn_worker.honcho.deadline import proxy_of, tls_for
from afterturn_worker.honcho.errors import our_errors
from afterturn_worker.metrics import POST, measured

if TYPE_CHECKING:
    from collections.abc import Sequence

    from afterturn_models.values import Outgoing


class AsyncSender:
    """Kept connections to one Honcho for one event loop; its requests are never repeated.

    Each is a client of its own, since one client for all looks at each of its connections with
    every request.
    """

    def __init__(self, url: str, key: str | None) -> None:
        """Connect lazily; raises ConfigurationError where `url` is no address of a server."""
        self._url = url
        self._key = key
        self._shown = shown_url(url)
        self._proxy = proxy_of(url)  # taken from the environment as the other client does
        self._tls = tls_for(url)
        self._clients: list[httpx.AsyncClient] = []
        self._idle: list[AsyncHonchoHTTPClient] = []
        self._made_sure_of: set[str] = set()
        self._making_sure = asyncio.Lock()

    async def send(
        self, workspace: str, session: str, messages: Sequence[Outgoing], *, deadline: float
    ) -> None:
        """Store up to 100 messages by one POST.

        The session is made by it where it is missing, the workspace by a request before the
        first one, as the SDK does. Raises a kind of HonchoFailure; at the deadline the socket is
        closed, and the outcome is unknown.
        """
        path, body = messages_path(workspace, session), batch_body(messages)
        client = self._idle.pop() if self._idle else self._new()
        try:
            with measured(POST, messages=len(messages)), our_errors(self._shown):
                async with asyncio.timeout(deadline):
                    await self._make_sure_of(workspace, client)
                    stored = await client.post(path, body=body, timeout=deadline)
        except TimeoutError:
            raise OutcomeUnknown("Honcho did not answer in time") from None
        finally:
            self._idle.append(client)
        check_stored(stored, messages, self._shown)

    async def close(self) -> None:
        """Close every connection."""
        for client in self._clients:
            await client.aclose()

    async def _make_sure_of(self, workspace: str, client: AsyncHonchoHTTPClient) -> None:
        """Have the workspace there, by one request for all that are sent to it."""
        if workspace in self._made_sure_of:
            return
        async with self._making_sure:
            if workspace not in self._made_sure_of:
                await client.post(WORKSPACES, body={"id": workspace})
                self._made_sure_of.add(workspace)

    def _new(self) -> AsyncHonchoHTTPClient:
        limits = httpx.Limits(max_connections=1, keepalive_expiry=KEEPALIVE)
        http = httpx.AsyncClient(
            limits=limits,
            proxy=self._proxy,
            verify=self._tls or False,  # False where there is nothing to verify: it speaks http
            trust_env=False,
        )
        self._clients.append(http)
        return AsyncHonchoHTTPClient(
            base_url=self._url, api_key=self._key, max_retries=0, http_client=http
        )
