"""`afterturn doctor`: each thing that can be wrong is found, and said with how to mend it."""

from __future__ import annotations

import json
import os
import socket
from collections import defaultdict

import psycopg
import pytest
import redis

from afterturn import Memory
from afterturn.setup import checks_here, probes
from afterturn.setup.findings import State
from afterturn_models.settings import read

NOWHERE = {
    "AFTERTURN_DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/x",
    "AFTERTURN_REDIS_URL": "redis://:hunter2@127.0.0.1:1/0",
    "AFTERTURN_HONCHO_URL": "http://127.0.0.1:1",
}


@pytest.fixture
def found(called):
    """Give a function that gives findings by name, as (state, said, mend)."""

    def look(env=None, *, status: int | None = None):
        done = called("doctor", "--json", env=env)
        report = json.loads(done.stdout)
        assert report["ok"] is (done.returncode == 0)
        assert status in {None, done.returncode}, done.stdout
        assert "hunter2" not in done.stdout + done.stderr
        by_name = defaultdict(list)
        for one in report["findings"]:
            by_name[one["name"]].append((one["state"], one["said"], one["mend"]))
        return by_name

    return look


@pytest.fixture
def env(database_url, redis_url, honcho):
    return {
        "AFTERTURN_DATABASE_URL": database_url,
        "AFTERTURN_REDIS_URL": redis_url,
        "AFTERTURN_HONCHO_URL": honcho.url,
        "AFTERTURN_WORKSPACE": "w",
    }


def test_all_is_well(stack_env, start_worker, called, found, empty_environment):
    start_worker().ready()
    report = found(status=0)
    assert {state for many in report.values() for state, *_ in many} <= {"ok", "note"}
    assert set(report) == {
        "python", "extras", "files", "settings", "key", "disk", "flower", "postgres", "clock",
        "redis", "redis acl", "workers", "honcho", "queues", "backlog", "spool",
    }  # fmt: skip
    assert "a task reached it" in report["workers"][0][1]
    shown = called("doctor")
    assert shown.returncode == 0
    assert "ok      postgres: PostgreSQL 18" in shown.stdout
    assert shown.stdout.endswith("All is well.\n")


def test_everything_is_away(found, called):
    report = found(NOWHERE, status=1)
    for name in ("postgres", "redis", "honcho"):
        (state, _, mend), *_ = report[name]
        assert (state, bool(mend)) == ("wrong", True), name
    shown = called("doctor")
    assert "WRONG   redis: Redis: Error 111" in shown.stdout
    assert "        → start it, or name another: afterturn setup" in shown.stdout
    assert shown.stdout.endswith("3 wrong, 0 to look after.\n")


def test_nothing_is_configured(found):
    report = found(status=1)
    assert [report[name][0][1] for name in ("postgres", "redis", "honcho")] == [
        "not configured"
    ] * 3
    assert "afterturn setup" in report["postgres"][0][2]


def test_settings_that_cannot_be_read_keep_nothing_else_from_being_looked_at(found, config, write):
    write(config, "{")
    report = found(status=1)
    assert report["settings"][0][0] == "wrong"
    assert str(config) in report["settings"][0][1]
    assert {"python", "disk", "flower"} <= set(report)
    assert "postgres" not in report


def test_files_that_others_read_and_keys_that_nobody_knows(found, config, write, env):
    write(config, {"workspaze": "w"}, 0o644)
    write(config.with_name("flower-login"), "a:b", 0o640)
    report = found(env)
    assert [mend for _, _, mend in report["files"]] == [
        f"chmod 600 {path}" for path in (config, config.with_name("flower-login"))
    ]
    assert "did you mean workspace?" in report["settings"][0][1]
    assert {state for state, *_ in report["files"] + report["settings"]} == {"warning"}


def test_a_key_that_workers_refuse(found, config, write, env):
    write(config, {"apiKey": "hch-1"}, 0o644)
    report = found(env, status=1)
    assert report["key"][0][0] == "wrong"
    assert f"chmod 600 {config}" in report["key"][0][2]
    config.chmod(0o600)
    assert found()["key"] == [("ok", f"workers started here find it: {config}", "")]


def test_a_database_without_a_schema_and_one_of_another_version(found, env, empty_database_url):
    report = found({**env, "AFTERTURN_DATABASE_URL": empty_database_url}, status=1)
    assert report["postgres"][0][1].endswith("it has no schema of afterturn's yet")
    assert report["postgres"][0][2] == "afterturn migrate"
    with psycopg.connect(empty_database_url, autocommit=True) as there:
        there.execute("CREATE TABLE alembic_version (version_num text)")
        there.execute("INSERT INTO alembic_version VALUES ('0001')")
    assert "its schema is at revision 0001, not " in found()["postgres"][0][1]


def test_a_redis_that_loses_queues(found, env):
    with redis.Redis.from_url(env["AFTERTURN_REDIS_URL"]) as there:
        there.config_set("maxmemory-policy", "allkeys-lru")
        try:
            report = found(env)
        finally:
            there.config_set("maxmemory-policy", "noeviction")
    assert [state for state, *_ in report["redis"]] == ["ok", "warning"]
    assert "CONFIG SET maxmemory-policy noeviction" in report["redis"][1][2]


def test_a_redis_user_who_may_not_do_what_is_needed(found, env):
    with redis.Redis.from_url(env["AFTERTURN_REDIS_URL"]) as there:
        rights = "-@all +@read +@write +@connection +@transaction +@pubsub +@blocking"
        for who, more in (("clerk", "-brpop"), ("full", "+@scripting -@dangerous +time")):
            there.execute_command(*f"ACL SETUSER {who} on >pw ~* &* {rights} {more} +info".split())
        place = env["AFTERTURN_REDIS_URL"].rpartition("@")[2]
        try:
            poor = found({**env, "AFTERTURN_REDIS_URL": f"redis://clerk:pw@{place}"}, status=1)
            full = found({**env, "AFTERTURN_REDIS_URL": f"redis://full:pw@{place}"})
        finally:
            there.execute_command("ACL", "DELUSER", "clerk", "full")
        assert there.keys("afterturn:doctor:*") == []
    assert poor["redis acl"][0][:2] == ("wrong", "its user may not use BRPOP, EVAL")
    assert full["redis acl"][0][0] == "ok"


def test_what_waits_and_what_was_refused(found, env, redis_url, database_url):
    with Memory.open(database_url=database_url, redis_url=redis_url, workspace="w") as memory:
        for key in ("one", "two"):
            memory.session(name=key).begin_turn("a").end("b")
        memory._services.dispatcher.drain(30)
    with psycopg.connect(database_url) as there:
        there.execute("UPDATE messages SET captured_at = now() - interval '1 hour'")
        there.execute(
            "UPDATE messages SET delivery = 'quarantined' WHERE id = (SELECT min(id::text)::uuid FROM messages)"
        )
        there.execute("INSERT INTO workers (name, pid, version, beat_at) VALUES"
                      " ('old@here', 1, '0', now() - interval '5 min')")  # fmt: skip
    with redis.Redis.from_url(redis_url) as there:
        there.rpush("afterturn:sync", *(["x"] * 1001))
    report = found(env, status=1)
    assert "no task has reached a worker for a minute" in report["workers"][0][1]
    assert report["queues"][0][0] == "warning"
    assert report["backlog"][0][0] == "warning"
    assert report["quarantine"][0][2] == "afterturn quarantine list"
    with psycopg.connect(database_url) as there:
        there.execute("UPDATE cursors SET parked = 'key', last_error = 'Honcho answers 401',"
                      " last_error_at = now()")  # fmt: skip
        there.execute("UPDATE workers SET beat_at = now(), honcho = 'Honcho answers 401: the key is"
                      " missing', honcho_at = now()")  # fmt: skip
    report = found()
    assert report["sessions"][0][:2] == ("wrong", "2 sessions are parked: Honcho answers 401")
    assert "set the right key" in report["honcho"][0][2]


def test_turns_that_wait_on_the_disk(found, env):
    with Memory.open(
        database_url=NOWHERE["AFTERTURN_DATABASE_URL"], redis_url=env["AFTERTURN_REDIS_URL"]
    ) as memory:
        assert memory.session(name="one").begin_turn("a").end("b").spooled
    assert "1 turns wait for Postgres" in found(env)["spool"][0][1]


@pytest.mark.parametrize(
    ("free", "state"), [(100, State.WRONG), (300, State.WARNING), (900, State.OK)]
)
def test_room_on_the_disk(monkeypatch, free, state):
    real = checks_here.shutil.disk_usage
    monkeypatch.setattr(
        checks_here.shutil,
        "disk_usage",
        lambda path: real(path)._replace(free=free * 2**20),
    )
    assert [one.state for one in checks_here.disk()] == [state]


def test_flowers_login(monkeypatch):
    monkeypatch.setenv("AFTERTURN_FLOWER_AUTH", "nobody")
    monkeypatch.setenv("FLOWER_UNAUTHENTICATED_API", "1")
    assert [one.state for one in checks_here.flower()] == [State.WRONG, State.WRONG]
    monkeypatch.setenv("AFTERTURN_FLOWER_AUTH", "a:b")
    monkeypatch.delenv("FLOWER_UNAUTHENTICATED_API")
    assert [one.state for one in checks_here.flower()] == [State.OK]


def test_a_stack_that_was_killed(found, empty_environment, write):
    write(empty_environment / "stack.json", {"pid": 2**22 + 1, "databaseUrl": "postgresql://h/x"})
    assert found()["stack"][0][2] == "afterturn down"


def test_extras_that_are_missing_are_no_fault(monkeypatch):
    monkeypatch.setattr(checks_here, "_EXTRAS", {"worker": ("no_such_module_of_anybody",)})
    *_, extras = checks_here.python()
    assert (extras.state, "pip install 'afterturn[worker]'" in extras.mend) == (State.NOTE, True)


@pytest.mark.parametrize("test", [probes.postgres, probes.redis, probes.honcho])
def test_what_accepts_and_never_answers_is_given_up_within_seconds(test):
    schemes = {"postgres": "postgresql", "redis": "redis", "honcho": "http"}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"{schemes[test.__name__]}://127.0.0.1:{silent.getsockname()[1]}"
        assert not test(url).ok


def test_a_home_that_cannot_be_written(empty_environment, monkeypatch):
    empty_environment.mkdir()
    loaded = read()
    monkeypatch.setattr(os, "access", lambda *_: False)  # a superuser may write anywhere
    first, *_ = checks_here.files(loaded)
    assert (first.name, first.state) == ("home", State.WRONG)
