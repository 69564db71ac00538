"""Tools through a real worker: a whole conversation, and what a model hears on bad days."""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
import redis
from celery import Celery

from afterturn_models import signatures
from afterturn_models.asks import Op, ask_task_id, awaited_key
from afterturn_models.broker import celery_config
from afterturn_models.prefetched import result_key
from support.databases import shared_database
from support.tool_caller import Caller
from support.waiting import eventually
from support.workers import WorkerProcess

SECRET = "the-secret-figs"
CHAT = r".*/chat"
SLACK = 1.5  # seconds beyond a deadline, on a machine that does other things as well


@dataclass(frozen=True)
class Stack:
    """Where everything is, and the worker that all of these tests share."""

    env: dict[str, str]
    worker: WorkerProcess
    app: Celery


@pytest.fixture(scope="module")
def shared(
    postgres: str, valkey: str, honcho_process, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """Start one worker; its log is kept to the last word."""
    folder, name = tmp_path_factory.mktemp("asks"), f"asks{os.getpid()}"
    with shared_database(postgres, name) as database_url:
        env = {
            "HOME": str(folder),
            "AFTERTURN_HOME": str(folder / ".afterturn"),
            "AFTERTURN_DATABASE_URL": database_url,
            "AFTERTURN_REDIS_URL": valkey,
            "HONCHO_URL": honcho_process.url,
            "AFTERTURN_RELAY_SECONDS": "0.3",
        }
        app = Celery("looking-on", set_as_current=False)
        app.conf.update(celery_config(valkey))
        worker = WorkerProcess(
            name, env, folder / "worker.log", "--loglevel", "DEBUG", concurrency=8
        )
        try:
            yield Stack(env, worker.ready(), app)
        finally:
            worker.stop()
            app.close()


@pytest.fixture
def opened(
    shared: Stack, honcho, opening: Callable[..., Caller], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Caller]:
    """The same, on the stack that has a worker."""
    for name, value in shared.env.items():
        monkeypatch.setenv(name, value)
    return opening


def chats(honcho) -> int:
    requests = honcho.control.counters()["requests"]
    return sum(count for route, count in requests.items() if route.endswith("/chat"))


def test_a_conversation_with_every_tool(opened, honcho) -> None:
    """Learn a fact, find it, ask about it, conclude, list, delete, set a card and read it."""
    call = opened().learn(
        "I moved to Lisbon last spring, and I drink green tea every morning.",
        "My sister Bea keeps bees.",
    )

    described = call("honcho_session")
    assert described["session"] == "talk"
    assert (described["messages"], described["unsent"]) == (4, 0)
    assert set(described["peers"]) == {"ann", "clerk"}

    found = call("honcho_search", query="where does she live: Lisbon", limit=3)
    assert "Lisbon" in found["messages"][0]["text"]
    assert found["messages"][0]["by"] == "user"
    mine = call("honcho_search", query="lovely", **{"from": "agent"})
    assert [one["by"] for one in mine["messages"]] == ["agent"] * len(mine["messages"])
    assert call("honcho_search", query="Lisbon", created_before="2020-01-01") == {"messages": []}
    assert call("honcho_search", query="Lisbon", metadata={"part": "7"}) == {"messages": []}
    theirs = call("honcho_search_messages", query="bees", about="ann", **{"from": "user"})
    assert "Bea" in theirs["messages"][0]["text"]

    for name in ("honcho_recall", "honcho_analyze", "honcho_reasoning", "query_user_context"):
        assert "Lisbon" in call(name, query="Where does the user live, Lisbon?")["answer"], name
    assert call("honcho_recall", query="Lisbon?")["level"] == "minimal"
    assert call("honcho_analyze", query="Lisbon?" + " please" * 20)["level"] == "high"
    assert call("honcho_ask", query="Lisbon?", depth="thorough")["level"] == "high"
    assert call("honcho_reasoning", query="Lisbon?", reasoning_level="max")["level"] == "high"

    concluded = call("honcho_conclude", conclusion=f"Prefers {SECRET}.")
    assert concluded["text"] == f"Prefers {SECRET}."
    listed = call("honcho_conclude", list=True)["conclusions"]
    assert [one["text"] for one in listed] == [f"Prefers {SECRET}."]
    by_meaning = call("honcho_search_conclusions", query=f"prefers {SECRET}")["conclusions"]
    assert concluded["id"] in {one["id"] for one in by_meaning}
    assert call("honcho_conclude", delete_id=concluded["id"]) == {"deleted": concluded["id"]}
    assert call("honcho_conclude", list=True) == {"conclusions": []}
    assert "no conclusion" in call("honcho_conclude", delete_id=concluded["id"])["error"]

    assert call("honcho_profile") == {"peer": "user", "card": []}
    card = ["Lives in Lisbon", "Sister: Bea"]
    assert call("honcho_profile", card=card) == {"peer": "user", "card": card}
    assert call("honcho_profile")["card"] == card
    assert call("honcho_profile", peer="ai", card=["Is a clerk"])["peer"] == "agent"
    assert call("honcho_profile", peer="ai")["card"] == ["Is a clerk"]
    assert call("honcho_context", detail="card")["card"] == card

    full = eventually(lambda: _with_representation(call), within=15)
    assert full["card"] == card
    assert "Lisbon" in full["representation"]
    itself = call("honcho_context", peer="ai")
    assert itself["card"] == ["Is a clerk"]
    assert "Lisbon" not in json.dumps(itself)


def _with_representation(call: Caller) -> dict[str, Any] | None:
    full = call("honcho_context", query="where she lives")
    return full if full.get("representation") else None


def test_in_the_first_turn_nothing_is_known_and_nothing_fails(opened) -> None:
    """Before any message has reached Honcho: what is asked for is empty, what is written stays."""
    call = opened()
    call.session.begin_turn("Hello!")
    assert call("honcho_search", query="Lisbon") == {"messages": []}
    assert call("honcho_profile") == {"peer": "user", "card": []}
    assert call("honcho_conclude", list=True) == {"conclusions": []}
    assert call("honcho_context") == {"card": [], "representation": "", "summary": ""}
    assert call("honcho_recall", query="Where do I live?")["answer"] is None
    assert call("honcho_session")["unsent"] == 0
    assert call("honcho_conclude", conclusion="Says hello.")["text"] == "Says hello."
    assert len(call("honcho_search_conclusions", query="hello")["conclusions"]) == 1
    assert call("honcho_profile", card=["Polite"])["card"] == ["Polite"]


BAD_CHATS = {
    "takes 30 s": ({"fault": "latency", "seconds": 30}, "timeout", "did not answer within"),
    "fails": ({"fault": "status", "status": 500}, "outage", "Honcho failed"),
    "never answers": ({"fault": "hang"}, "timeout", "did not answer within"),
    "drops the answer": ({"fault": "lose_response"}, "outage", "Honcho failed"),
    "is overrun": (
        {"fault": "status", "status": 429, "retry_after": 7},
        "outage",
        "no more requests now; wait for 7 s",
    ),
    "refuses the key": ({"fault": "status", "status": 401}, "refused", "refuses the workers' key"),
}


def test_on_a_bad_day_of_honchos_the_tool_answers_within_its_deadline(opened, honcho) -> None:
    call = opened(ask_seconds=2.0).learn("I live in Lisbon.")
    for day, (rule, failure, sentence) in BAD_CHATS.items():
        honcho.control.add_rule(path=CHAT, **rule)
        took, answer = call.timed("honcho_recall", query=f"Where do I live when it {day}?")
        honcho.control.clear()
        assert took < 2.0 + SLACK, day
        assert (answer["failure"], sentence in answer["error"]) == (failure, True), (day, answer)
    _, answer = call.timed("honcho_recall", query="Where do I live, Lisbon?")
    assert "Lisbon" in answer["answer"]


def test_an_answer_that_comes_too_late_is_nobodys(opened, honcho) -> None:
    """The worker gives up just before the agent does: its sentence arrives, not the agent's own."""
    call = opened(ask_seconds=2.0).learn("I live in Lisbon.")
    honcho.control.add_rule("late_commit", path=CHAT, seconds=2.5)
    took, answer = call.timed("honcho_recall", query="Lisbon?")
    assert took < 2.0 + SLACK
    assert answer["failure"] == "timeout"
    assert answer["error"].startswith("Honcho did not answer within 1.")


def test_nothing_known_is_no_outage(opened) -> None:
    call = opened().learn("ok")
    answer = call("honcho_recall", query="What is the name of my boat?")
    if answer["answer"] is None:
        assert "no outage" in answer["note"]
    assert "error" not in answer


def test_with_honcho_down_what_postgres_knows_is_told(opened, honcho) -> None:
    call = opened().learn("one")
    honcho.control.add_rule("status", path=r".*/sessions/.*", status=503)
    call.session.begin_turn("two").end("noted")
    described = call("honcho_session")
    assert described["messages"] == 4
    assert described["unsent"] == 2
    assert "Honcho failed" in described["note"]
    honcho.control.clear()


def test_identical_calls_in_flight_are_made_once(opened, honcho) -> None:
    call = opened().learn("I live in Lisbon.")
    eventually(lambda: not _busy(honcho), within=5)
    before = chats(honcho)
    honcho.control.add_rule("latency", path=CHAT, seconds=1)
    answers: list[dict[str, Any]] = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(call("honcho_recall", query="Lisbon, where?"))
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(answers) == 8
    assert all("Lisbon" in answer["answer"] for answer in answers)
    assert chats(honcho) == before + 1


def _busy(honcho) -> bool:
    before = honcho.control.counters()["requests"]
    time.sleep(0.3)
    return bool(honcho.control.counters()["requests"] != before)


def test_a_write_whose_outcome_is_unknown_says_so(opened, honcho) -> None:
    call = opened(tool_seconds=1.5).learn("I live in Lisbon.")
    honcho.control.add_rule("lose_response", path=r".*/conclusions", method="POST")
    answer = call("honcho_conclude", conclusion="Likes figs.")
    assert "may have been made" in answer["error"]
    honcho.control.clear()
    assert [one["text"] for one in call("honcho_conclude", list=True)["conclusions"]] == [
        "Likes figs."
    ]
    honcho.control.add_rule("hang", path=r".*/conclusions", method="POST")
    took, answer = call.timed("honcho_conclude", conclusion="Likes plums.")
    assert took < 1.5 + SLACK
    assert answer["failure"] == "timeout"
    assert "may have been made" in answer["error"]


class Sender:
    """Sends asks as an agent does, and worse."""

    def __init__(self, call: Caller, stack: Stack) -> None:
        opened = call.session.opened()
        assert opened is not None
        self.session_id = opened.id
        self.redis = redis.Redis.from_url(stack.env["AFTERTURN_REDIS_URL"])
        self._dispatcher = call.memory._services.dispatcher

    def task(self, op: Op, arguments: dict[str, Any]) -> tuple[str, signatures.Signature]:
        task_id = ask_task_id(self.session_id, uuid.uuid4())
        return task_id, signatures.ask(self.session_id, op, arguments, user="ann", task_id=task_id)

    def send(self, *tasks: signatures.Signature) -> None:
        for task in tasks:
            assert self._dispatcher.send(task)

    def await_(self, task_id: str, seconds: float) -> None:
        self.redis.set(awaited_key(task_id), 1, px=int(seconds * 1000))

    def answer(self, task_id: str) -> dict[str, Any]:
        raw = eventually(lambda: self.redis.get(result_key(task_id)), within=10)
        return json.loads(raw)["result"]


def test_twins_of_an_ask_write_one_conclusion(shared, opened, honcho) -> None:
    call = opened().learn("I live in Lisbon.")
    sender = Sender(call, shared)
    honcho.control.add_rule("latency", path=r".*/conclusions", method="POST", seconds=0.7)
    task_id, task = sender.task(Op.CONCLUDE, {"text": f"Likes {SECRET}.", "about": "user"})
    sender.await_(task_id, 10)
    sender.send(task, task, task, task, task)
    # The twins end first, and none of them leaves a result in the place of the one that writes.
    assert sender.answer(task_id)["value"]["text"] == f"Likes {SECRET}."
    assert len(call("honcho_conclude", list=True)["conclusions"]) == 1
    assert not sender.redis.exists(awaited_key(task_id))
    sender.send(task)
    sender.redis.delete(result_key(task_id))
    assert len(call("honcho_conclude", list=True)["conclusions"]) == 1
    assert not sender.redis.exists(result_key(task_id))


def test_a_spent_budget_says_which_limit_and_the_others_go_on(opened, honcho) -> None:
    call = opened(dialectic_calls_per_hour=1, dialectic_cadence=0).learn("I live in Lisbon.")
    before = chats(honcho)
    assert "Lisbon" in call("honcho_recall", query="Lisbon?")["answer"]
    answer = call("honcho_analyze", query="Lisbon, and why?")
    assert answer["failure"] == "budget"
    assert "1 of 1 calls were made in the last hour" in answer["error"]
    assert chats(honcho) == before + 1
    assert "Lisbon" in call("honcho_search", query="Lisbon")["messages"][0]["text"]


def test_what_nobody_waits_for_any_more_makes_no_request(shared, opened, honcho) -> None:
    call = opened().learn("I live in Lisbon.")
    sender = Sender(call, shared)
    never_id, never = sender.task(Op.DIALECTIC, {"query": "Lisbon?"})
    gone_id, gone = sender.task(Op.DIALECTIC, {"query": "Lisbon, when?"})
    sender.await_(gone_id, 0.001)
    eventually(lambda: not sender.redis.exists(awaited_key(gone_id)), within=5)
    eventually(lambda: not _busy(honcho), within=5)
    before = chats(honcho)
    sender.send(never, gone)
    last_id, last = sender.task(Op.PROFILE, {"about": "user"})
    sender.await_(last_id, 10)
    sender.send(last)
    assert sender.answer(last_id)["value"] == {"peer": "user", "card": []}
    eventually(lambda: _done(shared.worker, never_id, gone_id), within=10)
    assert chats(honcho) == before
    assert not sender.redis.exists(result_key(never_id), result_key(gone_id))


def _done(worker: WorkerProcess, *task_ids: str) -> bool:
    logs = worker.logs()
    return all(task_id in logs for task_id in task_ids)


def test_what_is_asked_shows_nowhere(shared, opened, honcho) -> None:
    """Not in logs at DEBUG, not in events, not to `celery inspect`, and so not in Flower."""
    call = opened(ask_seconds=6.0).learn("I live in Lisbon.")
    events: list[str] = []
    over = threading.Event()
    watching = threading.Thread(target=_watch, args=(shared.app, events, over))
    watching.start()
    inspect = shared.app.control.inspect(destination=[shared.worker.name], timeout=1.0)
    honcho.control.add_rule("latency", path=CHAT, seconds=3)
    # More than the worker has threads for, so that some are reserved.
    asking = [
        threading.Thread(target=call, args=("honcho_recall",), kwargs={"query": f"{SECRET} {n}?"})
        for n in range(12)
    ]
    for thread in asking:
        thread.start()
    shown = eventually(lambda: _inspected(inspect), within=5)
    for thread in asking:
        thread.join(20)
    assert SECRET not in shown
    call("honcho_conclude", conclusion=f"Likes {SECRET}.")
    eventually(lambda: any("task-succeeded" in event for event in events), within=10)
    over.set()
    watching.join(10)
    assert any(signatures.ASK in event for event in events)
    assert SECRET not in "".join(events)


def _inspected(inspect: Any) -> str:
    shown = json.dumps([inspect.active(), inspect.reserved()])
    return shown if shown.count(signatures.ASK) >= 8 else ""


def _watch(app: Celery, events: list[str], over: threading.Event) -> None:
    with app.connection() as connection:
        receiver = app.events.Receiver(
            connection, handlers={"*": lambda event: events.append(json.dumps(event, default=str))}
        )
        while not over.is_set():
            with suppress(TimeoutError):
                receiver.capture(limit=None, timeout=0.5, wakeup=False)


def test_at_the_end_the_log_has_said_nothing_of_it(shared) -> None:
    """Last: the worker's log at DEBUG, over all that was asked above."""
    said = shared.worker.logs()
    assert said.count(signatures.ASK) > 50
    for secret in (SECRET, "Lisbon", "bees"):
        assert secret not in said, [line[:300] for line in said.splitlines() if secret in line][:3]
    assert "Traceback" not in said
