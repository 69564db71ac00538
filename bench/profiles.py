"""Where the time goes, for a row that is not met: the functions that take most of it, as text."""

from __future__ import annotations

import cProfile
import io
import pstats
import re
import time
from typing import TYPE_CHECKING

from bench.child import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

_LIBRARY = re.compile(r"^.*/lib/python[0-9.]+/")


def of(
    call: Callable[[], object],
    *,
    prepare: Callable[[], object] = lambda: None,
    times: int = 1,
    lines: int = 16,
    title: str = "",
    clock: Callable[[], float] = time.perf_counter,
) -> str:
    """Run `call` under cProfile, `prepare` not; gives its costliest functions, by their own time.

    With `time.thread_time` as the `clock`, what is waited for does not count.
    """
    profiler = cProfile.Profile(clock)
    for _ in range(times):
        prepare()
        profiler.enable()
        try:
            call()
        finally:
            profiler.disable()
    return table(profiler, calls=times, lines=lines, title=title)


def table(*profilers: cProfile.Profile, calls: int = 1, lines: int, title: str) -> str:
    """Give the costliest functions of some profiles: own and total time a call, and how often."""
    stats = pstats.Stats(*profilers, stream=io.StringIO())
    found = [
        (own, total, count, _place(where))
        for where, (_, count, own, total, _) in stats.stats.items()  # type: ignore[attr-defined]  # documented, not annotated
    ]
    found.sort(reverse=True)
    whole = sum(own for own, *_ in found) or 1.0
    shown = [
        f"{own / calls * 1e6:9.1f} {total / calls * 1e6:9.1f} {count / calls:8.1f}  {100 * own / whole:4.1f}%  {where}"
        for own, total, count, where in found[:lines]
    ]
    head = f"{'own µs':>9} {'total µs':>9} {'calls':>8}  share  function"
    return "\n".join([*([title] if title else []), head, *shown])


def _place(where: tuple[str, int, str]) -> str:
    path, line, name = where
    if path == "~":
        return name
    short = path.rpartition("site-packages/")[2].removeprefix(f"{ROOT}/")
    return f"{_LIBRARY.sub('', short)}:{line} {name}"
