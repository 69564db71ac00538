"""Requests to Honcho, each measured, and a span where its task is traced: by method and status."""

from __future__ import annotations

import httpx

from afterturn_worker.metrics import HTTP, measured


class Timed(httpx.BaseTransport):
    """A transport around another: its time is that until the answer begins."""

    def __init__(self, transport: httpx.BaseTransport) -> None:
        self._transport = transport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request. Neither its path nor its body is told: both hold what is Honcho's."""
        with measured(HTTP, **{"http.request.method": request.method}) as span:
            response = self._transport.handle_request(request)
            if span is not None:
                span.set_attribute("http.response.status_code", response.status_code)
            return response

    def close(self) -> None:
        """Close every connection."""
        self._transport.close()
