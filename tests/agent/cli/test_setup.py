"""`afterturn setup` by flags: what is written where, what is refused, and what is left alone."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from afterturn.setup import servers
from afterturn_models.db import Database
from afterturn_models.migrate import current, head
from afterturn_models.settings import read
from support.scripts import Scripts

KEY = "hch-s3cret-of-ann"
NOWHERE = "redis://127.0.0.1:1/0"

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture
def setup(called, monkeypatch):
    """Give a function that runs setup as a script does."""

    def run(*words, stdin: str = "", env=None):
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        return called("setup", *words, env=env)

    return run


@pytest.fixture
def urls(database_url, redis_url, honcho, monkeypatch):
    """Give the flags that name every server, by variables where a URL holds a password."""
    monkeypatch.setenv("PG", database_url)
    monkeypatch.setenv("RD", redis_url)
    return ["--database-url", "env:PG", "--redis-url", "env:RD", "--honcho-url", honcho.url]


def test_everything_is_said_by_flags_and_said_once(
    setup, urls, config, database_url, redis_url, honcho
):
    names = ["--workspace", "w", "--peer", "ann", "--ai-peer", "ada", "--strategy", "global"]
    done = setup(*urls, *names, "--yes", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["done"]["written"]
    assert report["plan"]["settings"]["databaseUrl"].count(":***@") == 1
    assert json.loads(config.read_text()) == {
        "databaseUrl": database_url,
        "redisUrl": redis_url,
        "honchoUrl": honcho.url,
        "workspace": "w",
        "peerName": "ann",
        "aiPeer": "ada",
        "sessionStrategy": "global",
    }
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    for url in (database_url, redis_url):
        assert urlsplit(url).password not in done.stdout
    before = config.stat()
    again = setup(*urls, *names, "--yes", "--json")
    assert json.loads(again.stdout)["done"]["written"] is False
    plain = setup("--yes")
    assert "nothing was written" in plain.stderr
    assert config.stat().st_mtime_ns == before.st_mtime_ns
    assert not config.with_name("config.json.bak").exists()


def test_what_was_there_stays_and_is_kept_beside(setup, config, write):
    former = (
        '{"apiKey": "hch-1", "noisePatterns": ["PING"], "hosts": {"afterturn": {"aiPeer": "x"}}}'
    )
    write(config, former, 0o644)
    config.chmod(0o644)
    done = setup("--embedded", "--ai-peer", "ada", "--yes")
    assert done.returncode == 0
    assert json.loads(config.read_text()) == {
        "apiKey": "hch-1",
        "noisePatterns": ["PING"],
        "hosts": {"afterturn": {}},
        "aiPeer": "ada",
    }
    backup = config.with_name("config.json.bak")
    assert backup.read_text() == former
    assert [stat.S_IMODE(one.stat().st_mode) for one in (config, backup)] == [0o600, 0o600]
    assert read().settings.ai_peer == "ada"


def test_a_database_is_migrated(setup, empty_database_url, config):
    env = {"PG": empty_database_url}
    done = setup("--database-url", "env:PG", "--embedded", "--yes", env=env)
    assert done.returncode == 0
    assert "The database is migrated." in done.stderr
    database = Database(empty_database_url)
    assert current(database) == head()
    database.close()


def test_what_does_not_answer_is_not_written_unless_one_insists(setup, config):
    words = ["--embedded", "--redis-url", NOWHERE, "--yes"]
    done = setup(*words)
    assert done.returncode == 1
    assert "Redis: Redis: Error 111 connecting to 127.0.0.1:1." in done.stderr
    assert "nothing was written; --untested takes it all the same" in done.stderr
    assert not config.exists()
    assert setup(*words, "--untested").returncode == 0
    assert json.loads(config.read_text()) == {"redisUrl": NOWHERE}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--database-url", "postgresql://u:hunter2@h/x", "--yes"], "say --database-url env:NAME"),
        (["--redis-url", "env:NONE_OF_IT", "--yes"], "there is no variable NONE_OF_IT"),
        (["--embedded", "--strategy", "per-mood", "--yes"], "sessionStrategy: Input should be"),
        (["--key-stdin", "--yes"], "--key-stdin: there is no key on stdin"),
        ([], "there is no terminal to ask at: say --yes"),
    ],
)
def test_wrong_usage_is_a_sentence_and_changes_nothing(setup, config, words, said):
    done = setup(*words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "hunter2" not in done.stderr
    assert not config.exists()


def test_a_dry_run_changes_nothing(setup, urls, config, empty_environment):
    done = setup(*urls, "--workspace", "w", "--dry-run", "--yes", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["plan"]["settings"]["workspace"]) == (0, "w")
    assert not report["done"]["written"]
    assert not empty_environment.exists()


def test_the_key_is_kept_for_workers_and_nowhere_else(
    setup, config, database_url, redis_url, keyed_honcho, tmp_path, monkeypatch
):
    words = ["--honcho-url", keyed_honcho, "--key-stdin", "--yes", "--json"]
    env = {"AFTERTURN_DATABASE_URL": database_url, "AFTERTURN_REDIS_URL": redis_url}
    refused = setup(*words, stdin="hch-wrong\n", env=env)
    assert refused.returncode == 1
    assert "Honcho answers 401" in refused.stderr
    assert "hch-wrong" not in refused.stderr + refused.stdout
    assert not config.exists()

    done = setup(*words, "--workspace", "w", stdin=f"{KEY}\n")
    assert done.returncode == 0
    assert json.loads(config.read_text())["apiKey"] == KEY
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert KEY not in done.stdout + done.stderr
    with redis.Redis.from_url(redis_url) as there:
        assert not any(KEY.encode() in (there.dump(key) or b"") for key in there.keys("*"))
    dumped = subprocess.run(
        [sys.executable, "-c", _DUMP, database_url], capture_output=True, text=True, check=True
    )
    assert "alembic_version" in dumped.stdout
    assert KEY not in dumped.stdout
    assert read().settings.workspace == "w"
    assert KEY not in repr(read())


_DUMP = """
import psycopg, sys
with psycopg.connect(sys.argv[1]) as there:
    for (name,) in there.execute("SELECT tablename FROM pg_tables WHERE schemaname='public'").fetchall():
        print(name, there.execute(f'SELECT * FROM "{name}"').fetchall())
"""


def test_the_key_is_never_among_the_arguments_nor_in_the_environment(
    setup, keyed_honcho, monkeypatch
):
    started = []
    real = subprocess.run

    def run(words, **more):
        started.append((words, more.get("env"), dict(os.environ)))
        return real(words, **more)

    monkeypatch.setattr(subprocess, "run", run)
    words = ["--embedded", "--honcho-url", keyed_honcho, "--key-stdin", "--yes"]
    assert setup(*words, stdin=KEY).returncode == 0
    assert [words[-1] for words, *_ in started] == ["afterturn_worker.honcho.try_key"]
    assert KEY not in repr(started)


def test_what_counts_more_than_our_file_is_named(setup, config, database_url, redis_url, honcho):
    env = {"AFTERTURN_WORKSPACE": "w", "AFTERTURN_DATABASE_URL": database_url}
    with psycopg.connect(database_url, autocommit=True) as there:
        there.execute("INSERT INTO workspaces (name) VALUES ('w')")
        there.execute(
            "INSERT INTO settings (workspace_id, scope, subject, key, value)"
            " SELECT id, 'workspace', '', 'sessionStrategy', '\"global\"' FROM workspaces"
        )
    done = setup("--workspace", "home", "--strategy", "per-repo", "--yes", env=env)
    assert done.returncode == 0
    assert "workspace is said in the environment (AFTERTURN_WORKSPACE) as well" in done.stderr
    assert "sessionStrategy is said in Postgres (workspace w) as well" in done.stderr
    done = setup("--embedded", "--yes")
    assert "the environment (AFTERTURN_DATABASE_URL) still says" in done.stderr


def test_embedded_takes_a_url_back(setup, config, write, redis_url):
    write(config, {"redisUrl": redis_url, "databaseUrl": "postgresql://127.0.0.1:1/x"})
    done = setup("--embedded", "--redis-url", "env:RD", "--yes", env={"RD": redis_url})
    assert done.returncode == 0
    assert json.loads(config.read_text()) == {"redisUrl": redis_url}


def test_redis_that_may_lose_queues_is_warned_of(setup, redis_url, config):
    with redis.Redis.from_url(redis_url) as there:
        there.config_set("maxmemory-policy", "allkeys-lru")
        there.config_set("appendonly", "no")
        try:
            done = setup("--embedded", "--redis-url", "env:RD", "--yes", env={"RD": redis_url})
        finally:
            there.config_set("maxmemory-policy", "noeviction")
            there.config_set("appendonly", "yes")
    assert done.returncode == 0
    assert "its eviction policy is allkeys-lru" in done.stderr
    assert "CONFIG SET maxmemory-policy noeviction" in done.stderr
    assert "it keeps no append-only file" in done.stderr


def test_servers_that_somebody_named_are_found_and_none_is_taken_unasked(
    monkeypatch, write, empty_environment
):
    write(empty_environment.parent / ".honcho" / "config.json", {"baseUrl": "http://h:1"})
    write(empty_environment / "stack.json", {"databaseUrl": "postgresql://h:2/s", "pid": 1})
    monkeypatch.setenv("DATABASE_URL", "postgresql://h:3/other")
    monkeypatch.setenv("REDIS_URL", "redis://h:4/0")
    found = {
        part.field: [(one.url, one.where) for one in servers.candidates(part, read())]
        for part in servers.PARTS
    }
    honcho_file = str(empty_environment.parent / ".honcho" / "config.json")
    assert found == {
        "database_url": [("postgresql://h:3/other", "DATABASE_URL in the environment")],
        "redis_url": [("redis://h:4/0", "REDIS_URL in the environment")],
        "honcho_url": [
            ("http://h:1", honcho_file),
            ("https://api.honcho.dev", "the hosted one, with a key of yours"),
        ],
    }


def test_the_sandbox_that_is_missing_is_said(setup, monkeypatch):
    monkeypatch.setattr(servers, "_SANDBOX", ("no_such_module_of_anybody",))
    done = setup("--embedded", "--start", "--yes")
    assert done.returncode == 0
    assert "pip install 'afterturn[sandbox]'" in done.stderr


def test_workers_that_are_not_installed_leave_the_key_untested(setup, config, monkeypatch):
    from afterturn.setup import honcho_key

    monkeypatch.setattr(honcho_key, "_NEEDS", ("no_such_module_of_anybody",))
    words = ["--embedded", "--honcho-url", "http://127.0.0.1:1", "--untested"]
    done = setup(*words, "--key-stdin", "--yes", stdin=KEY)
    assert done.returncode == 0
    assert "pip install 'afterturn[worker]'" in done.stderr
    assert json.loads(config.read_text())["apiKey"] == KEY


_CUT_OFF = """
import os, sys
from pathlib import Path
from afterturn_models import config_file

class Interrupted(BaseException):
    "Stands in for a Ctrl-C that comes at one moment and at no other."

left = int(sys.argv[2])

def trace(frame, event, _):
    global left
    if frame.f_code.co_filename != config_file.__file__:
        return None
    if event == "line":
        if left == 0:
            sys.settrace(None)
            raise Interrupted
        left -= 1
    return trace

sys.settrace(trace)
try:
    config_file.set_all_in_file(Path(sys.argv[1]), {"workspace": "new"}, key="hch-2")
except Interrupted:
    os._exit(130)
"""


def test_an_interrupt_at_any_line_of_the_write_leaves_one_whole_configuration(config, write):
    """The file is the old one or the new one, at each of the moments at which it may be cut off."""
    old, new = {"workspace": "old", "apiKey": "hch-1"}, {"workspace": "new", "apiKey": "hch-2"}
    backup = config.with_name("config.json.bak")
    with Scripts(_CUT_OFF) as scripts:
        for moment in range(1_000):
            write(config, old)
            status = scripts.run(str(config), str(moment))
            assert json.loads(config.read_text()) in (old, new)
            assert not backup.exists() or json.loads(backup.read_text()) == old
            assert stat.S_IMODE(config.stat().st_mode) == 0o600
            for half in config.parent.glob(".config.json-*"):  # made, and not yet written to
                assert half.read_text() == ""
                half.unlink()
            backup.unlink(missing_ok=True)
            if status == 0:
                break
            assert status == 130
    assert json.loads(config.read_text()) == new
    assert moment > 40
