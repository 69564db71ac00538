"""Calls: the tools that a model called, run together where they only read, and one by one else."""

from __future__ import annotations

import threading
from itertools import groupby
from typing import TYPE_CHECKING

from afterturn.tools.arguments import checked
from afterturn.tools.parameters import ArgumentError
from afterturn.tools.table import TOOLS
from afterturn_models.asks import Op

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from afterturn.tools.parameters import Who
    from afterturn_models.values import ToolCall

_WRITES = frozenset({Op.CONCLUDE, Op.UNCONCLUDE, Op.SET_PROFILE})


def answers(
    calls: Sequence[ToolCall], run: Callable[[str, str], str], who: Who
) -> Iterator[tuple[ToolCall, str]]:
    """Give each call with its answer, in their order, as soon as the answers before are there.

    `run` makes one call for `who`, by name and arguments, and never raises. Reads that stand side by side run together; a write waits
    for what stands before it, and what stands behind waits for it. KeyboardInterrupt comes through
    at once, and what is under way is left to its own deadline.
    """
    for writing, together in groupby(calls, key=lambda call: writes(call, who)):
        group = list(together)
        if writing or len(group) == 1:
            yield from ((call, run(call.name, call.arguments)) for call in group)
        else:
            yield from _together(group, run)


def writes(call: ToolCall, who: Who) -> bool:
    """Tell whether a call of a memory tool changes anything; what no tool takes does not."""
    tool = TOOLS.get(call.name)
    if tool is None or tool.op is None:
        return False
    try:
        given = checked(tool, call.arguments, who)
        return (tool.op if isinstance(tool.op, Op) else tool.op(given)) in _WRITES
    except ArgumentError:
        return False


def _together(
    calls: Sequence[ToolCall], run: Callable[[str, str], str]
) -> Iterator[tuple[ToolCall, str]]:
    found: dict[int, str] = {}

    def one(place: int, call: ToolCall) -> None:
        found[place] = run(call.name, call.arguments)

    # Threads of our own and no pool: a pool's are waited for when the process ends.
    threads = [
        threading.Thread(target=one, args=(place, call), daemon=True)
        for place, call in enumerate(calls)
    ]
    for thread in threads:
        thread.start()
    for place, (thread, call) in enumerate(zip(threads, calls, strict=True)):
        thread.join()
        yield call, found[place]
