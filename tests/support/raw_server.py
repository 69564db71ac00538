"""Servers that are no Honcho: a thread on a loopback port that does to a connection what it likes."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

Handler = Callable[[socket.socket], None]


class RawServer:
    """Accepts connections and hands each to `handler` in a thread; closes it after that."""

    def __init__(self, handler: Handler, *, tls: ssl.SSLContext | None = None) -> None:
        self._handler = handler
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.accepted = 0
        self.port: int = self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        """Listen."""
        self._threads.append(threading.Thread(target=self._accept))
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Cut every connection and end every thread."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            _cut(connection)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # closed
            self.accepted += 1
            self._open.add(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                if self._tls:
                    with self._tls.wrap_socket(connection, server_side=True) as wrapped:
                        self._handler(wrapped)
                else:
                    self._handler(connection)
        except OSError:
            pass  # the client went, or the test is over
        finally:
            self._open.discard(connection)


def read_request(connection: socket.socket) -> tuple[str, bytes]:
    """Read one HTTP request: its head as text, and its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    text = head.decode("latin-1")
    lengths = [line for line in text.lower().splitlines() if line.startswith("content-length:")]
    length = int(lengths[0].partition(":")[2]) if lengths else 0
    while len(body) < length:
        body += connection.recv(65536)
    return text, body


def answering(status: str, body: bytes, *headers: str) -> Handler:
    """Give a handler that answers every request alike."""

    def handle(connection: socket.socket) -> None:
        while True:
            read_request(connection)
            lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
            head = "\r\n".join([*lines, "Content-Type: application/json", "", ""])
            connection.sendall(head.encode() + body)

    return handle


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
