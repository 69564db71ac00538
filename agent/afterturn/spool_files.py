"""The spool's folder: segments that lines are appended to, and how far a drain has come.

    20 digits-8 hex.jsonl   a segment; names sort by age
    append.lock             held for an append, and by a drain where it looks at sizes and removes
    drain.lock              held for a whole drain; holds how far it came in the oldest segment
    *.damaged               what was not a whole record, kept for a person to look at

All processes append to the one youngest segment, so the order of lines is that of the appends.
"""

from __future__ import annotations

import os
import re
import secrets
import time
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from afterturn.disk import locked, make_folder, sync, sync_folder, write_all

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

SEGMENT_LIMIT = 8 * 1024 * 1024  # room is given back by the segment, so they must not be large
_SEGMENT = re.compile(r"(\d{20})-[0-9a-f]{8}\.jsonl")
_APPEND = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_REPLACE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of lines, and how long it was when it was looked at."""

    path: Path
    size: int


class SpoolFolder:
    """The files of one spool; every method raises OSError as the system gives it."""

    def __init__(self, path: Path, patience: float) -> None:
        self.path = path
        self._patience = patience

    def appending(self) -> AbstractContextManager[int]:
        """Keep everyone else from appending and from removing; raises LockBusyError."""
        return locked(self.path / "append.lock", self._patience)

    def draining(self) -> AbstractContextManager[int]:
        """Be the one that drains, or raise LockBusyError at once."""
        return locked(self.path / "drain.lock", 0)

    def holds_any(self) -> bool:
        """Tell whether there is a segment, by one look at the folder."""
        try:
            with os.scandir(self.path) as entries:
                return any(_SEGMENT.fullmatch(entry.name) for entry in entries)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return False  # what cannot be read cannot be drained from here

    def segments(self) -> list[Segment]:
        """List the segments, oldest first; call it under `appending`, so that sizes are settled."""
        try:
            with os.scandir(self.path) as entries:
                found = [entry for entry in entries if _SEGMENT.fullmatch(entry.name)]
                sized = [
                    Segment(Path(e.path), e.stat(follow_symlinks=False).st_size) for e in found
                ]
        except FileNotFoundError:
            return []
        return sorted(sized, key=lambda segment: segment.path.name)

    def damaged(self) -> int:
        """Count the files that were set aside."""
        try:
            with os.scandir(self.path) as entries:
                return sum(entry.name.endswith(".damaged") for entry in entries)
        except FileNotFoundError:
            return 0

    def make(self) -> None:
        """Make the folder where it is absent."""
        make_folder(self.path)

    def append(self, line: bytes, segments: Sequence[Segment]) -> None:
        """Append `line` durably or not at all; call it under `appending`, with `segments()`.

        Where a crash left half a line at the end, a newline closes that first, so that it cannot
        swallow this one.
        """
        path = self._target(segments)
        descriptor = os.open(path, _APPEND, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            if size == 0:
                # Before the first line, so that no line is ever in a file whose name may be lost.
                sync_folder(self.path)
            close_torn = b"\n" if size and os.pread(descriptor, 1, size - 1) != b"\n" else b""
            try:
                write_all(descriptor, close_torn + line)
                sync(descriptor)
            except BaseException:
                os.ftruncate(descriptor, size)
                if size == 0:
                    path.unlink(missing_ok=True)
                raise
        finally:
            os.close(descriptor)

    def _target(self, segments: Sequence[Segment]) -> Path:
        if segments and segments[-1].size < SEGMENT_LIMIT:
            return segments[-1].path
        number = time.time_ns()
        if segments and (last := _SEGMENT.fullmatch(segments[-1].path.name)):
            number = max(number, int(last[1]) + 1)  # the clock may have been set back
        # The random part makes a name new for ever: a drain's progress is noted by name.
        return self.path / f"{number:020d}-{secrets.token_hex(4)}.jsonl"

    def oldest(self) -> Segment | None:
        """Give the oldest segment, up to where nothing will change, and see it onto the disk.

        A line whose writer was killed before its sync must not be delivered, noted as delivered,
        and then vanish in a power cut: the next line would stand where the note says "done".
        """
        with self.appending():
            segments = self.segments()
            if not segments:
                return None
            descriptor = os.open(segments[0].path, _READ)
            try:
                sync(descriptor)
            finally:
                os.close(descriptor)
            return segments[0]

    def remove(self, segment: Segment, damaged: Sequence[tuple[int, bytes]]) -> None:
        """Remove a segment that was delivered; `damaged` are its broken lines with their places.

        Nothing happens where it has grown since: a writer may have been there meanwhile.
        """
        with self.appending():
            if segment.path.lstat().st_size != segment.size:
                return
            try:
                for place, line in damaged:
                    self._set_aside(segment.path.with_suffix(f".{place}.damaged"), line)
            except OSError:
                # No room for a copy, most likely: renaming needs none.
                segment.path.rename(segment.path.with_suffix(".damaged"))
            else:
                segment.path.unlink()
            sync_folder(self.path)

    def _set_aside(self, path: Path, line: bytes) -> None:
        descriptor = os.open(path, _REPLACE, 0o600)
        try:
            write_all(descriptor, line)
            sync(descriptor)
        finally:
            os.close(descriptor)


def lines(segment: Segment) -> Iterator[tuple[int, bytes]]:
    """Give each line of `segment` with the place it begins at; empty ones are left out."""
    place = 0
    with os.fdopen(os.open(segment.path, _READ), "rb") as file:
        while line := file.readline(segment.size - place):
            if line != b"\n":
                yield place, line
            place += len(line)


class Progress:
    """How far a drain came in a segment, noted in the file of the lock it holds.

    It spares deliveries and is no more: where the note is lost, turns are delivered again. Hence
    no sync, and no error where the disk has no room for it.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._name, self._done = _noted(os.pread(descriptor, 200, 0))

    @classmethod
    def read(cls, folder: Path) -> tuple[str, int]:
        """Give the noted segment and place, without being the one that drains."""
        with suppress(FileNotFoundError):
            return _noted((folder / "drain.lock").read_bytes())
        return "", 0

    def done(self, path: Path) -> int:
        """Give the place in `path` up to which everything was delivered."""
        return self._done if path.name == self._name else 0

    def note(self, path: Path, place: int) -> None:
        """Remember that all of `path` before `place` was delivered."""
        self._name, self._done = path.name, place
        note = b"%s %020d" % (path.name.encode(), place)
        with suppress(OSError):
            os.pwrite(self._descriptor, b"%s %08x\n" % (note, zlib.crc32(note)), 0)


def _noted(text: bytes) -> tuple[str, int]:
    note, _, checksum = text.rstrip(b"\n").rpartition(b" ")
    if checksum != b"%08x" % zlib.crc32(note):
        return "", 0
    name, _, place = note.partition(b" ")
    return name.decode(), int(place or 0)
