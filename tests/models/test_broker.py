"""The broker's contract: one configuration, five queues, tasks of ids and small numbers only."""

from __future__ import annotations

import base64
import inspect
import json
import uuid

import pytest
from celery import Celery
from celery.app.defaults import NAMESPACES, flatten
from celery.exceptions import QueueNotFound
from redis import Redis

from afterturn_models import signatures
from afterturn_models.asks import Op
from afterturn_models.broker import celery_config, publisher_config, send
from afterturn_models.signatures import QUEUES, TASK_QUEUE, Signature

SESSION = uuid.uuid4()
QUERY = "my address is a secret"
EVERY = [
    signatures.sync_session(SESSION),
    signatures.sync_session(SESSION, task_id="t1"),
    signatures.sync_session(SESSION, in_bulk=True),
    signatures.resync_part(SESSION, SESSION),
    signatures.prefetch_context(SESSION, 3),
    signatures.prefetch_dialectic(SESSION, 3),
    signatures.ask(SESSION, Op.SEARCH, {"query": QUERY}, user="ann", task_id="t2"),
    signatures.map_agents("w"),
    signatures.seed_identity(7),
    signatures.compact_session(SESSION),
    signatures.compact_session(SESSION, task_id="t3", force=True),
    signatures.drain(),
    signatures.drain(SESSION),
    signatures.index_history(SESSION),
]


@pytest.fixture
def app(redis_url):
    made = Celery("contract", set_as_current=False)
    made.config_from_object(celery_config(redis_url, visibility_timeout=77))
    yield made
    made.close()


def test_celery_knows_every_setting_that_we_say(app, redis_url):
    names = {name for name, _ in flatten(NAMESPACES)}
    # The backend reads this one, which Celery documents and does not list.
    assert set(celery_config(redis_url)) - names == {"redis_backend_health_check_interval"}
    parameters = app.backend.connparams
    assert parameters["health_check_interval"] == parameters["socket_timeout"] == 5
    assert parameters["socket_connect_timeout"] == 3
    assert parameters["socket_keepalive"] is True


def test_every_queue_is_there_with_its_own_key(app):
    queues = app.amqp.queues
    assert set(queues) == set(QUEUES)
    assert {name: queue.routing_key for name, queue in queues.items()} == {q: q for q in QUEUES}
    assert app.conf.broker_transport_options["visibility_timeout"] == 77
    assert app.conf.accept_content == ["json"]
    assert app.conf.result_accept_content == ["json"]


def test_every_task_is_routed_to_its_queue(app):
    for task, queue in TASK_QUEUE.items():
        assert app.amqp.router.route({}, task)["queue"].name == queue


def test_an_unknown_queue_is_not_made_up(app):
    with pytest.raises(QueueNotFound):
        app.amqp.router.route({"queue": "nowhere"}, "x")


@pytest.mark.parametrize("signature", EVERY, ids=lambda s: s.name)
def test_a_task_arrives_in_its_queue_with_its_arguments(app, redis_url, signature):
    send(app, signature)
    with Redis.from_url(redis_url) as client:
        assert client.llen(f"afterturn:{signature.queue}") == 1
        envelope = json.loads(client.lindex(f"afterturn:{signature.queue}", 0))
    headers = envelope["headers"]
    assert (headers["task"], headers["ignore_result"]) == (signature.name, signature.ignore_result)
    assert envelope["content-type"] == "application/json"
    assert signature.task_id in {None, headers["id"]}


def test_what_is_asked_shows_nowhere(app, redis_url):
    asked = next(s for s in EVERY if s.name == signatures.ASK)
    send(app, asked)
    with Redis.from_url(redis_url) as client:
        envelope = json.loads(client.lindex("afterturn:interactive", 0))
    assert QUERY not in json.dumps(envelope["headers"])
    assert "search" in envelope["headers"]["kwargsrepr"]
    _, kwargs, _ = json.loads(base64.b64decode(envelope["body"]))
    assert kwargs["arguments"] == {"query": QUERY}


@pytest.mark.parametrize("signature", [s for s in EVERY if s.shown is None], ids=lambda s: s.name)
def test_no_other_task_carries_text(signature):
    if signature.name == signatures.MAP_AGENTS:
        assert signature.kwargs == {"workspace": "w"}
        return
    assert set(signature.kwargs) <= {"session_id", "job_id", "seed_id", "turn", "late", "force"}
    for value in signature.kwargs.values():
        assert isinstance(value, int) or uuid.UUID(value) == SESSION
    assert len(json.dumps(signature.kwargs)) < 120


def test_every_maker_of_signatures_is_tested_here():
    makers = {
        name
        for name, member in inspect.getmembers(signatures, inspect.isfunction)
        if not name.startswith("_") and member.__module__ == signatures.__name__
        and member.__annotations__.get("return") == "Signature"
    }  # fmt: skip
    assert {s.name.removeprefix("afterturn.") for s in EVERY} == makers


def test_a_result_is_kept_only_where_somebody_will_read_it():
    assert [s.task_id for s in EVERY if not s.ignore_result] == [
        "t1",
        f"{SESSION}.3.context",
        f"{SESSION}.3.dialectic",
        "t2",
        "t3",
    ]


def test_every_name_has_a_queue_that_exists():
    assert set(TASK_QUEUE.values()) <= set(QUEUES)
    with pytest.raises(KeyError):
        _ = Signature("afterturn.unheard_of").queue


def test_another_projects_broker_in_the_environment_does_not_count(monkeypatch):
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://elsewhere:6379/0")
    app = Celery("afterturn-test", set_as_current=False)
    app.conf.update(celery_config("redis://ours:6379/0"))
    assert app.connection_for_write().hostname == "ours"
    assert app.connection_for_read().hostname == "ours"


def test_a_publisher_tries_once_and_leaves_results_to_the_workers(redis_url):
    app = Celery("publisher", set_as_current=False)
    app.conf.update(publisher_config(redis_url))
    send(app, signatures.sync_session(SESSION, task_id="t1"))
    with Redis.from_url(redis_url) as client:
        headers = json.loads(client.lindex("afterturn:sync", 0))["headers"]
        assert client.pubsub_channels() == []
    assert (headers["id"], headers["ignore_result"]) == ("t1", False)
    assert app.conf.broker_transport_options["max_retries"] == 0
    assert "max_retries" not in celery_config(redis_url)["broker_transport_options"]
    app.close()
