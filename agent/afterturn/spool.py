"""The durable spool: where a turn goes that Postgres cannot take, until some process can drain it.

Delivery is at least once, in the order of the appends; a capture is idempotent by its turn's id.
After a drain that returned with `pending()` still true (another process drains), a caller spools
its next turn as well: captured directly it would overtake those that wait.
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from afterturn.disk import LockBusyError
from afterturn.spool_files import Progress, Segment, SpoolFolder, lines
from afterturn.spool_record import NewerFormatError, Record, SpooledTurn, decode, encode
from afterturn_models.errors import AfterturnError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["Spool", "SpoolError", "SpoolStats", "SpooledTurn"]

SPOOL = "spool"  # under our home: turns that wait for Postgres
REFUSED = "spool-refused"  # and those that Postgres will not take as they are: a person must look
MAX_BYTES = 256 * 1024 * 1024
PATIENCE = 10.0

_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "this process may not write a file that large",
    errno.EACCES: "permission is denied",
    errno.EPERM: "permission is denied",
    errno.EROFS: "the file system is read-only",
    errno.EEXIST: "a file stands in the place of a folder",
    errno.ENOTDIR: "a file stands in the place of a folder",
    errno.ELOOP: "a symbolic link stands in the place of one of its files",
}


class SpoolError(AfterturnError):
    """The spool could not do what was asked; the message names the folder and the reason."""


@dataclass(frozen=True, slots=True)
class SpoolStats:
    """What waits in a spool.

    `bytes` is what it takes of its bound, `oldest_age` the seconds that the first turn has
    waited (None: none waits), `damaged` how many broken records were found.
    """

    turns: int
    bytes: int
    oldest_age: float | None
    damaged: int


class Spool:
    """Turns kept on the local disk; processes and threads may share a folder, forked ones too.

    Nothing is held open between calls. Files have mode 600: they hold what users said.
    """

    def __init__(
        self, folder: Path, *, max_bytes: int = MAX_BYTES, patience: float = PATIENCE
    ) -> None:
        """Use `folder`, which the first append makes; it never takes more than `max_bytes`.

        `patience` is how many seconds a call waits for another process' append.
        """
        self._folder = SpoolFolder(folder, patience)
        self._max_bytes = max_bytes

    def append(self, turn: SpooledTurn) -> None:
        """Put `turn` on the disk; it is durable when this returns.

        Raises SpoolError, and then nothing of the turn was kept: the disk or the spool's bound is
        full, permission is missing, another process holds the lock, or metadata is not JSON.
        """
        with self._explained("take a turn"):
            try:
                line = encode(turn, time.time())
            except ValueError as error:
                raise self._error("take a turn", str(error)) from error
            self._folder.make()
            with self._folder.appending():
                segments = self._folder.segments()
                if sum(segment.size for segment in segments) + len(line) > self._max_bytes:
                    reason = f"it would hold more than its bound of {self._max_bytes} bytes"
                    raise self._error("take a turn", reason)
                self._folder.append(line, segments)

    def pending(self) -> bool:
        """Tell whether there is anything to drain, by one look at the folder.

        False means that every turn appended before was delivered.
        """
        return self._folder.holds_any()

    def drain(self, deliver: Callable[[SpooledTurn], None]) -> int:
        """Hand every turn to `deliver` in the order of the appends, and forget it; count them.

        Returns 0 at once where another process or thread drains. An exception of `deliver` ends
        the drain and is raised as it is; that turn and those behind it stay. After a crash the
        last turn delivered may come again. Raises SpoolError where the spool cannot be read, or
        holds a turn in the format of a later version.
        """
        if not self.pending():
            return 0
        with ExitStack() as held:
            with self._explained("be drained"):
                try:
                    progress = Progress(held.enter_context(self._folder.draining()))
                except LockBusyError:
                    return 0
            return self._drain(progress, deliver)

    def stats(self) -> SpoolStats:
        """Count what waits; raises SpoolError where the spool cannot be read."""
        with self._explained("be read"):
            if not self.pending():
                return SpoolStats(0, 0, None, self._folder.damaged())
            with self._folder.appending():
                segments = self._folder.segments()
                noted, done = Progress.read(self._folder.path)
                damaged = self._folder.damaged()
            times: list[float] = []
            for segment in segments:
                delivered = done if segment.path.name == noted else 0
                for place, record in self._waiting(segment):
                    if record is None:
                        damaged += 1
                    elif place > delivered:
                        times.append(record.at)
        age = max(0.0, time.time() - times[0]) if times else None
        return SpoolStats(len(times), sum(segment.size for segment in segments), age, damaged)

    def _waiting(self, segment: Segment) -> Iterator[tuple[int, Record | None]]:
        """Give each record with the place it ends at, for what a drain may be removing."""
        try:
            for place, line in lines(segment):
                yield place + len(line), self._decode(line)
        except FileNotFoundError:
            return  # drained meanwhile

    def _drain(self, progress: Progress, deliver: Callable[[SpooledTurn], None]) -> int:
        count = 0
        while True:
            with self._explained("be drained"):
                segment = self._folder.oldest()
            if segment is None:
                return count
            # One that grew meanwhile is still there in the next round, which skips what is done.
            count += self._drain_segment(segment, progress, deliver)

    def _drain_segment(
        self, segment: Segment, progress: Progress, deliver: Callable[[SpooledTurn], None]
    ) -> int:
        """Deliver what is not done in `segment` and remove it; count what was delivered."""
        count = 0
        done = progress.done(segment.path)
        damaged: list[tuple[int, bytes]] = []
        for place, line, record in self._records(segment):
            if record is None:
                damaged.append((place, line))
            elif place >= done:
                deliver(record.turn)
                count += 1
                progress.note(segment.path, place + len(line))
        with self._explained("be drained"):
            self._folder.remove(segment, damaged)
        return count

    def _records(self, segment: Segment) -> Iterator[tuple[int, bytes, Record | None]]:
        # What `deliver` raises does not pass through here, so only reading is explained.
        with self._explained("be drained"):
            for place, line in lines(segment):
                yield place, line, self._decode(line)

    def _decode(self, line: bytes) -> Record | None:
        try:
            return decode(line)
        except NewerFormatError as error:
            reason = f"it holds turns of a later version of afterturn ({error}); upgrade this one"
            raise self._error("be drained", reason) from error

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except LockBusyError as error:
            raise self._error(what, str(error)) from error
        except OSError as error:
            number = error.errno or 0
            raise self._error(what, _REASONS.get(number, os.strerror(number))) from error

    def _error(self, what: str, reason: str) -> SpoolError:
        return SpoolError(f"The spool {self._folder.path} cannot {what}: {reason}.")
