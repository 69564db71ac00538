"""Asking: one task for identical calls, a deadline that holds, and an answer whatever goes wrong."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from afterturn.asking import Asker
from afterturn.dispatch import Dispatcher
from afterturn.popper import Popper
from afterturn_models.asks import Answer, Failure, Op, awaited_key
from support.ask_worker import QUEUE, AskWorker
from support.tcp_proxy import TcpProxy
from support.waiting import eventually, timed

SESSION = uuid4()
LONG = 30.0  # seconds; no test waits that long


class Parts:
    """An asker with the parts that it is made of."""

    def __init__(self, redis_url):
        self.popper, self.dispatcher = Popper(redis_url), Dispatcher(redis_url)
        self.asker = Asker(self.popper, self.dispatcher)

    def ask(self, op=Op.SEARCH, arguments=None, *, user="ann", seconds=LONG):
        return self.asker.ask(
            SESSION, op, arguments or {"query": "tea"}, user=user, seconds=seconds
        )

    def close(self):
        self.dispatcher.close()
        self.popper.close()


@pytest.fixture
def parts(redis_url):
    made = Parts(redis_url)
    yield made
    made.close()


@pytest.fixture
def proxied(redis_url):
    with TcpProxy(redis_url) as proxy:
        made = Parts(proxy.url)
        yield made, proxy
        made.close()


@pytest.fixture
def worker(redis_url):
    def start(reply=lambda op, arguments: Answer({"echo": [op, arguments]})):
        return AskWorker(redis_url, reply)

    return start


def test_an_answer_comes_back_and_nothing_is_left(parts, worker, look):
    with worker() as answering:
        assert parts.ask() == Answer({"echo": ["search", {"query": "tea"}]})
    (ask,) = answering.asks
    assert (ask["user"], ask["session_id"], ask["taken"]) == ("ann", str(SESSION), True)
    assert 0 < ask["left"] <= LONG * 1000
    assert not look.redis.keys("*awaited*")
    assert not look.redis.keys("*task-meta*")


def test_a_refusal_is_an_answer_too(parts, worker):
    said = Answer(failure=Failure.BUDGET, sentence="the hour's questions are spent")
    with worker(lambda op, arguments: said):
        assert parts.ask() == said


def test_no_query_is_shown_where_queues_are_watched(parts, worker, look):
    asked = parts.asker.start(SESSION, Op.SEARCH, {"query": "my secret"}, user="ann", seconds=5)
    eventually(lambda: look.redis.llen(QUEUE))
    assert b"my secret" not in look.redis.lrange(QUEUE, 0, -1)[0]  # the body is encoded
    with worker():
        assert asked.wait().value


@pytest.mark.parametrize("op", list(Op))
def test_at_the_deadline_a_sentence_says_what_happened(parts, op):
    said, took = timed(lambda: parts.ask(op, seconds=0.3))
    assert said.failure is Failure.TIMEOUT
    assert said.sentence.startswith("Memory did not answer within 0.3 s.")
    writes = op in {Op.CONCLUDE, Op.UNCONCLUDE, Op.SET_PROFILE, Op.DELETE_SESSION}
    assert ("may have been made" in said.sentence) is writes
    assert 0.3 <= took < 2


def test_an_ask_that_nobody_waits_for_any_more_is_not_made(parts, worker, look):
    assert parts.ask(seconds=0.2).failure is Failure.TIMEOUT
    eventually(lambda: not look.redis.keys("afterturn:awaited:*"))  # by Redis' own clock
    with worker() as answering:
        eventually(lambda: answering.asks)
        assert [ask["taken"] for ask in answering.asks] == [False]


def test_what_waited_can_be_asked_for_again(parts, worker):
    with worker():
        asked = parts.asker.start(SESSION, Op.PROFILE, {}, user="ann", seconds=LONG)
        assert asked.wait() == asked.wait()


def test_two_asks_are_under_way_at_once(parts, worker, look):
    started = [
        parts.asker.start(SESSION, op, {"query": "x"}, user="ann", seconds=LONG)
        for op in (Op.RECALL, Op.DIALECTIC)
    ]
    eventually(lambda: look.redis.llen(QUEUE) == 2)
    with worker(lambda op, arguments: Answer(op)):
        assert [asked.wait().value for asked in started] == ["recall", "dialectic"]


def test_identical_calls_in_flight_are_one_task_and_all_get_its_answer(parts, worker, look):
    go = threading.Event()

    def reply(op, arguments):
        assert go.wait(LONG)
        return Answer({"n": 1})

    with worker(reply) as answering, ThreadPoolExecutor(24) as threads:
        calls = [threads.submit(parts.ask) for _ in range(16)]
        others = [
            threads.submit(parts.ask, Op.SEARCH, {"query": "coffee"}),
            threads.submit(parts.ask, Op.SEARCH, {"query": "tea"}, user="bob"),
            threads.submit(parts.ask, Op.CONTEXT, {"query": "tea"}),
        ]
        eventually(lambda: len(parts.asker._flights) == 4)
        eventually(lambda: all(call.running() for call in [*calls, *others]))
        go.set()
        assert {str(call.result(LONG).value) for call in [*calls, *others]} == {"{'n': 1}"}
        assert len(answering.asks) == 4
        assert parts.ask() == Answer({"n": 1})  # not in flight any more: asked anew
        assert len(answering.asks) == 5


def test_the_order_of_arguments_makes_no_other_call(parts, worker):
    go = threading.Event()
    with worker(lambda op, arguments: Answer(go.wait(LONG))) as answering:
        one = parts.asker.start(SESSION, Op.SEARCH, {"a": 1, "b": 2}, user="ann", seconds=LONG)
        two = parts.asker.start(SESSION, Op.SEARCH, {"b": 2, "a": 1}, user="ann", seconds=LONG)
        go.set()
        assert one.wait() == two.wait() == Answer(True)
        assert len(answering.asks) == 1


def test_one_who_joins_waits_no_longer_than_they_said(parts, worker):
    go = threading.Event()
    with worker(lambda op, arguments: Answer(go.wait(LONG))), ThreadPoolExecutor(1) as threads:
        patient = threads.submit(parts.ask)
        eventually(lambda: parts.asker._flights)
        hasty, took = timed(lambda: parts.ask(seconds=0.2))
        assert hasty.failure is Failure.TIMEOUT
        assert took < 2
        go.set()
        assert patient.result(LONG) == Answer(True)


def test_the_answer_is_found_though_the_first_who_asked_never_waits(parts, worker):
    with worker():
        parts.asker.start(SESSION, Op.SEARCH, {"query": "tea"}, user="ann", seconds=LONG)
        assert parts.ask().value["echo"][0] == "search"


def test_asks_that_nobody_waits_for_are_forgotten(parts):
    for number in range(50):
        parts.asker.start(SESSION, Op.SEARCH, {"n": number}, user="ann", seconds=0.01)
    time.sleep(0.02)  # until their deadline, which nothing announces
    parts.asker.start(SESSION, Op.SEARCH, {"n": "new"}, user="ann", seconds=0.01)
    assert len(parts.asker._flights) == 1


@pytest.mark.parametrize("arguments", [{"at": object()}, {"n": float("nan")}, {1: {2}}])
def test_arguments_that_are_no_json_are_refused(parts, arguments):
    said = parts.ask(arguments=arguments)
    assert said.failure is Failure.REFUSED
    assert "no JSON" in said.sentence


def test_without_redis_the_answer_is_an_outage_at_once(proxied):
    parts, proxy = proxied
    proxy.refuse()
    for _ in range(3):
        said, took = timed(parts.ask)
        assert said.failure is Failure.OUTAGE
        assert "Nothing was done" in said.sentence
        assert took < 1


def test_a_redis_that_falls_silent_meanwhile_is_an_outage_soon(proxied, worker):
    parts, proxy = proxied
    with worker(lambda op, arguments: None) as answering, ThreadPoolExecutor(1) as threads:
        call = threads.submit(parts.ask, Op.CONCLUDE, {"text": "likes tea"})
        eventually(lambda: answering.asks)
        proxy.silent = True
        said, took = timed(lambda: call.result(LONG))
        assert said.failure is Failure.OUTAGE
        assert "may have been made" in said.sentence
        assert took < 2


def test_a_broker_that_takes_nothing_for_now_is_an_outage_at_once(parts, monkeypatch):
    with parts.dispatcher._wake:
        parts.dispatcher._pausing = True
    said, took = timed(parts.ask)
    assert said.failure is Failure.OUTAGE
    assert took < 1


@pytest.mark.parametrize("raw", [b"nonsense", b"[]", b'{"status": "FAILURE", "result": {}}'])
def test_what_is_no_answer_is_a_defect_and_no_exception(parts, look, raw):
    asked = parts.asker.start(SESSION, Op.PROFILE, {}, user="ann", seconds=LONG)
    (key,) = look.redis.keys(awaited_key("*"))
    look.redis.set(key.replace(b"awaited:", b"celery-task-meta-"), raw)
    assert asked.wait().failure is Failure.DEFECT


def test_a_fork_begins_with_nothing_under_way(parts):
    parts.asker.start(SESSION, Op.PROFILE, {}, user="ann", seconds=LONG)
    parts.asker.forked()
    assert parts.asker._flights == {}
