"""The store's contract runs on the one in memory and on the one on Postgres; so do prefetches."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from afterturn_models.db import Database
from support.prefetch_world import PrefetchWorld
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


@pytest.fixture(scope="session")
def flows_database(postgres: str) -> Iterator[Database]:
    """Open one migrated database for every test of prefetches."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE flows TEMPLATE template")
    database = Database(postgres.rpartition("/")[0] + "/flows", pool_size=8)
    yield database
    database.close()


@pytest.fixture
def ground(flows_database: Database) -> PrefetchWorld:
    """Give a session in it, and nothing else."""
    with flows_database.statement() as connection:
        connection.exec_driver_sql("DELETE FROM workspaces")
    return PrefetchWorld(flows_database)
