"""Compaction by real workers: decided at a turn's end, done once, whatever is killed; what stays here."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid

import psycopg
import pytest
import redis

from afterturn import Memory
from afterturn.compacting import compacted
from afterturn_models.signatures import COMPACT_SESSION
from support.llm_server import Answer, Gate, LlmServer
from support.statements import counted
from support.waiting import eventually

SECRET = "sk-never-to-be-seen"
SAYS = "Number {}: the ferry to Naxos leaves pier seven at noon, and Ann books two seats on it."


@pytest.fixture
def short(stack_env, monkeypatch):
    """Have histories be due soon: at a thousand tokens."""

    def say(**said):
        for name, value in said.items():
            stack_env[name] = value
            monkeypatch.setenv(name, value)

    say(AFTERTURN_CONTEXT_WINDOW="2000", AFTERTURN_COMPACTION_SUMMARY_TOKENS="200")
    return say


@pytest.fixture
def llm(short):
    with LlmServer("Ann takes the ferry to Naxos.") as server:
        short(AFTERTURN_LLM_BASE_URL=server.url, AFTERTURN_LLM_MODEL="small",
              AFTERTURN_LLM_API_KEY=SECRET)  # fmt: skip
        yield server


@pytest.fixture
def rows(database_url):
    def query(statement, *parameters):
        with psycopg.connect(database_url, autocommit=True) as connection:
            return connection.execute(statement, parameters).fetchall()

    return query


@pytest.fixture
def summaries(rows):
    return lambda key="trip": rows(
        "SELECT c.made_by, c.covers_to, c.summary FROM compactions c"
        " JOIN sessions s ON s.id = c.session_id WHERE s.key = %s ORDER BY c.covers_to",
        key,
    )


@pytest.fixture
def settled(rows):
    """Give a function that tells whether everything that was found due of a session is done."""
    return lambda key="trip": rows(
        "SELECT FROM compaction_states c JOIN sessions s ON s.id = c.session_id"
        " WHERE s.key = %s AND NOT c.wanted AND c.lease_until IS NULL",
        key,
    )


def talk(turns=60, name="trip", **said):
    with Memory.open(**said) as memory:
        session = memory.session(name=name)
        for number in range(turns):
            session.begin_turn(SAYS.format(number)).end("Noted.")


def command(*words):
    return subprocess.run(
        [sys.executable, "-m", "afterturn", "compact", *words],
        capture_output=True,
        text=True,
        check=False,
    )


def kinds(found):
    return {made_by for made_by, *_ in found}


def test_a_turn_that_crosses_the_threshold_makes_no_more_statements(short, redis_url):
    with Memory.open() as memory:
        session = memory.session(name="trip")
        with counted() as statements:
            for number in range(60):
                session.begin_turn(SAYS.format(number)).end("Noted.")
        assert len(statements) == 60  # one a turn, those beyond the threshold too
        memory._services.dispatcher.drain(10)
    with redis.Redis.from_url(redis_url) as client:
        sent = [json.loads(one) for one in client.lrange("afterturn:maintenance", 0, -1)]
    assert [one for one in sent if one["headers"]["task"] == COMPACT_SESSION]
    assert "ferry" not in json.dumps(sent)


def test_what_a_turn_makes_due_is_done_and_asked_for_by_hand(
    llm, start_worker, rows, summaries, settled
):
    start_worker().ready()
    talk(compaction_summary="llm")
    eventually(lambda: summaries() and settled())
    assert kinds(summaries()) == {"llm:small"}
    assert SECRET not in str(rows("SELECT * FROM compaction_states"))
    assert rows("SELECT count(*) FROM messages") == [(120,)]
    done = command("trip", "--force", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["outcome"]) == (0, "compacted")
    assert report["newest"]["covers_to"] == 120 - 6 * 2
    assert "ferry" not in done.stdout
    shown = command("trip", "--show")
    assert "messages up to 108" in shown.stdout
    assert shown.stdout.endswith("Ann takes the ferry to Naxos.\n")
    assert "nothing of it is due" in command("trip").stdout
    with Memory.open() as memory:
        assert memory.session(name="trip").compact(wait=20).outcome == "nothing"
        assert compacted(memory._services, uuid.uuid4(), seconds=20).outcome == "gone"


def test_two_at_once_ask_once_and_a_lost_hint_or_an_ill_model_costs_nothing(
    llm, start_worker, redis_url, rows, summaries, settled
):
    gate = Gate()
    llm.script(Answer("Once.", gate=gate))
    talk(compaction_summary="llm")
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()  # every hint of the agent's
    worker = start_worker()
    llm.wait_for(1, within=40)
    with Memory.open() as memory:
        session = memory.session(name="trip")
        assert session.compact(wait=1.0).outcome == "busy"
        assert len(llm.asked) == 1
        gate.open()
        eventually(lambda: summaries() and settled())
        assert session.compact(wait=20).outcome == "nothing"
    assert len(llm.asked) == len(summaries()) == 1
    # Found due by a worker that was killed before it told anybody: the relay has it.
    rows("UPDATE compaction_states SET wanted = true, relayed_at = NULL RETURNING 1")
    eventually(settled)
    llm.script(*["500"] * 9)
    talk(name="later")
    eventually(lambda: summaries("later") and settled("later"))
    assert kinds(summaries("later")) <= {"extractive", "honcho"}
    assert len(llm.asked) <= 2  # the model is not asked again for a while
    assert "Traceback" not in worker.logs()


def test_a_worker_that_is_killed_in_the_middle_leaves_it_to_another(
    llm, short, start_worker, rows, summaries, settled
):
    short(AFTERTURN_COMPACTION_SUMMARY="llm", AFTERTURN_LLM_SECONDS="2")
    talk()
    gate = Gate()
    llm.script(Answer("Never read.", gate=gate))
    first = start_worker("w1")
    llm.wait_for(1, within=40)
    first.kill()
    assert summaries() == []
    gate.open()
    start_worker("w2")
    eventually(lambda: summaries() and settled(), within=60)
    found = summaries()
    assert len(found) == len({covers_to for _, covers_to, _ in found})
    assert "Never read." not in str(found)
    assert rows("SELECT count(*) FROM messages") == [(120,)]


def test_what_stays_here_reaches_no_model_elsewhere_and_no_honcho(
    llm, short, start_worker, honcho, workspace, rows, summaries, settled
):
    # This machine by a name that is none of its own: whoever listens there counts as elsewhere.
    short(AFTERTURN_LLM_BASE_URL=llm.url.replace("127.0.0.1", "0.0.0.0"))
    start_worker().ready()
    talk(user_memory_mode="local")
    eventually(lambda: summaries() and settled())
    assert kinds(summaries()) == {"extractive"}
    assert llm.asked == []
    assert "ferry" not in json.dumps(honcho.control.messages(workspace, "trip"))
    # It is asked for what may leave this machine.
    talk(name="open", compaction_summary="llm")
    eventually(lambda: summaries("open") and settled("open"))
    assert "ferry" in llm.asked[0].text
    assert rows("SELECT DISTINCT s.key FROM compactions c JOIN sessions s ON s.id = c.session_id"
                " WHERE c.stays_here") == [("trip",)]  # fmt: skip
    # And Honcho's own is taken, where that has every row of the cut.
    asked = len(llm.asked)
    with Memory.open(compaction_summary="honcho", compaction_tail_turns=12) as memory:
        session = memory.session(name="theirs")
        for number in range(30):
            session.begin_turn(SAYS.format(number)).end("Noted.")
        assert session.flush(30)
        assert session.compact(wait=20, force=True).outcome in {"compacted", "nothing"}
    assert kinds(summaries("theirs")) == {"honcho"}
    assert len(llm.asked) == asked
