"""Make `.venv` what the lock says: the first step of every `make` target that runs something.

Only the standard library, because it runs before anything is installed.
"""
# ruff: noqa: INP001 - a program, not a module of a package

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements-dev.lock"
PROJECT = ROOT / "pyproject.toml"
# Says what was installed and where: scripts in an environment carry the path of their Python.
STAMP = VENV / "afterturn-setup.json"

_WORKS = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
_PIP = ("install", "--quiet", "--disable-pip-version-check", "--progress-bar", "off")


def main() -> int:
    """Set up what is not as it should be; 1 with a sentence on stderr where that fails."""
    try:
        if _installed() != _wanted() or not _works():
            with _alone():
                _set_up()
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        _say(f"afterturn: .venv could not be set up: {error}")
        return 1
    return 0


def _wanted() -> dict[str, str]:
    return {"place": str(ROOT), "lock": _digest(LOCK), "project": _digest(PROJECT)}


def _installed() -> dict[str, str]:
    try:
        found = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _works() -> bool:
    """Tell whether the environment's Python runs: the one it was made from may be gone."""
    try:
        asked = subprocess.run([PYTHON, "-Ic", _WORKS], check=False, capture_output=True)  # noqa: S603 - our own path
    except OSError:
        return False
    return asked.returncode == 0


@contextmanager
def _alone() -> Iterator[None]:
    """Let one process at a time in; the kernel lets go when it ends, however it ends."""
    with LOCK.open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("Waiting for another process that sets up .venv …")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _set_up() -> None:
    """Do what is missing, and stamp it last: after an interruption it is done again."""
    wanted, installed = _wanted(), _installed()
    if installed == wanted and _works():
        return  # the process that we waited for did it
    moved = installed.get("place", str(ROOT)) != str(ROOT)
    if moved or not _works():
        _say(f"Setting up .venv with Python {sys.version.partition(' ')[0]}; this takes a minute …")
        _run(sys.executable, "-Im", "venv", "--clear", VENV)
        installed = {}
    STAMP.unlink(missing_ok=True)
    if installed.get("lock") != wanted["lock"]:
        _say("Installing what requirements-dev.lock lists …")
        _pip("--require-hashes", "--only-binary", ":all:", "--requirement", LOCK)
    _pip("--no-index", "--no-deps", "--no-build-isolation", "--editable", ROOT)
    STAMP.write_text(json.dumps(wanted), encoding="utf-8")


def _pip(*arguments: str | Path) -> None:
    _run(PYTHON, "-Im", "pip", *_PIP, *arguments)


def _run(*command: str | Path) -> None:
    # A user's pip settings for mirrors and certificates hold; those that would install
    # elsewhere than into the environment do not.
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in {"PIP_TARGET", "PIP_PREFIX", "PIP_ROOT"}
    }
    env |= {"PIP_USER": "0", "PIP_ROOT_USER_ACTION": "ignore", "PIP_NO_INPUT": "1"}
    done = subprocess.run(  # noqa: S603 - our own commands
        command,
        check=False,
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode:
        # What pip warns of is of use only where something failed.
        raise OSError(done.stdout.decode(errors="replace").strip() or f"{command} failed")


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)  # noqa: T201 - for whoever waits


if __name__ == "__main__":
    raise SystemExit(main())
