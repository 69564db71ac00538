"""A bounded map that forgets what was not used for longest; safe between threads."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

K = TypeVar("K")
V = TypeVar("V")


class Lru(Generic[K, V]):
    """At most `entries` values by key, and of `room` where each is weighed.

    `evictions` counts what was pushed out, `weight` is what is kept.
    """

    def __init__(
        self, entries: int, *, room: int | None = None, weigh: Callable[[V], int] | None = None
    ) -> None:
        """`weigh` gives the room that a value takes; one that exceeds all of it is not kept."""
        self._entries = entries
        self._room = room
        self._weigh = weigh
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._lock = threading.RLock()  # a signal handler may come in between
        self.weight = 0
        self.evictions = 0

    def get(self, key: K) -> V | None:
        """Give the value of `key`, which counts as a use; None where there is none."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key][0]

    def put(self, key: K, value: V) -> list[V]:
        """Keep `value`; gives the values that were pushed out, longest unused first."""
        weight = self._weigh(value) if self._weigh else 0
        with self._lock:
            self.drop(key)
            self._values[key] = (value, weight)
            self.weight += weight
            pushed = []
            if self._room is not None and weight > self._room:
                pushed.append(self._take(key))  # in vain would it push out all others
            while len(self._values) > self._entries or self._full:
                pushed.append(self._take(next(iter(self._values))))
            self.evictions += len(pushed)
            return pushed

    def drop(self, key: K) -> None:
        """Forget `key`."""
        with self._lock:
            if key in self._values:
                self._take(key)

    def forked(self) -> None:
        """Let a forked child go on, whatever thread of its parent held the lock."""
        self._lock = threading.RLock()

    def __len__(self) -> int:
        """Tell how many values are kept."""
        return len(self._values)

    @property
    def _full(self) -> bool:
        return self._room is not None and self.weight > self._room

    def _take(self, key: K) -> V:
        value, weight = self._values.pop(key)
        self.weight -= weight
        return value
