"""Loading: marks around what a session reads of its history, for the turn that it is read for."""

from __future__ import annotations

from functools import wraps
from time import perf_counter_ns
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from afterturn.timings.marks import Loads

P = ParamSpec("P")
T = TypeVar("T")


class Reader(Protocol):
    """Whatever reads, and keeps when it did."""

    loads: Loads


S = TypeVar("S", bound=Reader)


def loads(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Mark when a method of a session began to read and when it was done, also where it raises."""

    @wraps(method)
    def marked(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        began = perf_counter_ns()
        try:
            return method(self, *args, **kwargs)
        finally:
            self.loads.append((began, perf_counter_ns()))

    return marked
