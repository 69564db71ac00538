"""The write frequency `turn`: what the hint's own task says, else the cursor, else the deadline."""

from __future__ import annotations

import json
import threading
import time

import pytest

from afterturn import Memory, sync_wait
from afterturn_models.prefetched import result_key
from afterturn_models.values import Standing
from support.tcp_proxy import TcpProxy
from support.waiting import eventually, timed

LONG = 30.0  # seconds; no test waits that long


@pytest.fixture(autouse=True)
def nobody_is_patient(monkeypatch):
    monkeypatch.setattr("afterturn.sync_wait.ANSWER_WITHIN", 0.3)


@pytest.fixture
def memory(agent_env):
    with Memory.open(write_frequency="turn", turn_sync_seconds=LONG) as opened:
        yield opened


class Worker:
    """Takes the hints of one session out of the queue and leaves results, as a worker would."""

    def __init__(self, look):
        self._look = look
        self.taken = []

    def take(self):
        """Wait for a hint; gives its headers."""
        _, raw = self._look.redis.brpop(["afterturn:sync"], 20)
        self.taken.append(json.loads(raw)["headers"])
        return self.taken[-1]

    def says(self, result, status="SUCCESS"):
        """Answer the next hint from a thread."""

        def answer():
            self._look.put_raw(self.take()["id"], result, status)

        thread = threading.Thread(target=answer)
        thread.start()
        return thread


@pytest.fixture
def worker(look):
    return Worker(look)


def save(look, index):
    look.query(
        "UPDATE cursors SET last_saved_index = %(index)s WHERE session_id = %(id)s",
        index=index,
        id=look.id("talk"),
    )


def test_the_hint_asks_for_its_result_and_no_other_does(memory, look, worker):
    session = memory.session(name="talk")
    thread = worker.says({"standing": "synced"})
    assert session.begin_turn("a").end("b").synced
    thread.join()
    assert worker.taken[0]["ignore_result"] is False
    assert not look.redis.exists(result_key(worker.taken[0]["id"]))  # popped
    session.close()
    assert worker.take()["ignore_result"] is True


@pytest.mark.parametrize("standing", ["waiting", "parked", "gone"])
def test_what_waiting_would_not_help_is_not_waited_for(memory, worker, standing):
    """A back-off must pass, or a person act: the user is not kept."""
    thread = worker.says({"standing": standing})
    result, took = timed(lambda: memory.session(name="talk").begin_turn("a").end("b"))
    thread.join()
    assert (result.synced, result.spooled) == (False, False)
    assert took < LONG / 2


OPEN = [
    ({"standing": "busy"}, "SUCCESS"),
    ({"standing": "more"}, "SUCCESS"),
    ({"standing": "a word of a later version"}, "SUCCESS"),
    (None, "SUCCESS"),
    ({"exc_type": "KeyError"}, "FAILURE"),
]


@pytest.mark.parametrize(("said", "status"), OPEN, ids=str)
def test_what_leaves_it_open_has_the_cursor_watched(memory, look, worker, said, status):
    session = memory.session(name="talk")
    answering = worker.says(said, status)

    def save_later():
        answering.join()
        eventually(lambda: look.rows("talk"))
        save(look, 2)

    saving = threading.Thread(target=save_later)
    saving.start()
    assert session.begin_turn("a").end("b").synced
    saving.join()


def test_no_answer_at_all_has_the_cursor_watched_and_its_back_off_seen(memory, look):
    """Nobody takes the hint: what the relay's next one comes to is read in Postgres."""
    session = memory.session(name="talk")

    def hold_up():
        eventually(lambda: look.rows("talk"))
        look.query(
            "UPDATE cursors SET run_at = now() + interval '1 hour' WHERE session_id = %(id)s",
            id=look.id("talk"),
        )

    thread = threading.Thread(target=hold_up)
    thread.start()
    result, took = timed(lambda: session.begin_turn("a").end("b"))
    thread.join()
    assert (result.synced, result.spooled) == (False, False)
    assert took < LONG / 2


def test_a_session_that_is_deleted_meanwhile_is_not_waited_for(memory, look):
    session = memory.session(name="talk")

    def delete():
        eventually(lambda: look.rows("talk"))
        look.query("DELETE FROM sessions WHERE id = %(id)s", id=look.id("talk"))

    thread = threading.Thread(target=delete)
    thread.start()
    result, took = timed(lambda: session.begin_turn("a").end("b"))
    thread.join()
    assert not result.synced
    assert took < LONG / 2


def test_at_the_deadline_it_is_still_under_way(agent_env, look):
    with Memory.open(write_frequency="turn", turn_sync_seconds=0.5) as memory:
        result, took = timed(lambda: memory.session(name="talk").begin_turn("a").end("b"))
    assert (result.synced, result.spooled) == (False, False)
    assert 0.5 <= took < 3


@pytest.mark.parametrize("how", ["stopped", "silent"])
def test_without_redis_the_cursor_is_watched(agent_env, look, redis_url, how):
    with TcpProxy(redis_url) as proxy:
        if how == "stopped":
            proxy.refuse()
        proxy.silent = how == "silent"
        with Memory.open(
            redis_url=proxy.url, write_frequency="turn", turn_sync_seconds=LONG
        ) as memory:
            session = memory.session(name="talk")
            saving = threading.Thread(
                target=lambda: eventually(lambda: look.rows("talk")) and save(look, 2)
            )
            saving.start()
            assert session.begin_turn("a").end("b").synced
            saving.join()
            proxy.refuse()  # or the close would wait for a hint that is being sent


def test_looks_are_modest(memory, monkeypatch):
    """Polls begin at 5 ms and go to 50 ms: a second without an answer is about 25 of them."""
    asked = []
    popper = memory._services.popper
    pop = popper.pop
    monkeypatch.setattr(popper, "pop", lambda ids: asked.append(ids) or pop(ids))
    monkeypatch.setattr("afterturn.sync_wait.ANSWER_WITHIN", 1.0)
    assert sync_wait.answer(popper, "nobody's", time.monotonic() + 1.0) is None
    assert 5 <= len(asked) <= 30
    assert all(len(ids) == 1 for ids in asked)


def test_two_threads_that_wait_for_one_session_each_get_an_answer(memory, look, worker):
    """Their hints are not made one: each waits for a task of its own."""
    session = memory.session(name="talk")
    with memory._services.dispatcher._wake:  # both wait to be sent
        dispatcher = memory._services.dispatcher
        opened = session.opened()
        dispatcher.hint(opened.id, task_id="one")
        dispatcher.hint(opened.id)
        dispatcher.hint(opened.id, task_id="two")
    assert dispatcher.drain(20)
    assert [worker.take()["id"] for _ in range(2)] == ["one", "two"]
    assert look.hints() == []


@pytest.mark.parametrize(
    "raw",
    [b"", b"nonsense", b"[]", b"null", b'{"status": "SUCCESS"}', b'{"result": {"standing": "synced"}}',
     b'{"status": "SUCCESS", "result": "synced"}', b'{"status": "SUCCESS", "result": {"standing": 1}}',
     b'{"status": "SUCCESS", "result": {"standing": []}}', b"[" * 100_000],
)  # fmt: skip
def test_what_is_no_answer_says_nothing(raw):
    assert sync_wait.decode(raw) is None


@pytest.mark.parametrize("standing", list(Standing))
def test_every_standing_is_understood(standing):
    raw = json.dumps({"status": "SUCCESS", "result": {"standing": standing.value}})
    assert sync_wait.decode(raw) is standing


def test_with_a_real_worker_a_turn_that_ended_is_at_honcho(start_worker, honcho, workspace):
    start_worker().ready()
    with Memory.open(write_frequency="turn", turn_sync_seconds=LONG) as memory:
        session = memory.session(name="talk")
        for number in range(3):
            assert session.begin_turn(f"a{number}").end(f"b{number}").synced
            assert len(honcho.control.messages(workspace, "talk")) == 2 * (number + 1)
        honcho.control.add_rule("status", path=".*/messages", status=401)
        result, took = timed(lambda: session.begin_turn("c").end("d"))
        assert not result.synced
        assert took < LONG / 2
