"""The Honcho client and the network: what never arrived, what is no Honcho, and proxies."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import time
import traceback
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from afterturn_models.errors import (
    ConfigurationError,
    HonchoFailure,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    Unreachable,
)
from afterturn_models.values import USER_OBSERVING, Outgoing, Role
from afterturn_worker.honcho.client import HonchoClient
from afterturn_worker.honcho.recall_port import View
from support.raw_server import RawServer, answering, read_request
from support.recall_calls import RECALL

CALLS = [call.ask for call in RECALL]
AT = datetime(2025, 1, 1, tzinfo=UTC)
SECRET = "the-secret-word"


@pytest.fixture
def connect() -> Iterator[Callable[..., HonchoClient]]:
    """Give a function that makes a client; all are closed."""
    made: list[HonchoClient] = []

    def make(url: str, key: str | None = None) -> HonchoClient:
        made.append(HonchoClient(url, key))
        return made[-1]

    yield make
    for client in made:
        client.close()


def row(content: str = SECRET) -> Outgoing:
    return Outgoing(uuid.uuid4(), 1, Role.USER, "ann", "s", content, AT)


def send(client: HonchoClient, content: str = SECRET, deadline: float = 5) -> None:
    client.send("w", "s", [row(content)], deadline=deadline)


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return int(probe.getsockname()[1])


def outcome(call: Callable[[], object]) -> tuple[OutcomeUnknown | None, object]:
    """Give what a call raised or what it gave."""
    try:
        return None, call()
    except OutcomeUnknown as error:
        return error, None


class TestNeverArrived:
    def test_a_refused_connection(self, connect) -> None:
        with pytest.raises(Unreachable, match="cannot be reached at http://127"):
            send(connect(f"http://127.0.0.1:{free_port()}"))

    def test_a_name_that_is_none(self, connect) -> None:
        with pytest.raises(Unreachable):
            send(connect("http://no-such-host.invalid"))

    def test_a_listener_that_takes_no_connection(self, connect) -> None:
        """A full backlog drops what knocks: the connection is never made."""
        with closing(socket.socket()) as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            place = listener.getsockname()
            waiting = [socket.socket() for _ in range(4)]
            for one in waiting:
                one.setblocking(False)
                one.connect_ex(place)
            began = time.monotonic()
            with pytest.raises(Unreachable):
                send(connect(f"http://127.0.0.1:{place[1]}"), deadline=0.5)
            assert time.monotonic() - began < 2
            for one in waiting:
                one.close()

    def test_a_certificate_that_nobody_signed(self, connect, certificate: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server = RawServer(answering("200 OK", b"{}"), tls=context)
        with server, pytest.raises(Unreachable, match="certificate"):
            send(connect(server.url))

    def test_a_server_that_speaks_no_tls(self, connect) -> None:
        with RawServer(answering("200 OK", b"{}")) as server, pytest.raises(Unreachable):
            send(connect(server.url.replace("http://", "https://")), deadline=0.5)

    def test_a_redirect_is_not_followed(self, connect) -> None:
        away = answering("307 Temporary Redirect", b"", "Location: http://127.0.0.1:1/")
        with RawServer(away) as server, pytest.raises(Unreachable, match="redirect"):
            send(connect(server.url))

    @pytest.fixture
    def certificate(self, tmp_path: Path) -> Path:
        path = tmp_path / "both.pem"
        subprocess.run(
            [
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "1",
                "-subj",
                "/CN=127.0.0.1",
                "-keyout",
                path,
                "-out",
                tmp_path / "cert.pem",
            ],
            check=True,
            capture_output=True,
        )
        with path.open("ab") as both:
            both.write((tmp_path / "cert.pem").read_bytes())
        return path


class TestNoHoncho:
    @pytest.mark.parametrize(
        "body",
        [b"", b"null", b"[]", b"{}", b'"x"', b"7", b"<html>", b'[{"id": 1}]', b'{"items":7}'],
    )
    def test_whatever_answers_200_is_an_unknown_outcome(self, connect, body: bytes) -> None:
        with RawServer(answering("200 OK", body)) as server:
            client = connect(server.url)
            calls = [
                lambda: send(client),
                lambda: client.find("w", "s", [uuid.uuid4()], deadline=5),
                lambda: client.add_peers("w", "s", {"ann": USER_OBSERVING}, deadline=5),
                lambda: client.check("w", deadline=5),
                *(lambda call=call: call(client, View("w", "s", "a", "b")) for call in CALLS),
            ]
            for call in calls:
                error, found = outcome(call)
                assert SECRET not in "".join(traceback.format_exception(error))
                assert not found  # never something made of nothing

    @pytest.mark.parametrize("after", ["inf", "nan", "-5", "soon", "1e400"])
    def test_a_retry_after_that_is_no_time(self, connect, after: str) -> None:
        limited = answering("429 Too Many Requests", b"{}", f"Retry-After: {after}")
        with RawServer(limited) as server, pytest.raises(RateLimited) as found:
            send(connect(server.url))
        assert found.value.retry_after in {None, -5.0}

    @pytest.mark.parametrize(
        ("place", "index", "about"),
        [
            (["body", "messages", 3, "content"], 3, True),
            (["body", "messages", 3, "peer_id"], 3, True),
            (["body", "messages", 3], 3, True),
            (["body", "messages", 3, "metadata"], 3, False),
            (["body", "messages", 3, "a_field_of_a_later_version"], 3, False),
            (["body", "messages"], None, False),
            (["body", "another"], None, False),
            (["query", "page"], None, False),
            (None, None, True),
        ],
    )
    def test_what_a_422_names_tells_whether_a_message_is_at_fault(
        self, connect, place: list[str | int] | None, index: int | None, *, about: bool
    ) -> None:
        """Another version of Honcho's is not to have every message set aside."""
        named = [{"loc": place, "type": "value_error", "msg": SECRET, "input": SECRET}]
        body = json.dumps({"detail": named if place else "Peer name(s) ['a b'] must match"})
        answer = answering("422 Unprocessable Entity", body.encode())
        with RawServer(answer) as server, pytest.raises(Rejected) as found:
            send(connect(server.url))
        assert (found.value.index, found.value.about_content) == (index, about)
        assert SECRET not in str(found.value)

    def test_a_server_that_reads_slowly_does_not_hold_a_batch_past_its_deadline(
        self, connect
    ) -> None:
        def slow(connection: socket.socket) -> None:
            while connection.recv(65_536):
                time.sleep(0.01)

        with RawServer(slow) as server:
            began = time.monotonic()
            rows = [row("\U0001f600" * 25_000) for _ in range(300)]  # more than buffers hold
            client = connect(server.url)
            client._honcho("w")._workspace_ensured = True  # the batch is the first request
            with pytest.raises(OutcomeUnknown):
                client.send("w", "s", rows, deadline=0.7)
            assert time.monotonic() - began < 2


class TestProxies:
    @pytest.fixture
    def through(self, monkeypatch) -> Iterator[list[str]]:
        """Run a proxy that notes the heads of requests and answers 404."""
        heads: list[str] = []

        def proxy(connection: socket.socket) -> None:
            while True:
                heads.append(read_request(connection)[0])
                connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}")

        with RawServer(proxy) as server:
            monkeypatch.setenv("HTTP_PROXY", f"http://user:{SECRET}@127.0.0.1:{server.port}")
            monkeypatch.setenv("http_proxy", f"http://user:{SECRET}@127.0.0.1:{server.port}")
            monkeypatch.delenv("no_proxy", raising=False)
            monkeypatch.delenv("NO_PROXY", raising=False)
            yield heads

    def test_the_environments_proxy_is_used_with_its_credentials(self, connect, through) -> None:
        with pytest.raises(HonchoFailure) as found:
            send(connect("http://honcho.example:8000"))
        assert through[0].startswith("POST http://honcho.example:8000/v3/workspaces")
        credentials = b64encode(f"user:{SECRET}".encode()).decode()
        assert f"basic {credentials}".lower() in through[0].lower()
        assert SECRET not in str(found.value)

    def test_no_proxy_is_kept(self, connect, through, monkeypatch) -> None:
        monkeypatch.setenv("no_proxy", "invalid")
        with pytest.raises(Unreachable):
            send(connect("http://honcho.invalid"))
        assert not through

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    def test_this_machine_is_reached_directly(self, connect, honcho, through, host) -> None:
        send(connect(honcho.url.replace("127.0.0.1", host)))
        assert not through

    def test_a_proxy_that_is_down_is_said_without_its_password(self, connect, monkeypatch) -> None:
        monkeypatch.setenv("http_proxy", f"http://user:{SECRET}@127.0.0.1:{free_port()}")
        with pytest.raises(Unreachable) as found:
            send(connect("http://honcho.example"))
        assert SECRET not in "".join(traceback.format_exception(found.value))

    def test_a_proxy_of_another_kind_is_a_wrong_setting(self, connect, monkeypatch) -> None:
        monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:1080")
        with pytest.raises(ConfigurationError, match="socks5"):
            connect("http://honcho.example")


class TestUrl:
    @pytest.mark.parametrize("url", ["localhost:8000", "honcho", "ftp://x", "http://", ""])
    def test_what_is_no_address_is_a_wrong_setting(self, url: str) -> None:
        with pytest.raises(ConfigurationError, match="URL of Honcho"):
            HonchoClient(url, None)

    def test_its_password_is_not_shown(self, connect) -> None:
        with pytest.raises(Unreachable) as found:
            send(connect(f"http://user:{SECRET}@127.0.0.1:{free_port()}/base"))
        assert "127.0.0.1" in str(found.value)
        assert SECRET not in "".join(traceback.format_exception(found.value))

    def test_a_key_that_no_header_holds_is_not_shown(self, connect) -> None:
        with pytest.raises(HonchoFailure) as found:
            send(connect("http://127.0.0.1:1", f"{SECRET}\n"), content="hello")
        assert SECRET not in "".join(traceback.format_exception(found.value))
