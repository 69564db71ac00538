"""Fixtures for the worker's tests: a stand-in that asks for a key."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from afterturn import Memory
from afterturn_sandbox.honcho.control import Control
from support.tool_caller import Caller
from support.waiting import eventually


class KeyedHoncho:
    """A stand-in that lets in one key only."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self.key = key
        self.control = Control(url)


@pytest.fixture(scope="session")
def keyed_honcho(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedHoncho]:
    """Run a stand-in with a key of its own."""
    folder = tmp_path_factory.mktemp("keyed-honcho")
    ready, key = folder / "ready.json", "hch-v3-right-key"
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "afterturn_sandbox.honcho",
            "--data",
            str(folder / "data"),
            "--ready-file",
            str(ready),
        ],
        env={**os.environ, "AFTERTURN_SANDBOX_HONCHO_KEY": key},
    )
    try:
        eventually(lambda: ready.exists() or process.poll() is not None, within=30)
        yield KeyedHoncho(json.loads(ready.read_text())["url"], key)
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def opening(workspace: str) -> Iterator[Callable[..., Caller]]:
    """Give a function that opens a memory with settings, and a session of it."""
    memories: list[Memory] = []

    def start(name: str = "talk", **settings: Any) -> Caller:
        told = {"workspace": workspace, "peer_name": "ann", "ai_peer": "clerk"}
        memory = Memory.open(**{**told, **settings})
        memories.append(memory)
        return Caller(memory, memory.session(name=name))

    yield start
    for memory in memories:
        memory.close()
