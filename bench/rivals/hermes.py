"""The Honcho provider of Hermes as published, driven by its public interface.

It runs in Hermes' own environment: nothing of ours is imported but what needs the standard library.
"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

from bench.child import serve
from bench.talk import handlers


def _configure() -> None:
    """Write the provider's own configuration file, as its setup would."""
    settings = {
        "baseUrl": os.environ["BENCH_HONCHO_URL"],
        "apiKey": "none",
        "workspace": f"{os.environ['BENCH_WORKSPACE']}-hermes",
        "peerName": "user",
        "aiPeer": "hermes",
        "sessionStrategy": "per-session",
        "timeout": 30,
    }
    place = Path(os.environ["HERMES_HOME"]) / "honcho.json"
    place.write_text(json.dumps(settings), encoding="utf-8")


class Hermes:
    """A provider a conversation, as Hermes makes one a session."""

    def __init__(self, talks: int) -> None:
        from plugins.memory.honcho import (  # type: ignore[import-not-found]  # in its environment
            HonchoMemoryProvider,
        )

        _configure()
        self._providers: list[Any] = [HonchoMemoryProvider() for _ in range(talks)]
        for number, provider in enumerate(self._providers):
            provider.initialize(f"t{number}", platform="cli", hermes_home=os.environ["HERMES_HOME"])
        deadline = time.monotonic() + 60
        while not all(provider._session_ready() for provider in self._providers):  # noqa: SLF001 - nothing public tells
            if time.monotonic() > deadline:
                raise TimeoutError("the provider did not open its session")
            time.sleep(0.05)
        self._turn = [0] * talks

    def begin(self, talk: int, text: str) -> bool:
        """Call what Hermes calls before the model."""
        self._turn[talk] += 1
        self._providers[talk].on_turn_start(self._turn[talk], text)
        return bool(self._providers[talk].prefetch(text))

    def end(self, talk: int, text: str, reply: str) -> None:
        """Call what Hermes calls after the model."""
        self._providers[talk].sync_turn(text, reply)
        self._providers[talk].queue_prefetch(text)

    def send(self, talk: int, turns: int, texts: list[list[str]]) -> None:
        """Send turns without their prefetches, and wait until the last is there."""
        provider = self._providers[talk]
        for turn in range(turns):
            provider.sync_turn(*texts[(talk + turn) % len(texts)])
        provider.on_session_end([])
        provider.shutdown()


def drain(talks: int, turns: int, texts: list[list[str]]) -> dict[str, Any]:
    """Send a backlog of so many turns in each of so many conversations, all side by side."""
    hermes = Hermes(talks)
    threads = [
        threading.Thread(target=hermes.send, args=(talk, turns, texts)) for talk in range(talks)
    ]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"messages": 2 * talks * turns, "seconds": time.perf_counter() - began}


if __name__ == "__main__":
    serve({**handlers(Hermes), "drain": drain})
