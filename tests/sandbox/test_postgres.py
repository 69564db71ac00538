import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import psycopg
import pytest

from afterturn_sandbox import embedded, privileges
from afterturn_sandbox.errors import SandboxError
from afterturn_sandbox.identity import ProcessId
from afterturn_sandbox.postgres import EmbeddedPostgres

NOBODY = 65534
PARENT = """
import signal, sys
from pathlib import Path
from afterturn_sandbox.postgres import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]), durable=False)
print(server.start(), server.pid, flush=True)
signal.pause()
"""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "postgres"


def quick(folder):
    return EmbeddedPostgres(folder, durable=False)


def ask(url, statement):
    with psycopg.connect(url) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone() if cursor.description else None


def test_a_restart_keeps_the_data_the_password_and_the_port(folder):
    with EmbeddedPostgres(folder) as server:
        first = server.url
        ask(first, "CREATE TABLE kept AS SELECT 7 AS seven")
        assert ask(first, "SHOW fsync") == ("on",)
        assert ask(first, "SHOW max_connections") == ("200",)
    assert not server.alive
    server.stop()
    with EmbeddedPostgres(folder) as server:
        assert server.url == first
        assert ask(first, "SELECT seven FROM kept") == (7,)


def test_the_role_is_no_superuser_and_only_its_owner_reads_the_password(folder):
    with quick(folder) as server:
        assert ask(server.url, "SHOW is_superuser") == ("off",)
        ask_outside_a_transaction(server.url, "CREATE DATABASE another")
        assert (folder / "password").stat().st_mode & 0o777 == 0o600
        command = " ".join(psutil.Process(server.pid).cmdline())
        assert (folder / "password").read_text() not in command
        wrong = server.url.replace((folder / "password").read_text(), "wrong")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(wrong)


def ask_outside_a_transaction(url, statement):
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def test_a_lost_password_file_is_made_anew(folder):
    with quick(folder) as server:
        before = server.url
    (folder / "password").unlink()
    with quick(folder) as server:
        assert server.url != before
        assert ask(server.url, "SELECT 1") == (1,)


def test_after_kill_9_of_its_parent_the_next_start_ends_the_orphan_and_has_the_data(folder):
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, folder], stdout=subprocess.PIPE, text=True
    ) as parent:
        url, pid = parent.stdout.readline().split()
        ask(url, "CREATE TABLE kept AS SELECT 7 AS seven")
        parent.kill()
    orphan = ProcessId.of(int(pid))
    assert orphan.alive()
    with quick(folder) as server:
        assert not orphan.alive()
        assert server.pid != int(pid)
        assert ask(server.url, "SELECT seven FROM kept") == (7,)


def test_a_second_start_on_the_folder_is_told_who_holds_it(folder):
    with quick(folder) as server:
        with pytest.raises(SandboxError, match=f"held by process {os.getpid()} "):
            quick(folder).start()
        assert ask(server.url, "SELECT 1") == (1,)


def test_stop_leftovers_ends_the_server_with_the_process_that_holds_it(folder):
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, folder], stdout=subprocess.PIPE, text=True
    ) as parent:
        pid = int(parent.stdout.readline().split()[1])
        assert quick(folder).stop_leftovers()
        assert parent.wait(10) == -signal.SIGTERM
    assert ProcessId.of(pid) is None
    assert not quick(folder).stop_leftovers()


def test_a_stale_postmaster_file_that_names_a_living_process_is_no_obstacle(folder):
    with quick(folder):
        pass
    stale = folder / "cluster" / "postmaster.pid"
    stale.write_text(f"{os.getppid()}\n{folder / 'cluster'}\n1\n5432\n\n127.0.0.1\n")
    with quick(folder) as server:
        assert ask(server.url, "SELECT 1") == (1,)


def test_a_folder_with_spaces_and_a_path_longer_than_a_socket_address_will_do(tmp_path):
    folder = tmp_path / "with a space and 'quotes'" / ("long-" * 40) / "postgres"
    with quick(folder) as server:
        assert len(str(folder)) > 200
        assert ask(server.url, "SELECT 1") == (1,)


def test_a_port_taken_in_between_leads_to_another(folder, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        offered = iter([taken.getsockname()[1]])
        real = embedded.free_port
        monkeypatch.setattr(embedded, "free_port", lambda port: next(offered, None) or real(port))
        with quick(folder) as server:
            assert server.port != taken.getsockname()[1]
            assert ask(server.url, "SELECT 1") == (1,)


def test_folders_of_another_version_or_of_another_postgres_are_refused(tmp_path):
    older = tmp_path / "older"
    (older / "cluster").mkdir(parents=True)
    (older / "cluster" / "PG_VERSION").write_text("16\n")
    with pytest.raises(SandboxError, match="made by PostgreSQL 16, and this is 18"):
        quick(older).start()
    (tmp_path / "PG_VERSION").write_text("18\n")
    with pytest.raises(SandboxError, match="another Postgres"):
        quick(tmp_path).start()


def test_a_start_that_fails_quotes_the_log(folder):
    with quick(folder):
        pass
    (folder / "cluster" / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(SandboxError, match="no_such_setting"):
        quick(folder).start()


def test_a_cluster_cut_short_is_made_again(folder):
    (folder / "cluster.unfinished").mkdir(parents=True)
    (folder / "cluster.unfinished" / "PG_VERSION").write_text("18\n")
    with quick(folder) as server:
        assert ask(server.url, "SELECT 1") == (1,)


@pytest.fixture
def readable():
    """A folder of our own that any user may enter, which pytest's are not."""
    with tempfile.TemporaryDirectory(prefix="afterturn-test-") as place:
        Path(place).chmod(0o755)
        yield Path(place)


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user")


@as_root
@pytest.mark.parametrize("way", ["user namespace", "setpriv", "nobody"])
def test_root_has_three_ways_to_run_it_and_each_takes_the_folder_over(way, readable, monkeypatch):
    folder = readable / "postgres"
    with quick(folder) as server:
        ask(server.url, "CREATE TABLE kept AS SELECT 7 AS seven")
    ways = privileges._ways_of_root
    monkeypatch.setattr(
        privileges,
        "_ways_of_root",
        lambda *places: (found for found in ways(*places) if found[0] == way),
    )
    try:
        with quick(folder) as server:
            assert ask(server.url, "SELECT seven FROM kept") == (7,)
    except SandboxError as error:
        if "no way was found" in str(error):
            pytest.skip(f"this machine forbids it: {error}")
        raise


@as_root
def test_an_ordinary_user_runs_it_directly(readable):
    script = (
        "import sys; from pathlib import Path\n"
        "from afterturn_sandbox.postgres import EmbeddedPostgres\n"
        "with EmbeddedPostgres(Path(sys.argv[1]), durable=False) as server:\n"
        "    print(server._runner.name, server.url)\n"
    )
    done = as_nobody(script, readable)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("directly postgresql://afterturn:")


def as_nobody(script, home):
    """Run `script` as an ordinary user, by the first Python of our version that may read us."""
    os.chown(home, NOBODY, NOBODY)
    drop = {"user": NOBODY, "group": NOBODY, "extra_groups": [], "cwd": "/"}
    environment = {
        "HOME": str(home), "PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join(place for place in sys.path if "site-packages" in place
                                      or "sandbox" in place),
    }  # fmt: skip
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        trial = [python, "-c", "import afterturn_sandbox.postgres"]
        try:
            subprocess.run(trial, check=True, capture_output=True, env=environment, **drop)
        except (OSError, subprocess.CalledProcessError):
            continue
        return subprocess.run(
            [python, "-c", script, home / "data"], check=False, capture_output=True,
            text=True, env=environment, **drop,
        )  # fmt: skip
    pytest.skip("no Python here is readable for an ordinary user")
