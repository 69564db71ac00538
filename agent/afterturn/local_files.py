"""A peer's local memory files: the half of the memory modes that never leaves this machine.

USER.md is the user peer's; MEMORY.md, SOUL.md and the daily notes in memory/ are the agent's. A
peer in mode `honcho` has its local writes disabled (spec: per-peer memory modes); what is there
already may still be read.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from afterturn.disk import LockBusyError, locked, make_folder, sync, write_all
from afterturn_models.errors import AfterturnError
from afterturn_models.values import Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

USER_FILE = "USER.md"
AGENT_FILES = ("MEMORY.md", "SOUL.md")
NOTES = "memory"
MAX_BYTES = 1024 * 1024
PATIENCE = 10.0

_NOTE = re.compile(NOTES + r"/([A-Za-z0-9][A-Za-z0-9._-]{0,99}\.md)", re.ASCII)
_LOCK = ".afterturn.lock"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Without O_NONBLOCK a named pipe in the place of a file would be waited for.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class LocalFileError(AfterturnError):
    """A local memory file cannot be read or written; the message says which one and why."""


class WriteRefused(LocalFileError):  # noqa: N818 - named for what happened, as its callers speak
    """The peer's memory mode disables local writes; nothing was changed."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a file is: a bare name in an open folder, and the name that people use."""

    folder: int
    name: str
    shown: str

    def refuse(self, reason: str) -> LocalFileError:
        return LocalFileError(f"{self.shown} {reason}.")

    def text(self, max_bytes: int) -> str | None:
        """Read the file, None where it is absent; raises LocalFileError or OSError."""
        try:
            descriptor = os.open(self.name, _READ, dir_fd=self.folder)
        except FileNotFoundError:
            return None
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise self.refuse("is not a regular file")
            data = _read_up_to(descriptor, max_bytes + 1)
        finally:
            os.close(descriptor)
        self.check_size(data, max_bytes)
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.refuse("is not text in UTF-8") from error
        return self.without_nul(text)

    def check_size(self, data: bytes, max_bytes: int) -> None:
        if len(data) > max_bytes:
            raise self.refuse(f"would be larger than {max_bytes} bytes, or is already")

    def without_nul(self, text: str) -> str:
        if "\0" in text:
            raise self.refuse("is binary, not text: it has a NUL character")
        return text


class LocalFiles:
    """The memory files of one agent's folder; processes and threads may share it.

    Names that are allowed: USER.md, MEMORY.md, SOUL.md and memory/<note>.md. A symbolic link in
    the place of a file, or of memory/, is never followed; the folder itself may be one.
    """

    def __init__(
        self,
        folder: Path,
        modes: Callable[[], tuple[Mode, Mode]],
        *,
        max_bytes: int = MAX_BYTES,
        patience: float = PATIENCE,
    ) -> None:
        """Use `folder`, which the first write makes.

        `modes` gives the user's and the agent's mode and is asked at each write, so that a change
        holds at once. `patience` is how many seconds a write waits for another process' write.
        """
        self._folder = folder
        self._modes = modes
        self._max_bytes = max_bytes
        self._patience = patience

    def read(self, name: str) -> str | None:
        """Read a file; None where it is absent.

        Raises LocalFileError where the name is not allowed, or the file is a link, too large, not
        text in UTF-8, or not to be read by this process.
        """
        note = _allowed(name)
        with _explained(name), ExitStack() as opened:
            place = self._place(opened, name, note, make=False)
            return None if place is None else place.text(self._max_bytes)

    def names(self) -> list[str]:
        """List the files that are there: USER.md, MEMORY.md, SOUL.md, then notes, newest first.

        Newest by name, as daily notes are called by their date. Raises LocalFileError for a
        folder that this process may not list.
        """
        with _explained(str(self._folder.name)), ExitStack() as opened:
            notes: list[str] = []
            try:
                folder = _open_folder(opened, self._folder, None)
                own = set(os.listdir(folder))  # noqa: PTH208 - an open folder, which has no path
                with suppress(OSError):  # absent, or a link, which is not followed
                    notes = os.listdir(_open_folder(opened, NOTES, folder))
            except FileNotFoundError:
                return []
            found = (f"{NOTES}/{note}" for note in sorted(notes, reverse=True))
            return [name for name in (USER_FILE, *AGENT_FILES) if name in own] + [
                name for name in found if _NOTE.fullmatch(name)
            ]

    def write(self, name: str, text: str) -> None:
        """Replace a file by `text`, whole or not at all; its permissions are kept.

        Raises WriteRefused where the peer's mode is `honcho`, and LocalFileError as `read` does;
        nothing of the file was changed then.
        """
        with self._writing(name) as place:
            self._replace(place, text)

    def append(self, name: str, text: str) -> None:
        """Add `text` to a file, beginning on a line of its own; raises what `write` does."""
        with self._writing(name) as place:
            before = place.text(self._max_bytes) or ""
            between = "\n" if before and not before.endswith("\n") else ""
            self._replace(place, before + between + text)

    @contextmanager
    def _writing(self, name: str) -> Iterator[_Place]:
        """Hold the folder's lock, where the mode allows a write at all."""
        note = _allowed(name)
        user_mode, agent_mode = self._modes()
        peer, mode = ("user", user_mode) if name == USER_FILE else ("agent", agent_mode)
        if mode is Mode.HONCHO:
            raise WriteRefused(
                f"{name} is not written: {peer}MemoryMode is honcho, which keeps the {peer}'s "
                "memory in Honcho alone; set it to hybrid or local to write the file."
            )
        with _explained(name), ExitStack() as opened:
            make_folder(self._folder)
            place = self._place(opened, name, note, make=True)
            assert place is not None
            # In the file's own folder, and a file of its own: the one written is replaced.
            opened.enter_context(locked(_LOCK, self._patience, folder=place.folder))
            yield place

    def _place(
        self, opened: ExitStack, name: str, note: str | None, *, make: bool
    ) -> _Place | None:
        """Open the folder that the file is in, for as long as `opened` lasts; None if absent."""
        try:
            folder = _open_folder(opened, self._folder, None)
            if note is None:
                return _Place(folder, name, name)
            if make:
                with suppress(FileExistsError):
                    os.mkdir(NOTES, 0o700, dir_fd=folder)
                    sync(folder)
            return _Place(_open_folder(opened, NOTES, folder), note, name)
        except FileNotFoundError:
            if make:
                raise
            return None

    def _replace(self, place: _Place, text: str) -> None:
        try:
            data = place.without_nul(text).encode("utf-8")
        except UnicodeEncodeError as error:
            raise place.refuse("is not written: its text has half characters (surrogates)") from (
                error
            )
        place.check_size(data, self._max_bytes)
        former = _status(place)
        # Under the lock one name is enough, and what a killed process left is cleared by it.
        temporary = f".{place.name}.afterturn-tmp"
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=place.folder)
        descriptor = os.open(temporary, _NEW, 0o600, dir_fd=place.folder)
        try:
            _fill(descriptor, data, former)
            os.replace(temporary, place.name, src_dir_fd=place.folder, dst_dir_fd=place.folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=place.folder)
            raise
        sync(place.folder)


def read_text(folder: Path, name: str, *, max_bytes: int = MAX_BYTES) -> str | None:
    """Read a file that is in `folder` itself, whatever it is called; None where it is absent.

    Raises LocalFileError for a name that leads elsewhere, and as `LocalFiles.read` does.
    """
    if not name or "/" in name or "\0" in name or name in {".", ".."}:
        raise LocalFileError(f"{name!r} is not in the folder.")
    with _explained(name), ExitStack() as opened:
        return _Place(_open_folder(opened, folder, None), name, name).text(max_bytes)


def _allowed(name: str) -> str | None:
    """Give the bare name of a note, None for a file of the folder itself; or raise."""
    if name == USER_FILE or name in AGENT_FILES:
        return None
    if found := _NOTE.fullmatch(name):
        return found[1]
    known = ", ".join((USER_FILE, *AGENT_FILES))
    raise LocalFileError(f"{name!r} is no memory file: allowed are {known} and {NOTES}/<note>.md.")


def _open_folder(opened: ExitStack, name: str | Path, within: int | None) -> int:
    # The configured folder may be a link that its owner made; what is in it may not.
    follow = 0 if within is None else os.O_NOFOLLOW
    descriptor = os.open(name, _FOLDER | follow, dir_fd=within)
    opened.callback(os.close, descriptor)
    return descriptor


def _read_up_to(descriptor: int, limit: int) -> bytes:
    data = bytearray()
    while len(data) < limit and (more := os.read(descriptor, limit - len(data))):
        data += more
    return bytes(data)


def _status(place: _Place) -> os.stat_result | None:
    """Look at the file that is to be replaced; raises LocalFileError where it is no plain file."""
    try:
        status = os.stat(place.name, dir_fd=place.folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(status.st_mode):
        raise place.refuse("is a symbolic link, which is not followed")
    if not stat.S_ISREG(status.st_mode):
        raise place.refuse("is not a regular file")
    return status


def _fill(descriptor: int, data: bytes, former: os.stat_result | None) -> None:
    """Write the new file, durable and with the permissions of the one it replaces; close it."""
    try:
        write_all(descriptor, data)
        if former is not None:
            with suppress(PermissionError):  # only root may give a file away
                os.fchown(descriptor, former.st_uid, former.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(former.st_mode))
        sync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _explained(name: str) -> Iterator[None]:
    try:
        yield
    except LockBusyError as error:
        raise LocalFileError(f"{name} is not written: another process holds its lock.") from error
    except OSError as error:
        # ELOOP is O_NOFOLLOW's answer to a link, ENOTDIR that of O_DIRECTORY.
        raise LocalFileError(f"{name} {_reason(error)}.") from error


def _reason(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "is a symbolic link, which is not followed"
    if error.errno == errno.ENOTDIR:
        return "cannot be used: a link or a file stands in the place of its folder"
    return f"cannot be used: {os.strerror(error.errno or 0)}"
