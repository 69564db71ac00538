"""Fixtures for the Honcho client's tests: a workspace of the test's own, with people in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from afterturn_worker.honcho.client import HonchoClient
from support.recall_world import World


@pytest.fixture
def world(honcho, workspace: str) -> Iterator[World]:
    """Give a client on an empty workspace, after the one request that the SDK makes first."""
    client = HonchoClient(honcho.url, None)
    client.peer_of_agent(workspace, "nobody", deadline=10)
    yield World(client, honcho.control, workspace)
    client.close()


@pytest.fixture
def met(world: World) -> World:
    """Give the workspace after `ann` has told `bot` something in session `s`."""
    world.say("s", ("ann", "I live in Lisbon."), ("bot", "I use short answers in Lisbon."))
    return world
