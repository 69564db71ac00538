"""`afterturn up`, `status` and `down` as real processes: found, mended, refused, stopped."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from afterturn_models.db import Database
from afterturn_models.store.workers import workers
from afterturn_sandbox.honcho.control import Control
from support.stacks import Installation, finish, gone, send, wait_for
from support.waiting import eventually

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount and change its user")
# An agent that was told nothing of where the stack is.
AGENT = """
import sys
from afterturn import Memory
with Memory.open() as memory:
    session = memory.session(name="chat")
    turn = session.begin_turn(sys.argv[1])
    turn.end("Noted.")
    print(session.flush(60))
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    # As behind a company's proxy, which knows nothing of what runs on this machine.
    nowhere = "http://127.0.0.1:9"
    place = Installation(
        tmp_path_factory.mktemp("up"),
        http_proxy=nowhere,
        HTTP_PROXY=nowhere,
        PGSSLMODE="require",  # for databases in a cloud
    )
    done = place.run("up", "--detach", "--concurrency", "4")
    assert done.returncode == 0, done.stderr
    yield place
    place.run("down")
    place.end_all()


@pytest.fixture
def place(tmp_path):
    found = Installation(tmp_path)
    yield found
    found.end_all()


def remembered(place):
    control = Control(place.announced()["honchoUrl"])
    return [message["content"] for message in control.messages("afterturn", "chat")]


def beating(place, name):
    """Give the worker that takes tasks under this name, if any."""
    database = Database(place.announced()["databaseUrl"], pool_size=1)
    try:
        with database.statement() as connection:
            found = [worker for worker in workers(connection) if worker.name.startswith(name)]
        return next((worker.pid for worker in found if worker.beat_age is not None), None)
    finally:
        database.close()


def a_sentence(done, *parts):
    said = done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert said.startswith("afterturn: "), done.stderr
    for part in parts:
        assert part in said
    return True


def test_an_agent_finds_the_stack_by_itself_and_its_turn_is_synced(running):
    assert running.python(AGENT, "My name is Ada.") == "True"
    assert remembered(running) == ["My name is Ada.", "Noted."]
    shown = running.run("status", "--json")
    assert (shown.returncode, json.loads(shown.stdout)["ok"]) == (0, True), shown.stdout


def test_a_second_up_is_refused_and_does_the_first_no_harm(running):
    before = running.announced()
    done = running.run("up", "--detach")
    assert done.returncode == 1
    assert a_sentence(done, "already runs", str(before["pid"]))
    assert running.announced() == before
    assert running.run("status").returncode == 0


def test_a_killed_worker_and_a_killed_server_are_started_again(running):
    former = beating(running, "worker1")
    os.kill(former, signal.SIGKILL)
    run = json.loads((running.home / "valkey" / "run.json").read_text())
    os.kill(run["processes"][0]["pid"], signal.SIGKILL)
    eventually(lambda: beating(running, "worker1") not in {None, former}, within=60)
    assert running.python(AGENT, "I live in Paris.") == "True"


def test_after_a_kill_of_up_itself_the_next_one_ends_the_orphans_and_keeps_the_data(running):
    before = remembered(running)
    former = running.announced()["pid"]
    orphan = beating(running, "worker1")
    os.kill(former, signal.SIGKILL)
    gone(former)
    orphans = {process.pid for process in running.alive()}
    assert orphan in orphans
    done = running.run("up", "--detach", "--no-flower", "--concurrency", "4")
    assert done.returncode == 0, done.stderr
    assert not orphans & {process.pid for process in running.alive()}
    assert running.python(AGENT, "I play the harp.") == "True"
    assert remembered(running) == [*before, "I play the harp.", "Noted."]


def test_down_ends_everything_and_then_there_is_nothing(running):
    assert len(running.alive()) > 3
    done = running.run("down")
    assert (done.returncode, done.stdout) == (0, "Stopped.\n")
    running.ends()
    assert running.announced() == {}
    again = running.run("down")
    assert (again.returncode, again.stdout) == (0, "Nothing was running.\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_configured_is_used_and_a_signal_stops_the_rest(
    place, database_url, redis_url, honcho, number
):
    env = {
        "AFTERTURN_DATABASE_URL": database_url,
        "AFTERTURN_REDIS_URL": redis_url,
        "HONCHO_URL": honcho.url,
        "CELERY_BROKER_URL": "redis://127.0.0.1:9/0",  # another project's
    }
    with place.foreground("up", "--no-flower", env=env) as process:
        said = wait_for(process, "Ready.")
        assert sum(line.rstrip().endswith("  configured") for line in said.splitlines()) == 3
        assert database_url.split("@")[0].rpartition(":")[2] not in said  # its password
        for part in ("postgres", "valkey", "honcho"):
            assert not (place.home / part).exists()
        assert place.announced()["databaseUrl"] == database_url
        send(process, number)
        status, said = finish(process, 30)
        assert (status, said.splitlines()[-1]) == (0, "Stopped.")
        place.ends()
        assert place.announced() == {}


@pytest.mark.parametrize(
    ("number", "words"), [(signal.SIGHUP, []), (signal.SIGTERM, []), (signal.SIGINT, ["--detach"])]
)
def test_an_interrupted_start_leaves_nothing(place, number, words):
    late = "worker1.log" if words else "honcho.log"
    with place.foreground("up", *words) as process:
        eventually((place.home / "logs" / late).exists, within=60)
        send(process, number)
        status, said = finish(process)
        assert status == 130, said
        assert "Traceback" not in said
        place.ends()
        assert place.announced() == {}


def test_a_taken_port_for_flower_is_said_in_a_sentence(place):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = place.run("up", "--detach", "--flower-port", str(port))
    assert (done.returncode, done.stdout) == (1, "")
    assert a_sentence(done, f"127.0.0.1:{port}", "--flower-port")
    place.ends()


def test_a_home_that_is_no_folder_is_said_in_a_sentence(place):
    place.home.write_text("in the way")
    done = place.run("up", "--detach")
    assert done.returncode == 2  # the settings are looked for there first
    assert a_sentence(done, str(place.home))
    place.ends()


@as_root
@pytest.mark.skipif(not shutil.which("unshare"), reason="unshare is not installed")
def test_a_full_disk_is_said_in_a_sentence(place):
    place.home.mkdir()
    mount = 'mount -t tmpfs -o size=8m tmpfs "$0" && exec "$@"'
    prefix = ("unshare", "-m", "sh", "-c", mount, str(place.home))
    if subprocess.run([*prefix, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    done = place.run("up", "--no-flower", prefix=prefix)
    assert done.returncode == 1
    assert "afterturn: " in done.stderr
    assert "space" in done.stderr
    assert "Traceback" not in done.stderr
    place.ends()


def dropping_root(folder):
    """Give a command line in front of another that runs it as nobody, who can read our Python.

    Where Python lives in root's own folder, it is shown to nobody in a mount namespace.
    """
    base = Path(sys.base_prefix).resolve()
    closed = next((up for up in reversed(base.parents) if not up.stat().st_mode & 0o001), None)
    drop = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    if closed is None:
        return (*drop,)
    aside = folder / "python"
    aside.mkdir(exist_ok=True)
    script = (
        'mount --bind "$0" "$1" && mount -t tmpfs -o mode=755 tmpfs "$2" && mkdir -p "$0"'
        ' && mount --bind "$1" "$0" && shift 2 && exec "$@"'
    )
    return ("unshare", "-m", "sh", "-c", script, str(base), str(aside), str(closed), *drop)


@as_root
@pytest.mark.skipif(
    not (shutil.which("unshare") and shutil.which("setpriv")), reason="it needs util-linux"
)
def test_an_ordinary_user_runs_it_too():
    with tempfile.TemporaryDirectory(prefix="afterturn-nobody-") as name:
        folder = Path(name)
        os.chown(folder, NOBODY, NOBODY)
        prefix = dropping_root(folder)
        trial = [*prefix, sys.executable, "-c", "import afterturn.memory, afterturn_sandbox.up"]
        if subprocess.run(trial, check=False, capture_output=True, cwd="/").returncode:
            pytest.skip("our Python cannot be shown to an ordinary user here")
        place = Installation(folder)
        try:
            done = place.run("up", "--detach", "--no-flower", prefix=prefix)
            assert done.returncode == 0, done.stderr
            assert {process.uids().real for process in place.alive()} == {NOBODY}
            done = place.run("down", prefix=prefix)
            assert (done.returncode, done.stdout) == (0, "Stopped.\n")
            place.ends()
        finally:
            place.end_all()
