"""Remembers which processes a folder's owner started, so that kill -9 leaves no orphan for good.

Not PR_SET_PDEATHSIG: it fires when the *thread* that started the child ends, it is lost when a
program changes its user, it is Linux's alone, and it gives a database no orderly stop. Instead a
run marks what it starts: by a token in the environment, which is on disk before the first process
is, and by number and time of birth. The next run, or `down`, ends what bears these marks.
"""

import fcntl
import json
import os
import secrets
import time
from pathlib import Path
from typing import Any, Self

from afterturn_sandbox.errors import SandboxError, explained
from afterturn_sandbox.identity import TERMINATE, ProcessId, Signals, end_all, marked
from afterturn_sandbox.private_files import write_private

MARK = "AFTERTURN_SANDBOX_RUN"


class Ledger:
    """The claim of one process on a folder, with what it started; open it by `Ledger.claim`."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock
        self._owner = os.getpid()
        self._former = _read(path)
        self._processes: dict[str, ProcessId] = {}
        self.token = secrets.token_hex(16)

    @classmethod
    def claim(cls, path: Path, what: str, signals: Signals = TERMINATE) -> Self:
        """Claim `path`, end what a former run left alive, and begin a new run.

        Raises SandboxError if another living process has the claim (it says which), if something
        of the former run cannot be ended, or if the folder is not writable.
        """
        with explained(f"{what} cannot start", path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            ledger = cls(path, _lock(path, what))
            try:
                ledger.end_leftovers(what, signals)
                ledger._write()
            except BaseException:
                ledger.release()
                raise
        return ledger

    @property
    def environment(self) -> dict[str, str]:
        """The mark that everything started under this claim must carry in its environment."""
        return {MARK: self.token}

    def add(self, name: str, pid: int) -> None:
        """Write down that `name` runs as `pid`."""
        if identity := ProcessId.of(pid):
            self._processes[name] = identity
            self._write()

    def remove(self, name: str) -> None:
        """Strike `name` out: it was ended."""
        if self._processes.pop(name, None):
            self._write()

    def end_leftovers(self, what: str, signals: Signals = TERMINATE) -> None:
        """End the processes of the former run that still live; raises SandboxError if one stays."""
        leaders = [ProcessId(entry["pid"], entry["began"]) for entry in self._former["processes"]]
        token = self._former["token"]
        # What it leads goes with a leader in good order; only then the rest.
        remaining = end_all(leaders, signals)
        if token:
            remaining += end_all(marked(MARK, token), signals)
        if remaining:
            raise SandboxError(
                f"{what} cannot start: process {remaining[0].describe()} of a former run "
                "does not end; end it by hand and start again"
            )

    def end_strays(self) -> None:
        """End whatever of this run lives outside the processes written down."""
        end_all(marked(MARK, self.token))

    def release(self) -> None:
        """Give the claim up; in a process forked from the owner this only closes its copy."""
        if self._lock < 0:
            return
        if os.getpid() == self._owner:
            os.ftruncate(self._lock, 0)
        os.close(self._lock)
        self._lock = -1

    def _write(self) -> None:
        if os.getpid() != self._owner:
            return
        entries = [
            {"name": name, "pid": process.pid, "began": process.began}
            for name, process in self._processes.items()
        ]
        write_private(self.path, json.dumps({"token": self.token, "processes": entries}))


def stop_run(path: Path, what: str, patience: float = 60.0) -> bool:
    """End the run that `path` belongs to, from outside: its owner by SIGTERM, then what remains.

    Returns whether there was anything to end. Raises SandboxError if the owner outlives `patience`
    seconds, which must cover an orderly stop of all that it runs.
    """
    if not path.exists():
        return False
    owner = _owner(path)
    if owner and end_all([owner], [(TERMINATE[0][0], patience)]):
        raise SandboxError(
            f"{what} does not end: process {owner.describe()} ignored SIGTERM for {patience:.0f} s; "
            f"end it with `kill -9 {owner.pid}` and repeat this"
        )
    former = _read(path)
    left = any(ProcessId(entry["pid"], entry["began"]).alive() for entry in former["processes"])
    Ledger.claim(path, what).release()
    return left or owner is not None


def _lock(path: Path, what: str) -> int:
    """Lock the file beside the ledger for this process; raises SandboxError naming the holder.

    The kernel lets go of it when the process ends, however it ends. The file stays: removing it
    would let two processes lock two files of one name.
    """
    descriptor = os.open(_lock_path(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock_patiently(descriptor)
    except BlockingIOError as error:
        os.close(descriptor)
        holder = _owner(path)
        whom = f"process {holder.describe()}" if holder else "another process"
        raise SandboxError(
            f"{what} already runs on {path.parent}, held by {whom}; "
            "stop that one first or choose another data folder"
        ) from error
    me = ProcessId.of(os.getpid())
    assert me is not None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps({"pid": me.pid, "began": me.began}).encode(), 0)
    return descriptor


def _lock_patiently(descriptor: int, seconds: float = 0.5) -> None:
    """Lock, and bear with a claim that is being looked at or given up just now."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _owner(path: Path) -> ProcessId | None:
    """Return the living process that holds the claim, as it wrote itself down."""
    try:
        noted = json.loads(_lock_path(path).read_text(encoding="utf-8"))
        owner = ProcessId(noted["pid"], noted["began"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return owner if owner.alive() else None


def _lock_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _read(path: Path) -> dict[str, Any]:
    """Return the former run's ledger; one that is absent or broken names nothing."""
    try:
        noted = json.loads(path.read_text(encoding="utf-8"))
        return {"token": str(noted["token"]), "processes": list(noted["processes"])}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {"token": "", "processes": []}
