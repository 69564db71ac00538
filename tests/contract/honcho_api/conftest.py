"""The Honcho under test: the stand-in as a real process, or the one that HONCHO_URL names."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from honcho import Honcho

from afterturn_sandbox.honcho.control import Control

START_SECONDS = 20


class StandIn:
    """A stand-in's process over a data folder; it can be killed and started again."""

    def __init__(self, folder: Path, *options: str, env: dict[str, str] | None = None) -> None:
        self.folder = folder
        self._options = options
        self._env = {**os.environ, **(env or {})}
        self.start()

    def start(self) -> None:
        ready = self.folder / f"ready-{uuid.uuid4().hex}"
        command = [sys.executable, "-m", "afterturn_sandbox.honcho", "--data", self.folder / "data"]
        self.process = subprocess.Popen(
            [*command, "--ready-file", ready, *self._options],
            env=self._env,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + START_SECONDS
        while not ready.exists():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline, "the stand-in did not start"
            time.sleep(0.02)
        told = json.loads(ready.read_text())
        assert told["pid"] == self.process.pid
        self.url: str = told["url"]
        self.control = Control(self.url)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()

    def stop(self) -> str:
        """Ask it to stop; what it wrote to stderr."""
        if self.process.poll() is None:
            self.process.terminate()
        _, errors = self.process.communicate(timeout=START_SECONDS)
        return errors


@pytest.fixture(scope="session")
def named_honcho() -> str | None:
    return os.environ.get("HONCHO_URL")


@pytest.fixture(scope="session")
def start_stand_in(
    tmp_path_factory: pytest.TempPathFactory, named_honcho: str | None
) -> Iterator[Callable[..., StandIn]]:
    """Start a stand-in with options; all of them are stopped at the end."""
    if named_honcho:
        pytest.skip("needs the stand-in's own controls or answers; HONCHO_URL names another Honcho")
    started: list[StandIn] = []

    def start(*options: str, env: dict[str, str] | None = None) -> StandIn:
        started.append(StandIn(tmp_path_factory.mktemp("honcho"), *options, env=env))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture(scope="session")
def shared_stand_in(start_stand_in: Callable[..., StandIn]) -> StandIn:
    return start_stand_in()


@pytest.fixture
def stand_in(shared_stand_in: StandIn) -> Iterator[StandIn]:
    """The shared stand-in, without faults and with counters at zero."""
    shared_stand_in.control.clear()
    shared_stand_in.control.reset_counters()
    yield shared_stand_in
    shared_stand_in.control.clear()
    shared_stand_in.control.set_pace(deriver_delay_seconds=0, latency_seconds=0)


@pytest.fixture(scope="session")
def honcho_url(named_honcho: str | None, request: pytest.FixtureRequest) -> str:
    return named_honcho or request.getfixturevalue("shared_stand_in").url


@pytest.fixture(scope="session")
def api_key() -> str | None:
    return os.environ.get("HONCHO_API_KEY")


@pytest.fixture
def workspace() -> str:
    return f"contract-{uuid.uuid4().hex}"


@pytest.fixture(scope="session")
def connect() -> Iterator[Callable[..., Honcho]]:
    """Make SDK clients that never repeat a request; their sockets are closed at the end."""
    made: list[Honcho] = []

    def make(url: str, workspace: str, api_key: str | None = None) -> Honcho:
        client = Honcho(base_url=url, api_key=api_key, workspace_id=workspace, max_retries=0)
        made.append(client)
        return client

    yield make
    for client in made:
        client._http.close()  # the SDK has no public close


@pytest.fixture
def honcho(
    connect: Callable[..., Honcho], honcho_url: str, api_key: str | None, workspace: str
) -> Honcho:
    """An SDK client in a workspace of its own."""
    return connect(honcho_url, workspace, api_key)


@pytest.fixture
def raw(honcho_url: str, api_key: str | None, workspace: str) -> Iterator[httpx.Client]:
    """A plain HTTP client at the workspace's path, for what the SDK would not send."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    base = f"{honcho_url}/v3/workspaces/{workspace}"
    with httpx.Client(base_url=base, headers=headers, timeout=30) as client:
        client.post(f"{honcho_url}/v3/workspaces", json={"id": workspace})
        yield client


@pytest.fixture
def wait_until() -> Callable[[Callable[[], Any]], Any]:
    """Poll a condition until it holds; its value."""

    def wait(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
        deadline = time.monotonic() + seconds
        while True:
            value = condition()
            if value:
                return value
            assert time.monotonic() < deadline, "the condition never held"
            time.sleep(0.02)

    return wait
