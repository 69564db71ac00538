"""The SDK's requests under our deadline: its own timeouts bound each read, and never the whole."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import httpx2

from afterturn_worker.honcho.deadline import DeadlineTransport

if TYPE_CHECKING:
    from collections.abc import Iterator


class BoundedTransport(httpx2.BaseTransport):
    """Carries the requests of the SDK, which speaks httpx2, over a `DeadlineTransport`.

    Each is under the deadline that `within` sets for the calling thread. An answer is read whole.
    """

    def __init__(self, url: str, *, connections: int, keepalive: float) -> None:
        self._transport = DeadlineTransport(url, connections=connections, keepalive=keepalive)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request, and read its answer to the end."""
        with _their_errors():
            response = self._transport.handle_request(
                httpx.Request(
                    request.method,
                    str(request.url),
                    headers=request.headers.raw,
                    content=request.read(),
                )
            )
            try:
                body = response.read()
            finally:
                response.close()
        # It is decoded by then.
        headers = [
            (name, value)
            for name, value in response.headers.raw
            if name.lower() not in {b"content-encoding", b"content-length", b"transfer-encoding"}
        ]
        return httpx2.Response(response.status_code, headers=headers, content=body)

    def close(self) -> None:
        """Close every connection."""
        self._transport.close()


@contextmanager
def _their_errors() -> Iterator[None]:
    """Raise httpx's errors as those of the same names that the SDK knows."""
    try:
        yield
    except httpx.TransportError as error:
        kind = getattr(httpx2, type(error).__name__, httpx2.TransportError)
        raise kind(str(error)) from error
    except httpx.DecodingError as error:
        raise httpx2.DecodingError(str(error)) from error
