"""Marks: the clock as a turn passed its stages' borders, and what that makes of each stage.

A mark is one reading of the clock, kept as it is: a turn waits for nothing else. What the stages
took is worked out when somebody asks, or in the background.
"""

from __future__ import annotations

from collections import deque
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from uuid import UUID

LOCK, LOAD, POP, ASSEMBLE, MODEL, CAPTURE, HINT, SYNC = STAGES = (
    "lock",
    "load",
    "pop",
    "assemble",
    "model",
    "capture",
    "hint",
    "sync",
)
PUBLISH = "publish"  # in the background: a hint on its way to the broker
_SECOND = 1e9
_MOST_LOADS = 64  # of a turn; what a person leafs through between two turns is no part of either

Outcome = Literal["captured", "spooled", "interrupted"]
Loads = deque[tuple[int, int]]


def no_loads() -> Loads:
    """Give room for what a session reads: each time from when until when."""
    return deque(maxlen=_MOST_LOADS)


class Span(NamedTuple):
    """One stage of one turn: from when until when, in nanoseconds of this process' clock."""

    stage: str
    start: int
    end: int


class Marks:
    """What one turn passed and when, in nanoseconds of `time.perf_counter_ns`; 0: not passed.

    Written by whoever has the turn in hand, a border each, in this order: `began`, `locked`,
    `ready` (what an interrupted turn before this one left is captured), `popped`, `begun`; then
    `added` for each message in between; then `ended`, `captured`, `hinted`, and `done` where
    Honcho was waited for. `session` and `turn` are ids.
    """

    __slots__ = (
        "added",
        "began",
        "begun",
        "captured",
        "context",
        "done",
        "ended",
        "hinted",
        "loads",
        "locked",
        "outcome",
        "popped",
        "ready",
        "session",
        "span",
        "turn",
    )

    def __init__(self, began: int, context: Any = None) -> None:
        """`context` is the tracing context of the host's thread; None: nothing is traced."""
        self.began = began
        self.locked = self.ready = self.popped = self.begun = 0
        self.ended = self.captured = self.hinted = self.done = 0
        self.context = context
        self.added: list[int] | None = None
        self.loads: Loads | None = None
        self.outcome: Outcome | None = None
        self.session: UUID | None = None
        self.turn: UUID | None = None
        self.span: Any = None  # made and ended in the background

    def add(self) -> None:
        """Mark a message in between."""
        if self.added is None:
            self.added = []
        self.added.append(perf_counter_ns())

    @property
    def model_until(self) -> int:
        """Tell when the model was done: at the end, or what is known of a turn without one."""
        if self.outcome != "interrupted":
            return self.ended
        return self.added[-1] if self.added else 0

    def spans(self) -> list[Span]:
        """Give the stages that it has passed; reading a history may lie within the model's."""
        passed = [
            Span(LOCK, self.began, self.locked),
            Span(POP, self.ready, self.popped),
            Span(ASSEMBLE, self.popped, self.begun),
            Span(MODEL, self.begun, self.model_until),
            Span(CAPTURE, self.ended, self.captured),
            Span(HINT, self.captured, self.hinted),
            Span(SYNC, self.hinted, self.done),
        ]
        loads = [Span(LOAD, start, end) for start, end in self._read()]
        return [*(span for span in passed if span.start and span.end), *loads]

    def durations(self) -> dict[str, int]:
        """Give nanoseconds by stage, in the order of `STAGES`.

        What was read while the model was at it counts as `load` and not as `model`: no time is
        counted twice.
        """
        took = dict.fromkeys(STAGES, 0)
        spans = self.spans()
        for stage, start, end in spans:
            took[stage] += end - start
        took[MODEL] -= self._loaded_meanwhile()
        passed = {span.stage for span in spans}
        return {stage: max(0, took[stage]) for stage in STAGES if stage in passed}

    def seconds(self) -> dict[str, float]:
        """Give seconds by stage."""
        return {stage: took / _SECOND for stage, took in self.durations().items()}

    @property
    def last(self) -> int:
        """Tell when the last border was passed."""
        return max(self.began, *(span.end for span in self.spans()))

    def _read(self) -> list[tuple[int, int]]:
        """Give when something was read, once where two threads, or one within itself, read at once."""
        parts: list[tuple[int, int]] = []
        for start, end in sorted(self.loads or ()):
            if parts and start <= parts[-1][1]:
                parts[-1] = parts[-1][0], max(end, parts[-1][1])
            else:
                parts.append((start, end))
        return parts

    def _loaded_meanwhile(self) -> int:
        begun, until = self.begun, self.model_until
        if not begun or not until:
            return 0
        parts = [(max(start, begun), min(end, until)) for start, end in self._read()]
        return sum(end - start for start, end in parts if end > start)
