"""Pauses: how an agent looks again and again for what a worker is about to say."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_POLL = (0.005, 0.05)  # seconds between two looks: at first, and at most


def pauses(deadline: float) -> Iterator[None]:
    """Come back at once, then ever less often, until `deadline` on the monotonic clock is past.

    There is a last look at the deadline itself.
    """
    pause = _POLL[0]
    while True:
        yield
        left = deadline - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(pause, left))
        pause = min(pause * 2, _POLL[1])
