"""Fixtures for the worker's tests: a stand-in that asks for a key."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from afterturn_sandbox.honcho.control import Control
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
