"""The store's contract runs on the one in memory and on the one on Postgres."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from support.store_worlds import InMemory, OnPostgres, World


@pytest.fixture(params=["memory", "postgres"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "memory":
        yield InMemory()
    else:
        yield OnPostgres(request.getfixturevalue("database"))


@pytest.fixture
def session(world: World) -> uuid.UUID:
    opened = world.open()
    world.capture(opened, "ua")
    return opened
