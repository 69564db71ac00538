"""Timings of turns: every stage, nothing twice, nothing on the path, and no word of anybody."""

from __future__ import annotations

import json
import logging
import threading
from time import perf_counter

import pytest
import redis

from afterturn import Memory
from afterturn.timings import timings as keeping
from afterturn.timings.marks import STAGES, Marks, no_loads
from afterturn_models.timings import AGENT, Flusher, recent
from support.tcp_proxy import TcpProxy
from support.waiting import eventually

SECRET = "aardvark"
ALWAYS = ("lock", "load", "pop", "assemble", "model", "capture", "hint")


def told(memory):
    """Have the dispatcher's thread done with what it has; gives counts by stage."""
    assert memory._services.dispatcher.drain(30)
    return {stage: one.count for stage, one in memory.timings().items()}


def test_every_stage_of_a_turn_is_measured_and_none_twice(memory, look):
    began = perf_counter()
    session = memory.session(name="talk")
    session.begin_turn("hello").end("hi")
    look.put("talk", 1, context=f"Ann owns an {SECRET}.")
    session.replay()
    turn = session.begin_turn("What do I own?")
    assert SECRET in turn.context
    session.history()  # while the model is at it
    turn.add("tool", "a tool's answer")
    assert tuple(turn.timings) == ("lock", "pop", "assemble")
    turn.end("That.")
    whole = perf_counter() - began
    assert tuple(turn.timings) == ALWAYS
    assert all(took > 0 for took in turn.timings.values())
    assert sum(turn.timings.values()) <= whole
    assert told(memory) == {**dict.fromkeys(ALWAYS, 2), "publish": memory._services.dispatcher.sent}


def test_a_memorys_summaries_are_those_of_its_turns(memory):
    session = memory.session(name="talk")
    took = []
    for number in range(5):
        turn = session.begin_turn(f"{number}")
        turn.end("yes")
        took.append(turn.timings["capture"])
    found = memory.timings()["capture"]
    assert found.count == 5
    assert found.sum == pytest.approx(sum(took))
    assert min(took) / 1.3 <= found.p50 <= found.p90 <= found.p99 <= max(took) * 1.3


def marks(**passed):
    found = Marks(passed.pop("began", 100))
    found.loads = no_loads()
    found.loads.extend(passed.pop("loads", ()))
    for name, value in passed.items():
        setattr(found, name, value)
    return found


def test_what_is_read_while_the_model_is_at_it_is_not_the_models():
    turn = {"begun": 200, "ended": 1000, "outcome": "captured"}
    assert marks(**turn, loads=[(10, 60), (300, 400)]).durations() == {"load": 150, "model": 700}
    assert marks(**turn, loads=[(300, 400), (350, 500)]).durations() == {"load": 200, "model": 600}
    assert marks(**turn, loads=[(150, 250), (990, 1200)]).durations() == {"load": 310, "model": 740}


def test_the_model_of_a_turn_without_an_end_was_done_with_its_last_message():
    turn = {"begun": 200, "ended": 9000, "captured": 9100, "outcome": "interrupted"}
    assert marks(**turn).durations() == {"capture": 100}
    assert marks(**turn, added=[300, 700]).durations() == {"model": 500, "capture": 100}


def test_a_turn_that_was_interrupted_is_counted_once(memory):
    session = memory.session(name="talk")
    first = session.begin_turn("one")
    second = session.begin_turn("two")
    first.end("late")
    second.end("two too")
    assert dict(memory._services.timings.outcomes()) == {"interrupted": 1, "captured": 1}
    assert memory.timings()["model"].count == 1
    assert "capture" in first.timings


def test_a_turn_that_is_spooled_is_measured_too(agent_env):
    with Memory.open(database_url="postgresql://u:p@127.0.0.1:1/none") as memory:
        turn = memory.session(name="talk").begin_turn("hello")
        assert turn.end("hi").spooled
        assert "hint" not in turn.timings
        assert turn.timings["capture"] > 0
        assert memory._services.timings.outcomes() == {"spooled": 1}
        assert set(memory.timings()) == set(ALWAYS) - {"hint"}


def test_the_wait_of_the_write_frequency_turn_is_a_stage_and_no_slowness(open_memory, caplog):
    caplog.set_level(logging.INFO, "afterturn.timings")
    memory = open_memory(write_frequency="turn", turn_sync_seconds=0.5)
    turn = memory.session(name="talk").begin_turn("hello")
    assert not turn.end("hi").synced
    assert turn.timings["sync"] >= 0.4
    assert tuple(turn.timings) == STAGES
    told(memory)
    assert caplog.records == [] or all(r.seconds < 0.5 for r in caplog.records)


def test_each_turn_is_one_line_for_who_wants_it_and_holds_no_text(open_memory, look, caplog):
    caplog.set_level(logging.DEBUG, "afterturn.timings")
    memory = open_memory(slow_turn_seconds=60)
    turn = memory.session(name="talk").begin_turn(f"I own an {SECRET}.")
    turn.end(f"I like your {SECRET}.")
    told(memory)
    [line] = [r for r in caplog.records if hasattr(r, "stages")]
    assert line.levelno == logging.DEBUG
    assert (line.session, line.turn) == (str(look.id("talk")), str(turn.id))
    assert (line.outcome, line.stages) == ("captured", turn.timings)
    assert line.seconds == pytest.approx(sum(turn.timings.values()) - turn.timings["model"])
    assert SECRET not in json.dumps({k: str(v) for k, v in vars(line).items()}) + line.getMessage()


def test_a_slow_turn_is_told_of_and_others_are_not(open_memory, caplog):
    caplog.set_level(logging.INFO, "afterturn.timings")
    for limit, lines in ((60.0, 0), (1e-6, 1)):
        memory = open_memory(slow_turn_seconds=limit)
        memory.session(name=f"talk-{lines}").begin_turn("hello").end("hi")
        told(memory)
        assert len(caplog.records) == lines
    assert caplog.records[0].getMessage().startswith("slow turn of ")


def test_all_but_the_marks_is_done_in_the_background(memory, monkeypatch):
    who = []
    settle, flush = keeping.Timings.settle, Flusher.flush

    def settled(self):
        who.append(threading.current_thread().name)
        settle(self)

    def flushed(self, times):
        who.append(threading.current_thread().name)
        return flush(self, times)

    monkeypatch.setattr(keeping.Timings, "settle", settled)
    monkeypatch.setattr(Flusher, "flush", flushed)
    session = memory.session(name="talk")
    for _ in range(20):
        session.begin_turn("hello").end("hi")
    assert memory._services.dispatcher.drain(30)
    eventually(lambda: who)
    assert set(who) == {"afterturn-dispatch"}


def test_a_redis_that_takes_no_timings_is_asked_in_the_background_and_once_in_a_while(
    memory, redis_url, monkeypatch
):
    monkeypatch.setattr(keeping, "FLUSH_SECONDS", 0.05)
    with TcpProxy(redis_url) as proxy:
        proxy.silent = True
        memory._services.timings._flusher = Flusher(proxy.url, AGENT, "w")
        session = memory.session(name="talk")
        for _ in range(2):
            for _ in range(25):
                session.begin_turn("hello").end("hi")
            eventually(lambda: proxy.connections)
            assert memory._services.dispatcher.drain(30)
        assert memory._services.dispatcher.dropped == 0  # it delayed hints, and lost none
        assert memory.timings()["capture"].count == 50
        memory.close()
        assert (proxy.connections, proxy.requests) == (1, 1)


def test_what_agents_measured_is_shared_and_shown(open_memory, redis_url, workspace, called):
    for name in ("one", "two"):
        memory = open_memory()
        session = memory.session(name=name)
        for _ in range(3):
            session.begin_turn(f"I own an {SECRET}.").end("Fine.")
        memory.close()  # shares what is left
    with redis.Redis.from_url(redis_url) as there:
        found = recent(there, workspace, 1)[AGENT]
        expected = dict.fromkeys(ALWAYS, 6) | {"load": 2}  # each opened its session, and no more
        assert {stage: found[stage].count for stage in ALWAYS} == expected
        keys = there.keys("afterturn:timings:*")
        assert sorted(key.rpartition(b":")[0] for key in keys) == (
            [f"afterturn:timings:agent:{workspace}".encode()] * 2
        )
        assert SECRET not in str([there.hgetall(key) for key in keys])
    shown = called("status", "--timings")
    assert (shown.returncode, shown.stderr) == (0, "")
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert rows[0] == ["Role", "Stage", "Count", "p50", "p90", "p99", "Sum"]
    assert [row[1] for row in rows[1:]] == [*ALWAYS, "publish"]
    assert [row[2] for row in rows[1 : 1 + len(ALWAYS)]] == ["6", "2", *["6"] * 5]
    told_of = json.loads(called("status", "--timings", "--json", "--hours", "24").stdout)
    assert told_of["agent"]["capture"]["count"] == 6
    assert told_of["worker"] == {}
    assert 0 < told_of["agent"]["capture"]["p50"] <= told_of["agent"]["capture"]["p99"]


def test_nothing_measured_and_a_redis_that_is_away_are_said(agent_env, called):
    done = called("status", "--timings")
    assert done.returncode == 0
    assert "nothing was measured" in done.stdout
    done = called(
        "status", "--timings", env={"AFTERTURN_REDIS_URL": "redis://:hunter2@127.0.0.1:1/0"}
    )
    assert done.returncode == 1
    assert "Redis" in done.stderr
    assert "hunter2" not in done.stderr


def test_a_forked_child_tells_of_its_own_turns(memory):
    session = memory.session(name="talk")
    session.begin_turn("hello").end("hi")
    assert told(memory)["capture"] == 1
    memory._services.timings.forked()
    assert memory.timings() == {}
    session.begin_turn("hello").end("hi")
    assert told(memory)["capture"] == 1
