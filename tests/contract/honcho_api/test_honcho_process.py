"""The stand-in as a process: durable under kill -9, clean at SIGTERM, clear when it cannot start."""

import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest


def test_what_was_answered_survives_a_kill(start_stand_in):
    stand_in = start_stand_in()

    def write(thread: int) -> int:
        """Send until the server dies; how many batches were answered."""
        answered = 0
        batch = [{"content": "x", "peer_id": "a", "metadata": {"afterturn": f"{thread}"}}] * 20
        with httpx.Client(base_url=stand_in.url) as client:
            while True:
                try:
                    path = f"/v3/workspaces/w/sessions/s{thread}/messages"
                    client.post(path, json={"messages": batch}).raise_for_status()
                except httpx.TransportError:
                    return answered
                answered += 1
                if thread == 0 and answered == 40:
                    stand_in.kill()

    with ThreadPoolExecutor(4) as pool:
        answered = list(pool.map(write, range(4)))
    stand_in.start()
    for thread, batches in enumerate(answered):
        stored = len(stand_in.control.messages("w", f"s{thread}"))
        assert stored % 20 == 0, "a batch is stored whole or not at all"
        assert stored >= batches * 20, "what was answered is there"
    assert stand_in.stop() == ""


def test_sixteen_threads_in_one_session_store_contiguous_batches(start_stand_in, connect):
    stand_in = start_stand_in()
    honcho = connect(stand_in.url, "w")
    alice, session = honcho.peer("alice"), honcho.session("s")

    def write(thread: int) -> None:
        for batch in range(5):
            session.add_messages([alice.message(f"{thread}.{batch}.{n}") for n in range(20)])

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(write, range(16)))
    rows = stand_in.control.messages("w", "s")
    assert [row["seq"] for row in rows] == list(range(1, 1601))
    batches = [rows[at : at + 20] for at in range(0, 1600, 20)]
    seen = set()
    for batch in batches:
        head = batch[0]["content"].rpartition(".")[0]
        assert [row["content"] for row in batch] == [f"{head}.{n}" for n in range(20)]
        seen.add(head)
    assert len(seen) == 80


def test_it_stops_cleanly_and_quietly_even_while_a_request_hangs(start_stand_in, wait_until):
    stand_in = start_stand_in()
    stand_in.control.add_rule("hang", path="/health")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(httpx.get, f"{stand_in.url}/health", timeout=20)
        wait_until(lambda: stand_in.control.rules()[0]["fired"])
        errors = stand_in.stop()
        with pytest.raises(httpx.TransportError):
            waiting.result()
    assert (stand_in.process.returncode, errors) == (0, "")


def test_a_port_in_use_is_said_in_one_sentence(start_stand_in, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "afterturn_sandbox.honcho", "--data", tmp_path]
        told = subprocess.run(
            [*command, "--port", str(port)], capture_output=True, text=True, check=False
        )
    assert told.returncode == 1
    assert told.stderr.startswith(f"The Honcho stand-in cannot listen on 127.0.0.1:{port}: ")
    assert told.stderr.count("\n") == 1


def test_default_latency(start_stand_in):
    stand_in = start_stand_in("--latency-ms", "150")
    answer = httpx.get(f"{stand_in.url}/health")
    assert answer.elapsed.total_seconds() >= 0.15
