"""The worker under pytest-celery, whose nodes are processes here instead of Docker's containers."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from pytest_celery import (
    CeleryBackendCluster,
    CeleryBrokerCluster,
    CeleryTestSetup,
    CeleryTestWorker,
    RedisTestBackend,
    RedisTestBroker,
)

from afterturn_models.broker import celery_config, send
from afterturn_models.db import Database
from afterturn_models.signatures import sync_session
from support.captured import Captures
from support.process_nodes import ProcessContainer, ProcessWorker, ServerRedis
from support.waiting import eventually
from support.workers import WorkerProcess


@pytest.fixture
def celery_broker_cluster(redis_url: str) -> CeleryBrokerCluster:
    return CeleryBrokerCluster(RedisTestBroker(ServerRedis("broker", redis_url)))


@pytest.fixture
def celery_backend_cluster(redis_url: str) -> CeleryBackendCluster:
    return CeleryBackendCluster(RedisTestBackend(ServerRedis("backend", redis_url)))


@pytest.fixture
def default_worker_container_cls() -> type[ProcessWorker]:
    return ProcessWorker


@pytest.fixture(scope="session")
def default_worker_container_session_cls() -> type[ProcessWorker]:
    return ProcessWorker


@pytest.fixture
def default_worker_app(celery_setup_app):
    return celery_setup_app


@pytest.fixture
def default_worker_container(start_worker: Callable[..., WorkerProcess]) -> ProcessWorker:
    """Start our worker where the plugin would start a container; `start_worker` ends it."""
    numbers = itertools.count(1)
    raw = ProcessContainer("worker", lambda: start_worker(f"node{next(numbers)}"))
    made = ProcessWorker(raw)
    assert made.ready()
    return made


@pytest.fixture
def celery_setup_cls() -> type[CeleryTestSetup]:
    class Setup(CeleryTestSetup):
        @classmethod
        def update_app_config(cls, app) -> None:
            app.conf.update(celery_config(app.conf.broker_url))

    return Setup


def test_a_worker_that_is_killed_and_started_again_goes_on(
    celery_setup: CeleryTestSetup, database: Database, workspace: str, honcho
) -> None:
    captures = Captures(database, workspace)
    session = captures.open()
    worker: CeleryTestWorker = celery_setup.worker
    assert celery_setup.ready(control=True, docker=True)
    captures.turn(session, "one", "two")
    send(celery_setup.app, sync_session(session))
    eventually(lambda: captures.settled(session))

    worker.kill()
    assert worker.container.status == "exited"
    captures.turn(session, "three", "four")
    send(celery_setup.app, sync_session(session))
    worker.restart()
    eventually(lambda: captures.settled(session))
    rows = honcho.control.messages(workspace, captures.honcho_session(session))
    assert [row["content"] for row in rows] == ["one", "two", "three", "four"]
