"""A TCP proxy that counts, falls silent, or refuses: what networks do to servers."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any, Self
from urllib.parse import urlsplit


class TcpProxy:
    """In front of one server; `passing` by default, or `silent`, or refusing connections."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        self._target = (parts.hostname, parts.port)
        self._listener = self._listen(0)
        self.port = self._listener.getsockname()[1]
        self.url = url.replace(f":{parts.port}", f":{self.port}")
        self.silent = False
        self.requests = 0  # times that a client said something and let the server speak
        self.connections = 0
        self.received = 0  # bytes that the server said
        self._open: list[socket.socket] = []
        self._start()

    def refuse(self) -> None:
        """Reset every connection, and refuse new ones."""
        # Without the shutdown, the thread that waits in `accept` keeps the port open.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def accept(self) -> None:
        """Take connections again after `refuse`."""
        self._listener = self._listen(self.port)
        self._start()

    def cut(self) -> None:
        """Close every connection."""
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open.clear()

    def __enter__(self) -> Self:
        """Use it in a `with` block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close everything."""
        self.refuse()

    def _listen(self, port: int) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(64)
        return listener

    def _start(self) -> None:
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
                server = socket.create_connection(self._target, 5)
            except OSError:
                return
            server.settimeout(None)
            self.connections += 1
            self._open += [client, server]
            last: dict[str, Any] = {"spoke": None}
            for source, sink, who in ((client, server, "client"), (server, client, "server")):
                threading.Thread(
                    target=self._pump, args=(source, sink, who, last), daemon=True
                ).start()

    def _pump(
        self, source: socket.socket, sink: socket.socket, who: str, last: dict[str, Any]
    ) -> None:
        dead = False
        while True:
            try:
                data = source.recv(65536)
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                if who == "client" and last["spoke"] != "client":
                    self.requests += 1
                last["spoke"] = who
                dead = dead or self.silent  # what was lost stays lost: such a connection is over
                if not dead:
                    self.received += len(data) if who == "server" else 0
                    sink.sendall(data)
            except OSError:
                return
