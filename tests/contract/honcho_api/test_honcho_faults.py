"""Each fault of the control endpoint, seen from a client that sends a batch once."""

import socket
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime

import httpx
import pytest

POST = {"method": "POST", "path": r"/v3/.*/messages"}
BATCH = {"messages": [{"content": "x", "peer_id": "alice", "metadata": {"afterturn": "1"}}]}


@pytest.fixture
def client(stand_in) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stand_in.url, timeout=5) as one:
        yield one


@pytest.fixture
def send(client: httpx.Client, workspace: str) -> Callable[..., httpx.Response]:
    def post(**options) -> httpx.Response:
        return client.post(f"/v3/workspaces/{workspace}/sessions/s/messages", json=BATCH, **options)

    return post


@pytest.fixture
def stored(stand_in, workspace: str) -> Callable[[], int]:
    return lambda: len(stand_in.control.messages(workspace, "s"))


def test_latency(stand_in, send, stored):
    stand_in.control.add_rule("latency", seconds=0.3, jitter=0.1, **POST)
    began = time.monotonic()
    assert send().status_code == 201
    assert time.monotonic() - began >= 0.3
    assert stored() == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_status_stores_nothing(stand_in, send, stored, status: int):
    stand_in.control.add_rule("status", status=status, detail="later", **POST)
    answer = send()
    assert (answer.status_code, answer.json()) == (status, {"detail": "later"})
    assert stored() == 0


def test_retry_after_in_seconds_and_as_a_date(stand_in, send):
    stand_in.control.add_rule("status", status=429, retry_after=7, count=1)
    stand_in.control.add_rule("status", status=429, retry_after=60, retry_after_form="date")
    assert send().headers["Retry-After"] == "7"
    left = parsedate_to_datetime(send().headers["Retry-After"]).timestamp() - time.time()
    assert 50 < left < 70


def test_a_lost_response_is_stored(stand_in, send, stored):
    stand_in.control.add_rule("lose_response", **POST)
    with pytest.raises(httpx.RemoteProtocolError):
        send()
    assert stored() == 1


def test_a_reset_before_stores_nothing(stand_in, send, stored):
    stand_in.control.add_rule("reset_before", **POST)
    with pytest.raises(httpx.ReadError):
        send()
    assert stored() == 0


def test_a_reset_after_is_stored(stand_in, send, stored):
    stand_in.control.add_rule("reset_after", **POST)
    with pytest.raises(httpx.ReadError):
        send()
    assert stored() == 1


@pytest.mark.parametrize("commit", [False, True])
def test_a_hang_lasts_until_the_client_goes(stand_in, send, stored, commit: bool):
    stand_in.control.add_rule("hang", commit=commit, **POST)
    with pytest.raises(httpx.ReadTimeout):
        send(timeout=0.4)
    assert stored() == int(commit)


def test_a_late_commit_comes_after_the_client_has_gone(stand_in, send, stored, wait_until):
    stand_in.control.add_rule("late_commit", seconds=0.8, **POST)
    with pytest.raises(httpx.ReadTimeout):
        send(timeout=0.2)
    assert stored() == 0
    wait_until(lambda: stored() == 1)


def test_a_late_commit_answers_late_or_drops_at_once(stand_in, send, stored, wait_until):
    stand_in.control.add_rule("late_commit", seconds=0.3, count=1, **POST)
    stand_in.control.add_rule("late_commit", seconds=0.3, answer="drop", **POST)
    assert send().status_code == 201
    with pytest.raises(httpx.RemoteProtocolError):
        send()
    assert stored() == 1
    wait_until(lambda: stored() == 2)


def test_a_slow_drip_arrives_whole(stand_in, send):
    stand_in.control.add_rule("drip", chunk=32, seconds=0.02, **POST)
    began = time.monotonic()
    answer = send()
    assert answer.json()[0]["content"] == "x"
    assert time.monotonic() - began > 0.1


def test_a_drip_beats_a_timeout_between_bytes(stand_in, send, stored):
    stand_in.control.add_rule("drip", chunk=1, seconds=0.05, **POST)
    with pytest.raises(httpx.ReadTimeout):
        send(timeout=0.01)
    assert stored() == 1


def test_rules_skip_count_and_are_lifted(stand_in, send):
    rule = stand_in.control.add_rule("status", status=503, skip=1, count=2, **POST)
    assert [send().status_code for _ in range(4)] == [201, 503, 503, 201]
    (told,) = stand_in.control.rules()
    assert (told["id"], told["fired"]) == (rule, 2)
    assert stand_in.control.clear(rule) == 1
    assert stand_in.control.rules() == []


def test_a_seed_makes_chance_the_same_again(stand_in, send):
    def statuses() -> list[int]:
        stand_in.control.clear()
        stand_in.control.add_rule("status", status=503, probability=0.5, seed=3, **POST)
        return [send().status_code for _ in range(20)]

    first = statuses()
    assert first == statuses()
    assert set(first) == {201, 503}


def test_a_rule_for_another_path_does_nothing(stand_in, send):
    stand_in.control.add_rule("reset_before", path=r"/v3/.*/chat")
    assert send().status_code == 201


def test_a_bad_rule_is_refused(stand_in):
    with pytest.raises(ValueError, match="fault"):
        stand_in.control.add_rule("earthquake")


def test_counters_and_audit(stand_in, send, workspace: str):
    for _ in range(3):
        send()
    told = stand_in.control.counters()
    route = "POST /v3/workspaces/{workspace_id}/sessions/{session_id}/messages"
    assert told["requests"][route] == told["message_posts"] == told["messages_stored"] == 3
    audit = stand_in.control.audit(workspace)
    assert audit["total"] == {"stored": 3, "duplicates": 2, "without_key": 0, "misordered": 0}
    assert list(audit["sessions"]) == ["s"]


def test_the_audit_sees_what_is_out_of_order(stand_in, client, workspace: str):
    path = f"/v3/workspaces/{workspace}/sessions/s/messages"
    for index in (1, 3, 2, 10):
        one = {"content": "x", "peer_id": "alice", "metadata": {"index": str(index)}}
        client.post(path, json={"messages": [one]})
    assert stand_in.control.audit(workspace, order="index")["total"]["misordered"] == 1


def test_connections_are_kept_and_dropped_after_a_500(stand_in, workspace: str):
    host, port = stand_in.url.removeprefix("http://").split(":")

    def ask(wire: socket.socket, path: str) -> bytes:
        wire.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return wire.recv(65_536)

    with socket.create_connection((host, int(port)), timeout=5) as wire:
        for _ in range(3):
            assert b"200 OK" in ask(wire, "/health")
        stand_in.control.add_rule("status", status=500)
        assert b" 500 " in ask(wire, "/health")
        assert wire.recv(1) == b""
