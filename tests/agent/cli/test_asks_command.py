"""`afterturn search`, `ask` and `queue` before any worker answers: whom they ask, and what they say."""

from __future__ import annotations

import json

import pytest

from afterturn import Memory
from afterturn_models.asks import Answer, Failure
from afterturn_models.db import Database
from afterturn_models.store import workers
from support.ask_worker import AskWorker

ANSWERS = {
    "search": {"messages": [{"by": "user", "at": "2026-03-09T14:05:06+00:00",
                             "text": "I drink\ntea.\x1b[31m"}]},
    "dialectic": {"answer": "Tea.", "level": "low"},
    "queue": {"pending": 3},
}  # fmt: skip


@pytest.fixture
def attended(agent_env, shared_database, workspace):
    """Have a worker beat, so that somebody seems to be there."""
    database, name = Database(shared_database), f"{workspace}@test"
    with database.statement() as connection:
        workers.register(connection, name, pid=1, version="0")
        workers.beat(connection, name)
    yield
    with database.statement() as connection:
        workers.forget(connection, name)
    database.close()


@pytest.fixture
def talked(agent_env, tmp_path, monkeypatch):
    """Have a conversation by a name and one in a folder, and go into that."""
    folder = tmp_path / "shed"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with Memory.open(peer_name="ann") as memory:
        memory.session(name="kitchen").begin_turn("I drink tea.").end("Noted.")
        memory.session(directory=str(folder)).begin_turn("I dig.").end("Noted.")


@pytest.fixture
def worker(redis_url, attended):
    with AskWorker(redis_url, lambda op, _: Answer(ANSWERS[op])) as found:
        yield found


def test_search_is_asked_as_the_tool_asks(talked, worker, called, look):
    done = called("search", "tea", "--session", "kitchen", "--from", "user", "--limit", "3")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "2026-03-09 14:05  user: I drink tea.[31m\n"  # no escape gets through
    (ask,) = worker.asks
    assert (ask["op"], ask["user"], ask["session_id"]) == ("search", "ann", str(look.id("kitchen")))
    assert ask["arguments"] == {"query": "tea", "from_": "user", "limit": 3, "tokens": 2000}
    assert json.loads(called("search", "tea", "--json").stdout) == ANSWERS["search"]


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ([], {"query": "What?", "about": "user", "floor": "minimal"}),
        (["--thorough", "--about", "agent"], {"query": "What?", "about": "agent", "floor": "medium"}),
    ],
)  # fmt: skip
def test_a_question_is_asked_in_this_directorys_session(
    talked, worker, called, look, words, arguments
):
    assert called("ask", "What?", *words).stdout == "Tea.\n"
    (ask,) = worker.asks
    assert (ask["op"], ask["session_id"]) == ("dialectic", str(look.id("shed")))
    assert ask["arguments"] == arguments


def test_a_mapped_directorys_session_is_the_one_that_is_asked_in(talked, worker, called, look):
    called("map", "kitchen")
    called("ask", "What?")
    assert worker.asks[0]["session_id"] == str(look.id("kitchen"))


def test_another_folder_of_the_same_name_is_not_asked_in(
    talked, worker, called, look, tmp_path, monkeypatch
):
    other = tmp_path / "b" / "shed"
    other.mkdir(parents=True)
    monkeypatch.chdir(other)
    called("ask", "What?")
    with Memory.open(peer_name="ann") as memory:
        second = memory.session(directory=str(other))
        second.begin_turn("I dig too.").end("Noted.")
    called("ask", "What?")
    own, then = (ask["session_id"] for ask in worker.asks)
    assert own not in {str(look.id("shed")), str(look.id("kitchen"))}  # the agent's own
    assert then == str(second.opened().id)


def test_asking_leaves_what_the_sessions_agent_was_told(agent_env, worker, called, look):
    with Memory.open(user_memory_mode="local") as memory:
        memory.session(name="diary").begin_turn("dear diary").end("yes")
    before = look.session("diary")["details"]
    called("search", "tea", "--session", "diary")
    assert look.session("diary")["details"] == before
    assert before["given"]["userMemoryMode"] == "local"


def test_the_queue_is_told_of_both_peers(talked, worker, called):
    shown = called("queue", "--session", "kitchen").stdout
    assert shown == (
        "user (ann): not done, 3 units of work are left\n"
        "agent (agent): not done, 3 units of work are left\n"
    )
    assert json.loads(called("queue", "--json").stdout) == {
        "user": {"peer": "ann", "pending": 3},
        "agent": {"peer": "agent", "pending": 3},
    }
    assert [ask["arguments"] for ask in worker.asks[:2]] == [{"about": "user"}, {"about": "agent"}]


def test_nothing_known_is_no_failure(talked, attended, redis_url, called):
    answers = {"dialectic": {"answer": None, "level": "low"}, "search": {"messages": []}}
    with AskWorker(redis_url, lambda op, _: Answer(answers[op])):
        assert called("ask", "What?").stdout == "Nothing that is known bears on it.\n"
        assert called("search", "x").stdout == "Nothing was found.\n"


@pytest.mark.parametrize("command", [["search", "x"], ["ask", "x"], ["queue"]])
def test_a_refusal_is_a_sentence_and_exit_status_1(talked, attended, redis_url, called, command):
    said = Answer(failure=Failure.LOCAL, sentence="It stays here.")
    with AskWorker(redis_url, lambda *_: said):
        done = called(*command)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "afterturn: It stays here.\n"
        done = called(*command, "--json")
        assert done.returncode == 1
        assert json.loads(done.stdout) == {"error": "It stays here.", "failure": "local"}


def test_without_a_worker_nobody_waits(talked, called, look):
    look.query("DELETE FROM workers")
    done = called("ask", "What?")
    assert done.returncode == 1
    assert "no worker has taken a task lately" in done.stderr


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["search", "x", "--session", "attic"], "there is no session 'attic'"),
        (["search", " "], "query"),
        (["search", "x", "--from", "bob"], "from must be"),
        (["ask", "x", "--about", "bob"], "--about is user or agent, not 'bob'"),
    ],
)
def test_wrong_usage_is_a_sentence(talked, called, words, why):
    done = called(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert why in done.stderr
