"""Waiting for a condition, with a deadline that only a failure reaches."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(condition: Callable[[], T], *, within: float = 20.0, every: float = 0.02) -> T:
    """Call `condition` until it is true, and give what it gave; fails after `within` seconds."""
    deadline = time.monotonic() + within
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not so within {within} s: {condition}, last {found!r}")
        time.sleep(every)


def timed(call: Callable[[], T]) -> tuple[T, float]:
    """Call something; gives what it gave, and the seconds that it took."""
    started = time.monotonic()
    return call(), time.monotonic() - started
