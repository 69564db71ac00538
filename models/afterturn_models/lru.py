"""A bounded map that forgets what was not used for longest; safe between threads."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Lru(Generic[K, V]):
    """At most `entries` values by key."""

    def __init__(self, entries: int) -> None:
        self._entries = entries
        self._values: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.RLock()  # a signal handler may come in between

    def get(self, key: K) -> V | None:
        """Give the value of `key`, which counts as a use; None where there is none."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key]

    def put(self, key: K, value: V) -> V | None:
        """Keep `value`; gives the value that was pushed out, None where there was room."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            if len(self._values) > self._entries:
                return self._values.popitem(last=False)[1]
            return None

    def drop(self, key: K) -> None:
        """Forget `key`."""
        with self._lock:
            self._values.pop(key, None)

    def forked(self) -> None:
        """Let a forked child go on, whatever thread of its parent held the lock."""
        self._lock = threading.RLock()

    def __len__(self) -> int:
        """Tell how many values are kept."""
        return len(self._values)
