"""The command line as users run it: sentences, exit statuses, and no traceback."""

from __future__ import annotations

import importlib.util
import os
import stat
import subprocess
import sys

import pytest

from afterturn.cli.app import build


def commands():
    return sorted(c.name or c.callback.__name__ for c in build().registered_commands)


def sentence(done, status):
    """See that a command ended with `status` and one sentence; give it."""
    assert done.returncode == status, done
    assert "Traceback" not in done.stderr, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("afterturn: ")
    return lines[0].removeprefix("afterturn: ")


@pytest.fixture
def sabotage(tmp_path):
    """Give a function that makes the environment of a process that runs some code first."""

    def make(code):
        (tmp_path / "sitecustomize.py").write_text(code)
        return {"PYTHONPATH": str(tmp_path)}

    return make


@pytest.mark.parametrize("name", commands())
def test_every_command_has_help_with_an_example(called, name):
    done = called(name, "--help")
    assert done.returncode == 0
    assert f"  afterturn {name}" in done.stdout or f" afterturn {name}\n" in done.stdout


def test_there_are_the_commands_that_the_header_names():
    assert {"status", "migrate", "worker", "flower", "up", "down", "demo"} <= set(commands())


def test_version_and_usage(called):
    assert called("--version").stdout.startswith("afterturn 0.")
    wrong = called("statsu")
    assert wrong.returncode == 2
    assert "No such command" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_migrate_twice(called, afterturn, empty_database_url):
    env = {"AFTERTURN_DATABASE_URL": empty_database_url}
    for run in (afterturn, called):
        done = run("migrate", env=env)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("The database is at revision ")


def test_migrate_without_a_database(called):
    assert "AFTERTURN_DATABASE_URL" in sentence(called("migrate"), 2)


@pytest.mark.parametrize("url", ["mysql://u:hunter2@h/x", "hunter2", "postgresql://u:hunter2@h:x/"])
def test_migrate_with_a_url_that_is_none(called, url):
    said = sentence(called("migrate", env={"AFTERTURN_DATABASE_URL": url}), 2)
    assert "database URL" in said
    assert "hunter2" not in said


def test_migrate_where_nothing_listens(called):
    env = {"AFTERTURN_DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/x"}
    done = called("migrate", env=env)
    assert "Postgres: " in sentence(done, 1)
    assert "hunter2" not in done.stderr + done.stdout


def test_migrate_with_a_wrong_password(afterturn, empty_database_url):
    user, _, host = empty_database_url.partition("@")
    wrong = f"{user.rpartition(':')[0]}:hunter2@{host}"
    done = afterturn("migrate", env={"AFTERTURN_DATABASE_URL": wrong})
    assert "password authentication failed" in sentence(done, 1)
    assert "hunter2" not in done.stderr + done.stdout


@pytest.mark.parametrize("command", ["worker", "flower"])
def test_what_needs_redis_says_so(called, command):
    assert "AFTERTURN_REDIS_URL" in sentence(called(command), 2)


@pytest.mark.parametrize(
    ("command", "module", "extra"), [("worker", "honcho", "worker"), ("flower", "flower", "flower")]
)
def test_a_missing_extra_is_named(called, monkeypatch, command, module, extra):
    there = importlib.util.find_spec
    monkeypatch.setattr(
        "afterturn.cli.processes.find_spec", lambda name: None if name == module else there(name)
    )
    said = sentence(called(command, env={"AFTERTURN_REDIS_URL": "redis://127.0.0.1:1/0"}), 2)
    assert f"pip install 'afterturn[{extra}]'" in said


def test_an_unknown_queue_is_named(called):
    env = {"AFTERTURN_REDIS_URL": "redis://127.0.0.1:1/0"}
    said = sentence(called("worker", "--queues", "sync,fast", env=env), 2)
    assert "'fast'" in said
    assert "interactive,sync,prefetch,bulk,maintenance" in said


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [
        ("{nonsense", 0o600, "is not JSON"),
        ("[1]", 0o600, "must hold one JSON object"),
        (b"\xff\xfe", 0o600, "is not UTF-8"),
        ('{"memoryMode": "sometimes"}', 0o600, "memoryMode"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_named(
    called, empty_environment, content, mode, reason
):
    empty_environment.mkdir()
    path = empty_environment / "config.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    said = sentence(called("status"), 2)
    assert str(path) in said
    assert reason in said


def test_a_configuration_file_that_is_a_folder_is_named(called, empty_environment):
    (empty_environment / "config.json").mkdir(parents=True)
    said = sentence(called("status"), 2)
    assert "config.json cannot be read: Is a directory" in said


DEFECT = """
import afterturn.health
def look():
    raise KeyError("forced")
afterturn.health.look = look
"""


def test_a_defect_is_a_sentence_and_its_trace_is_kept_private(
    afterturn, sabotage, empty_environment
):
    log = empty_environment / "crash.log"
    empty_environment.mkdir()
    log.write_text("an older one, for all to read")
    log.chmod(0o644)
    said = sentence(afterturn("status", env=sabotage(DEFECT)), 1)
    assert "a defect of afterturn: KeyError" in said
    assert str(log) in said
    assert "forced" in log.read_text()
    assert "an older one" not in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_debug_shows_the_traceback(called):
    done = called("migrate", env={"AFTERTURN_DEBUG": "1"})
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert done.stderr.rstrip().splitlines()[-1].startswith("afterturn: no database")


@pytest.mark.parametrize("arguments", ["status --json"])
def test_a_reader_that_goes_away_is_no_traceback(arguments):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "afterturn", *arguments.split()],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(write)
    assert done.returncode == 1
    assert done.stderr == ""
