"""Webhook events as they arrive: signed over the raw body."""

import hashlib
import hmac
import json
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

SECRET = "hook-secret"


@pytest.fixture
def receiver():
    """A server that keeps what it gets."""
    got: queue.Queue[tuple[str, bytes]] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.put((self.headers["X-Honcho-Signature"], body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1], got
    server.shutdown()
    thread.join()
    server.server_close()


def test_events_are_delivered_and_signed(start_stand_in, receiver):
    port, got = receiver
    stand_in = start_stand_in(env={"AFTERTURN_SANDBOX_HONCHO_WEBHOOK_SECRET": SECRET})
    with httpx.Client(base_url=f"{stand_in.url}/v3") as client:
        client.post("/workspaces", json={"id": "w"})
        client.post("/workspaces/w/webhooks", json={"url": f"http://localhost:{port}/hook"})
        assert client.get("/workspaces/w/webhooks/test").status_code == 200
        signature, body = got.get(timeout=10)
        assert signature == hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        assert json.loads(body)["type"] == "test.event"
        message = {"content": "x", "peer_id": "alice"}
        client.post("/workspaces/w/sessions/s/messages", json={"messages": [message]})
        _, body = got.get(timeout=10)
        event = json.loads(body)
        assert (event["type"], event["data"]["session_id"]) == ("queue.empty", "s")
