"""An HTTP transport under a deadline for the whole request, after which its socket is closed.

The timeouts of httpx bound each read and write by itself, so that a server which drips one byte
at a time holds a request for ever, and with it a lease. Here each of them is cut to what is left
of the deadline that `within` sets for the calling thread.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

from afterturn_models.errors import ConfigurationError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Iterator

_PIECE = 4096  # bytes; what a socket that is ready to be written to takes at once
_call = threading.local()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Bound every request that this thread makes inside by `seconds` from now."""
    _call.until = time.monotonic() + seconds
    try:
        yield
    finally:
        _call.until = None


def _left(timeout: float | None, late: type[Exception]) -> float | None:
    until: float | None = getattr(_call, "until", None)
    if until is None:
        return timeout
    left = until - time.monotonic()
    if left <= 0:
        raise late("the deadline of the request has passed")
    return left if timeout is None else min(timeout, left)


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # In pieces: httpcore gives each partial send of a buffer the whole timeout anew, and a
        # server that reads slowly would hold a long batch past the lease.
        for start in range(0, len(buffer), _PIECE):
            piece = buffer[start : start + _PIECE]
            self._stream.write(piece, _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    def __init__(self) -> None:
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._backend.connect_tcp(host, port, left, local_address, socket_options))

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)


class _Body(httpx.SyncByteStream):
    def __init__(self, stream: Iterable[bytes]) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        with _httpx_errors():
            yield from self._stream

    def close(self) -> None:
        if hasattr(self._stream, "close"):
            self._stream.close()


@contextmanager
def _httpx_errors() -> Iterator[None]:
    """Raise httpcore's errors as the httpx errors of the same names, as httpx itself does."""
    try:
        yield
    except (
        httpcore.TimeoutException,
        httpcore.NetworkError,
        httpcore.ProtocolError,
        httpcore.ProxyError,
        httpcore.UnsupportedProtocol,
    ) as error:
        raise getattr(httpx, type(error).__name__)(str(error)) from error


class DeadlineTransport(httpx.BaseTransport):
    """Pooled connections to one Honcho, directly or through the environment's proxy.

    Raises ConfigurationError for a proxy of a kind that it does not speak to.
    """

    def __init__(self, url: str, *, connections: int, keepalive: float) -> None:
        """Keep up to `connections`, each for `keepalive` seconds of idleness.

        That is shorter than what servers allow: a connection that the server is just closing
        would turn a write's outcome unknown.
        """
        options: dict[str, Any] = {
            "ssl_context": httpx.create_ssl_context(),
            "max_connections": connections,
            "max_keepalive_connections": connections,
            "keepalive_expiry": keepalive,
            "network_backend": _Backend(),
        }
        proxy = _proxy(url)
        self._pool = (
            httpcore.HTTPProxy(proxy_url=str(proxy.url), proxy_auth=proxy.raw_auth, **options)
            if proxy
            else httpcore.ConnectionPool(**options)
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request over a pooled connection."""
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        with _httpx_errors():
            response = self._pool.handle_request(
                httpcore.Request(
                    method=request.method,
                    url=url,
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        return httpx.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_Body(response.stream),  # type: ignore[arg-type]  # sync here, as the pool is
            extensions=response.extensions,
        )

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()


def _proxy(url: str) -> httpx.Proxy | None:
    parsed = httpx.URL(url)
    if _is_loopback(parsed.host) or proxy_bypass(parsed.host):
        return None
    proxies = getproxies()
    given = proxies.get(parsed.scheme) or proxies.get("all")
    if not given:
        return None
    proxy = httpx.URL(given if "://" in given else f"http://{given}")
    if proxy.scheme not in {"http", "https"}:
        raise ConfigurationError(
            f"the proxy for Honcho is of the kind {proxy.scheme}; http and https are spoken to"
        )
    return httpx.Proxy(proxy)


def _is_loopback(host: str) -> bool:
    """Tell whether `host` is this machine, which no proxy can reach for us."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
