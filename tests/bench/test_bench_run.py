"""`python -m bench`: one question asked from end to end; contestants in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import redis
from bench.blackhole import black_hole
from bench.child import Child
from bench.counts import RedisWork, statements

from support.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from afterturn_models.db import Database


def test_a_question_is_answered_in_the_short_mode(tmp_path: Path) -> None:
    report, left = tmp_path / "report.json", tmp_path / "left"
    left.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--short", "--only", "turn_start", "--json", str(report)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(left)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "two pipelined GETDELs" in done.stdout
    found = json.loads(report.read_text())
    answer = found["questions"]["turn_start"]
    (row,) = answer["rows"]
    assert row["ratio"]["low"] <= row["ratio"]["value"] <= row["ratio"]["high"]
    counted = answer["figures"]["one"]
    assert counted["redis_commands"]["getdel"] == 2.0
    assert counted["sql_statements"] == counted["http"] == 0
    assert not [*left.iterdir()]


def test_an_unknown_question_is_refused_with_the_names() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--only", "no_such"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "turn_start" in done.stderr


def test_a_child_that_fails_is_told_with_its_log(tmp_path: Path) -> None:
    (tmp_path / "odd_contestant.py").write_text(
        "from bench.child import serve\n"
        "def fail():\n    raise ValueError('it is broken')\n"
        "serve({'hello': lambda name: print('noise') or {'name': name}, 'fail': fail})\n"
    )
    env = {"PYTHONSAFEPATH": ""}
    path = os.pathsep.join([str(ROOT), str(tmp_path)])
    with Child("odd_contestant", env=env, log=tmp_path / "log", path=path) as child:
        answer = child.ask("hello", name="Ada")
        assert answer["name"] == "Ada"
        assert answer["wall"] >= 0
        assert answer["cpu"] >= 0
        with pytest.raises(RuntimeError, match="it is broken"):
            child.ask("fail")


def test_statements_and_commands_are_counted(database: Database, redis_url: str) -> None:
    from sqlalchemy import text

    with database.statement() as connection, statements() as found:
        connection.execute(text("SELECT 1"))
        connection.execute(text("SELECT 2"))
    assert found.executed == 2
    with redis.Redis.from_url(redis_url) as client:
        before = RedisWork.of(client)
        pipeline = client.pipeline(transaction=False)
        pipeline.getdel("one")
        pipeline.getdel("two")
        pipeline.execute()
        done = RedisWork.of(client).since(before)
    assert done.commands == {"getdel": 2}
    assert done.reads == 1


def test_a_black_hole_takes_connections_and_answers_nothing() -> None:
    with black_hole() as url:
        client = redis.Redis.from_url(url, socket_timeout=0.1, retry=None)
        with pytest.raises(redis.exceptions.TimeoutError):
            client.ping()
        client.close()
