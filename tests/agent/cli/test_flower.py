"""`afterturn flower`: behind a login that no command line shows."""

from __future__ import annotations

import socket
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path

import pytest

from afterturn.cli.processes import made_login
from support.waiting import eventually


@pytest.fixture
def flower(agent_env, tmp_path, empty_environment):
    """Run Flower; gives its process, address and home."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (tmp_path / "flower.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "afterturn", "flower", "--port", str(port)],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    yield process, f"http://127.0.0.1:{port}", empty_environment
    process.terminate()
    process.wait(30)


def answer(url, login=None):
    request = urllib.request.Request(url)
    if login:
        request.add_header("Authorization", f"Basic {b64encode(login.encode()).decode()}")
    try:
        with urllib.request.urlopen(request, timeout=10) as found:
            return found.status, found.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""
    except OSError:
        return 0, ""


def test_flower_answers_and_asks_for_a_login(flower):
    process, url, home = flower
    eventually(lambda: answer(f"{url}/healthcheck") == (200, "OK"), within=40, every=0.2)
    login = (home / "flower-login").read_text().strip()
    user, _, password = login.partition(":")
    assert (user, len(password) >= 20) == ("afterturn", True)
    assert stat.S_IMODE((home / "flower-login").stat().st_mode) == 0o600
    assert answer(f"{url}/workers")[0] == 401
    assert answer(f"{url}/api/workers")[0] == 401
    assert answer(f"{url}/workers", f"{user}:wrong")[0] == 401
    assert answer(f"{url}/workers", login)[0] == 200
    command = Path(f"/proc/{process.pid}/cmdline")
    if command.exists():
        assert password.encode() not in command.read_bytes()
        assert b"flower" in command.read_bytes()


def test_a_login_is_made_once(tmp_path):
    login = made_login(tmp_path / "home")
    assert made_login(tmp_path / "home") == login


@pytest.mark.parametrize("login", ["nobody", ":", "user:", ":password"])
def test_a_login_of_another_form_is_refused(called, login):
    env = {"AFTERTURN_REDIS_URL": "redis://127.0.0.1:1/0", "AFTERTURN_FLOWER_AUTH": login}
    done = called("flower", env=env)
    assert done.returncode == 2
    assert "user:password" in done.stderr
    assert "Traceback" not in done.stderr
