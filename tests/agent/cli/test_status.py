"""`afterturn status`: what is away, what waits, who works, and what went wrong last."""

from __future__ import annotations

import json
import subprocess
import sys

import psycopg
import pytest

from afterturn import Memory
from support.waiting import eventually

NOWHERE = {
    "AFTERTURN_DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/x",
    "AFTERTURN_REDIS_URL": "redis://:hunter2@127.0.0.1:1/0",
    "HONCHO_URL": "http://127.0.0.1:1",
}


def test_everything_down(afterturn):
    done = afterturn("status", env=NOWHERE)
    assert done.returncode == 1
    assert done.stderr == ""
    shown = " ".join(done.stdout.split())
    for part in ("Postgres ", "Redis Error", "Honcho cannot be reached", "start one with"):
        assert part in shown
    assert "Postgres: " not in shown  # the line is called so already
    assert "Redis: " not in shown
    assert "hunter2" not in done.stdout


def test_everything_down_as_json(called):
    done = called("status", "--json", env=NOWHERE)
    found = json.loads(done.stdout)
    assert (done.returncode, found["ok"], found["backlog"]) == (1, False, None)
    assert set(found["parts"]) == {"postgres", "redis", "honcho", "workers"}
    assert "hunter2" not in done.stdout


def test_nothing_configured(called):
    found = json.loads(called("status", "--json", env={"HONCHO_URL": "http://127.0.0.1:1"}).stdout)
    assert "AFTERTURN_DATABASE_URL" in found["parts"]["postgres"]
    assert "AFTERTURN_REDIS_URL" in found["parts"]["redis"]


def test_urls_that_are_none(called):
    env = {
        "AFTERTURN_DATABASE_URL": "mysql://u:hunter2@h/x",
        "AFTERTURN_REDIS_URL": "hunter2",
        "HONCHO_URL": "honcho",
    }
    done = called("status", "--json", env=env)
    parts = json.loads(done.stdout)["parts"]
    assert "the database URL is for mysql" in parts["postgres"]
    assert "cannot be read" in parts["redis"]
    assert "does not begin with http" in parts["honcho"]
    assert "hunter2" not in done.stdout


def test_a_database_without_a_schema(called, empty_database_url, redis_url):
    env = {"AFTERTURN_DATABASE_URL": empty_database_url, "AFTERTURN_REDIS_URL": redis_url}
    found = json.loads(called("status", "--json", env=NOWHERE | env).stdout)
    assert "run: afterturn migrate" in found["parts"]["postgres"]
    assert found["parts"]["redis"] == "ok"


def test_what_waits_and_what_went_wrong(called, database_url, redis_url):
    env = {**NOWHERE, "AFTERTURN_DATABASE_URL": database_url, "AFTERTURN_REDIS_URL": redis_url}
    with Memory.open(database_url=database_url, redis_url=redis_url) as memory:
        for key in ("one", "two"):
            memory.session(name=key).begin_turn("a").end("b")
        memory._services.dispatcher.drain(30)
    with psycopg.connect(database_url) as there:
        there.execute("UPDATE messages SET captured_at = now() - interval '90 s'")
        there.execute(
            "UPDATE cursors SET parked = 'the key was refused', last_error = 'Honcho said [401]',"
            " last_error_at = now() - interval '30 s'"
            " WHERE session_id = (SELECT id FROM sessions WHERE key = 'one')"
        )
    found = json.loads(called("status", "--json", env=env).stdout)
    backlog = found["backlog"]
    assert (backlog["sessions"], backlog["messages"], backlog["unsent"]) == (2, 4, 4)
    assert backlog["parked"] == 1
    assert 90 <= backlog["oldest_age"] < 150
    assert backlog["last_error"] == "Honcho said [401]"
    assert 30 <= backlog["last_error_age"] < 90
    assert found["queues"]["sync"] >= 2
    shown = called("status", env=env).stdout
    for line in ("Parked", "Unsent", "Oldest age", "Honcho said [401]", "sync "):
        assert line in shown


def test_what_is_spooled(called, redis_url):
    env = {**NOWHERE, "AFTERTURN_REDIS_URL": redis_url}
    with Memory.open(
        database_url=env["AFTERTURN_DATABASE_URL"], redis_url=env["AFTERTURN_REDIS_URL"]
    ) as memory:
        assert memory.session(name="one").begin_turn("a").end("b").spooled
    found = json.loads(called("status", "--json", env=env).stdout)
    assert found["spool"]["turns"] == 1
    assert "1 turns wait for Postgres" in called("status", env=env).stdout


def test_what_postgres_refused_is_shown_with_its_place(
    called, database_url, redis_url, empty_environment
):
    env = {**NOWHERE, "AFTERTURN_DATABASE_URL": database_url, "AFTERTURN_REDIS_URL": redis_url}
    with psycopg.connect(database_url, autocommit=True) as there:
        there.execute("ALTER TABLE messages ADD CHECK (content <> 'poison')")
    with Memory.open(database_url=database_url, redis_url=redis_url) as memory:
        session = memory.session(name="talk")
        for text in ("poison", "fine", "poison"):
            session.begin_turn(text).end("re")
    found = json.loads(called("status", "--json", env=env).stdout)
    folder = str(empty_environment / "spool-refused")
    assert (found["refused"]["turns"], found["refused"]["folder"]) == (2, folder)
    assert found["spool"] is None
    shown = " ".join(called("status", env=env).stdout.split())
    assert "2 turns were refused by Postgres and set aside in" in shown
    assert "poison" not in shown


def test_what_asking_has_cost(called, database_url, redis_url):
    env = {**NOWHERE, "AFTERTURN_DATABASE_URL": database_url, "AFTERTURN_REDIS_URL": redis_url}
    env["AFTERTURN_WORKSPACE"] = "w"
    assert json.loads(called("status", "--json", env=env).stdout)["dialectic"] is None
    with Memory.open(database_url=database_url, redis_url=redis_url, workspace="w") as memory:
        memory.session(name="talk").begin_turn("a").end("b")
    assert "Dialectic" not in called("status", env=env).stdout
    with psycopg.connect(database_url, autocommit=True) as there:
        there.execute(
            "INSERT INTO settings (workspace_id, scope, subject, key, value)"
            " SELECT id, 'workspace', '', 'dialecticCallsPerHour', '20' FROM workspaces"
        )
        there.execute(
            "INSERT INTO dialectic_calls (workspace_id, peer, level, weight, outcome, times, at)"
            " SELECT w.id, 'p' || n % 7, 'medium', 4, outcome, times, now() - age * interval '1 h'"
            " FROM workspaces w, generate_series(1, 10) n, (VALUES ('answered', 1, 0),"
            " ('failed', 1, 2), ('refused', 9, 0)) AS row (outcome, times, age)"
        )
    found = json.loads(called("status", "--json", env=env).stdout)["dialectic"]
    assert found["hour"] == {
        "calls": 10, "calls_limit": 20, "weight": 40, "weight_limit": 0,
        "empty": 0, "unanswered": 0, "refused": 90,
    }  # fmt: skip
    assert (found["day"]["calls"], found["day"]["unanswered"]) == (20, 10)
    assert (found["day"]["calls_limit"], len(found["peers"])) == (1000, 5)
    assert (found["peers"][0]["peer"], found["peers"][0]["hour"]["calls_limit"]) == ("p1", 60)
    shown = " ".join(called("status", env=env).stdout.split())
    assert "Dialectic 10/20 calls, weight 40, 90 refused in the last hour;" in shown
    assert "20/1000 calls, weight 80, 10 without an answer (an outage, a timeout)" in shown
    assert "p1 2/60 calls" in shown


@pytest.fixture
def worker(stack_env, tmp_path):
    """Run `afterturn worker` as a user would."""
    log = (tmp_path / "worker.log").open("w+")
    process = subprocess.Popen(
        [sys.executable, "-m", "afterturn", "worker", "-c", "4", "-n", "mine@%h"],
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    yield process
    process.terminate()
    process.wait(30)
    log.close()


def test_a_worker_takes_tasks_and_all_is_well(worker, afterturn, honcho, workspace):
    with Memory.open() as memory:
        session = memory.session(name="talk")
        session.begin_turn("a").end("b")
        assert eventually(lambda: session.flush(5), within=40)
        assert session.begin_turn("c").end("d").spooled is False
    assert len(honcho.control.messages(workspace, "talk")) >= 2

    def well():
        done = afterturn("status", "--json")
        return (found := json.loads(done.stdout))["ok"] and done.returncode == 0 and found

    found = eventually(well, within=30)
    assert found["parts"] == dict.fromkeys(("postgres", "redis", "honcho", "workers"), "ok")
    assert found["workers"][0]["name"].startswith("mine@")
    assert worker.poll() is None
