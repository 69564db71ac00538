"""An HTTP proxy in front of a Honcho that records when each POST of messages began and ended."""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Post:
    """One POST of messages, by a monotonic clock."""

    began: float
    ended: float
    status: int


class Recorder:
    """Passes everything on to the server at `url`, and remembers the POSTs of messages."""

    def __init__(self, url: str) -> None:
        self._host = urlsplit(url).netloc
        self._lock = threading.Lock()
        self.posts: list[Post] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def most_at_once(self) -> int:
        """Tell how many POSTs were under way at the same moment, at most."""
        changes = sorted(
            [(post.began, 1) for post in self.posts] + [(post.ended, -1) for post in self.posts]
        )
        now = most = 0
        for _, change in changes:
            now += change
            most = max(most, now)
        return most

    def gaps(self) -> list[float]:
        """Give the seconds from each POST's beginning to the next one's."""
        began = sorted(post.began for post in self.posts)
        return [later - sooner for sooner, later in itertools.pairwise(began)]

    def _handler(recorder: Self) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - `self` is another
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body, began = self.rfile.read(length), time.monotonic()
                connection = http.client.HTTPConnection(recorder._host, timeout=30)
                connection.request(self.command, self.path, body, dict(self.headers))
                answer = connection.getresponse()
                told = answer.read()
                connection.close()
                if self.command == "POST" and self.path.endswith("/messages"):
                    with recorder._lock:
                        recorder.posts.append(Post(began, time.monotonic(), answer.status))
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() in {"content-type", "retry-after"}:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(told)))
                self.end_headers()
                self.wfile.write(told)

            do_GET = do_POST = do_PUT = do_DELETE = pass_on  # noqa: N815 - the base's names

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        return Handler
