"""Back-off as data: how long a session waits after a failure, decided outside transactions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential back-off with full jitter over its upper half, in seconds."""

    first: float = 2.0
    factor: float = 2.0
    longest: float = 300.0

    def delay(self, attempts: int, jitter: float) -> float:
        """Give the wait before the next try, after `attempts` (from 1) failures in a row.

        `jitter` is a number from 0 to 1, drawn by the caller, so that this stays pure.
        """
        ceiling = min(self.longest, self.first * self.factor ** min(max(attempts - 1, 0), 32))
        return ceiling * (0.5 + 0.5 * jitter)
