"""What the agent's own files rest on: locks between processes, and writes that survive a crash."""

from __future__ import annotations

import fcntl
import os
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_POLL = 0.001
_OPEN_LOCK = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW

# The descriptors of locks this process holds or waits for, so that a forked child closes its copies:
# a lock lives as long as any copy does, and a child would keep that of a parent killed meanwhile.
_locks: set[int] = set()


class LockBusyError(TimeoutError):
    """Another process held a lock for longer than was to be waited."""


@contextmanager
def locked(name: str | Path, patience: float, *, folder: int | None = None) -> Iterator[int]:
    """Hold the lock on the file `name` (made where absent), and give its descriptor.

    Each call opens the file anew, so threads exclude each other as processes do. `patience` is in
    seconds and never without end: a process that was frozen with the lock must not freeze every
    other agent. `folder` is a descriptor that `name` is relative to. The kernel lets go of the
    lock when the process ends, however it ends. Raises LockBusyError, or OSError as `open` does.
    """
    descriptor = os.open(name, _OPEN_LOCK, 0o600, dir_fd=folder)
    owner = os.getpid()
    _locks.add(descriptor)
    try:
        _acquire(descriptor, patience)
        yield descriptor
    finally:
        # In a child forked meanwhile the copy is closed already; the number may be another file's.
        if os.getpid() == owner:
            _locks.discard(descriptor)
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)


def _acquire(descriptor: int, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                raise LockBusyError("another process holds its lock") from error
            time.sleep(_POLL)
        else:
            return


def _close_inherited() -> None:
    for descriptor in _locks:
        with suppress(OSError):
            os.close(descriptor)
    _locks.clear()


os.register_at_fork(after_in_child=_close_inherited)


def sync(descriptor: int) -> None:
    """Return when what was written to `descriptor` is on the disk itself."""
    if sys.platform == "darwin":
        # There fsync stops at the drive's own cache; not every file system knows the other.
        with suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Return when the names in `folder` are on the disk: a new file's contents alone are not it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make `folder` and what it stands in, mode 700 and durable; one that exists is left as it is.

    Its mode is not changed then: it may be a folder that others were given on purpose.
    """
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_folder(folder.parent)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not folder.is_dir():
            raise
    sync_folder(folder.parent)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data`, however many calls the system takes for it."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
