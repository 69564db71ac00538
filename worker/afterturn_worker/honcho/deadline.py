"""An HTTP transport under a deadline for the whole request, after which its socket is closed.

The timeouts of httpx bound each read and write by itself, so that a server which drips one byte
at a time holds a request for ever, and with it a lease. Here each of them is cut to what is left
of the deadline that `within` sets for the calling thread.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

from afterturn_models.errors import ConfigurationError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator

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
    def __init__(self, stream: Iterable[bytes], done: Callable[[], None]) -> None:
        self._stream = stream
        self._done = done

    def __iter__(self) -> Iterator[bytes]:
        with _httpx_errors():
            yield from self._stream

    def close(self) -> None:
        try:
            if hasattr(self._stream, "close"):
                self._stream.close()
        finally:
            self._done()


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
    """Kept connections to one server, directly or through the environment's proxy.

    Each lies in a pool of its own, used last first: a pool looks at every connection that it has
    with each request, which took most of a worker's time at a hundred of them.

    Raises ConfigurationError for a proxy of a kind that it does not speak to.
    """

    def __init__(self, url: str, *, connections: int, keepalive: float) -> None:
        """Keep up to `connections` that are idle, each for `keepalive` seconds.

        That is shorter than what servers allow: a connection that the server is just closing
        would turn a write's outcome unknown.
        """
        self._most = connections
        self._keepalive = keepalive
        self._proxy = proxy_of(url)
        self._tls = tls_for(url)
        self._idle: deque[tuple[float, httpcore.ConnectionPool]] = deque()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request over a connection of its own."""
        pool = self._free()
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        try:
            with _httpx_errors():
                response = pool.handle_request(
                    httpcore.Request(
                        method=request.method,
                        url=url,
                        headers=request.headers.raw,
                        content=request.stream,
                        extensions=request.extensions,
                    )
                )
        except BaseException:
            self._give_back(pool)
            raise
        body = _Body(response.stream, lambda: self._give_back(pool))  # type: ignore[arg-type]  # sync here, as the pool is
        return httpx.Response(
            status_code=response.status,
            headers=response.headers,
            stream=body,
            extensions=response.extensions,
        )

    def close(self) -> None:
        """Close every connection that is idle; one in use is closed when it is done."""
        self._most = 0
        while self._idle:
            self._idle.pop()[1].close()

    def _free(self) -> httpcore.ConnectionPool:
        try:
            return self._idle.pop()[1]
        except IndexError:
            return self._new()

    def _new(self) -> httpcore.ConnectionPool:
        options: dict[str, Any] = {
            "ssl_context": self._tls,
            "max_connections": 1,
            "keepalive_expiry": self._keepalive,
            "network_backend": _Backend(),
        }
        proxy = self._proxy
        if proxy is None:
            return httpcore.ConnectionPool(**options)
        return httpcore.HTTPProxy(proxy_url=str(proxy.url), proxy_auth=proxy.raw_auth, **options)

    def _give_back(self, pool: httpcore.ConnectionPool) -> None:
        now = time.monotonic()
        self._idle.append((now, pool))
        with suppress(IndexError):  # another thread may take what is seen here
            while len(self._idle) > self._most or self._idle[0][0] < now - self._keepalive:
                self._idle.popleft()[1].close()


def tls_for(url: str) -> ssl.SSLContext | None:
    """Give the context for connections to `url`; None without TLS, since it takes megabytes."""
    return httpx.create_ssl_context() if url.lower().startswith("https:") else None


def proxy_of(url: str) -> httpx.Proxy | None:
    """Give the environment's proxy for `url`, none for this machine.

    Raises ConfigurationError for a proxy of a kind that is not spoken to.
    """
    parsed = httpx.URL(url)
    if is_loopback(parsed.host) or proxy_bypass(parsed.host):
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


def is_loopback(host: str) -> bool:
    """Tell whether `host` is this machine, which no proxy can reach for us."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
