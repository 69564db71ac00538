"""Timings: what a process' turns took, told in histograms, log lines, spans, and to its fleet.

A turn leaves its marks here when it is over. The dispatcher's thread, or whoever asks, makes of
them what is to be made: nothing of that is in a turn's way.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from typing import TYPE_CHECKING

from afterturn.timings import spans
from afterturn.timings.marks import MODEL, PUBLISH, STAGES, SYNC
from afterturn_models.timings import AGENT, FLUSH_SECONDS, Flusher, StageTimes
from afterturn_models.tracing import Tracing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from opentelemetry.trace import Tracer

    from afterturn.timings.marks import Marks
    from afterturn_models.policy.timing_buckets import Histogram, Summary
    from afterturn_models.settings import Settings

log = logging.getLogger("afterturn.timings")

_MOST = 4096  # turns that wait to be counted; of more the oldest are not
_WAITED_FOR = frozenset({MODEL, SYNC})  # what a host asks for, and no slowness of ours
_ORDER = {stage: place for place, stage in enumerate((*STAGES, PUBLISH))}


class Timings:
    """One a process; safe between threads and after a fork."""

    def __init__(self, settings: Settings, redis_url: str) -> None:
        """Raise MissingExtraError where `otel` wants spans that cannot be made here."""
        self._redis_url, self._workspace = redis_url, settings.workspace
        self._slow = settings.slow_turn_seconds
        self.tracing = Tracing(settings.otel, service="afterturn-agent")
        self._times = StageTimes()
        self.forked()

    def forked(self) -> None:
        """Start afresh in a forked child: the turns before it are its parent's to tell."""
        self._lock = threading.RLock()
        self._over: deque[Marks] = deque(maxlen=_MOST)
        self._unshared = False
        self._next = time.monotonic() + FLUSH_SECONDS
        self._times.forked()
        self._flusher = Flusher(self._redis_url, AGENT, self._workspace)
        self._outcomes: Counter[str] = Counter()

    def over(self, marks: Marks) -> None:
        """Take the marks of a turn that is over, and do nothing with them yet."""
        self._over.append(marks)

    def published(self, duration: int) -> None:
        """Count the nanoseconds that a hint took to get to the broker; called in the background."""
        self._times.note(PUBLISH, duration)
        self._unshared = True

    def headers(self, marks: Marks | None) -> dict[str, str]:
        """Give the headers that carry a turn's trace into its tasks; called in the background."""
        tracer = self.tracing.tracer()
        if tracer is None or marks is None:
            return {}
        try:
            return spans.headers(tracer, marks)
        except Exception as error:  # noqa: BLE001 - as below
            log.debug("a turn is not traced: %s", type(error).__name__)
            return {}

    def histograms(self) -> dict[str, Histogram]:
        """Give by stage what was measured so far, in the order of a turn."""
        self.settle()
        found = self._times.histograms()
        return {stage: found[stage] for stage in sorted(found, key=_ORDER.__getitem__)}

    def summaries(self) -> dict[str, Summary]:
        """Give the same as counts, sums and quantiles, in seconds."""
        return {stage: found.summary() for stage, found in self.histograms().items()}

    def outcomes(self) -> Mapping[str, int]:
        """Count the turns that were captured, that were spooled, and that had no end."""
        self.settle()
        return dict(self._outcomes)

    def settle(self) -> None:
        """Make of each turn that is over what is to be made of it."""
        with self._lock:
            tracer = self.tracing.tracer() if self._over else None
            while self._over:
                marks = self._over.popleft()
                took = marks.durations()
                for stage, duration in took.items():
                    self._times.note(stage, duration)
                self._outcomes[str(marks.outcome)] += 1
                self._unshared = True
                if tracer is not None:
                    _trace(tracer, marks)
                self._tell(marks, {stage: duration / 1e9 for stage, duration in took.items()})

    def tick(self) -> float | None:
        """Settle, and every few seconds add what is new to the fleet's; it may wait for Redis.

        Called in the background. Gives in how many seconds to come again; None: not before there
        is something new.
        """
        self.settle()
        if self._unshared and time.monotonic() >= self._next:
            self._share()
        return max(0.0, self._next - time.monotonic()) if self._unshared else None

    def end(self) -> None:
        """Add the last to the fleet's; called by the thread that ticked."""
        self.settle()
        if self._unshared:
            self._share()
        self._flusher.close()

    def close(self) -> None:
        """Tell of the last turns, and export the last spans."""
        self.settle()
        self.tracing.close()

    def _share(self) -> None:
        self._unshared = not self._flusher.flush(self._times)
        self._next = time.monotonic() + FLUSH_SECONDS

    def _tell(self, marks: Marks, took: dict[str, float]) -> None:
        """Log a turn: as slow where it was, else for who wants to see each. No text is in it."""
        ours = sum(seconds for stage, seconds in took.items() if stage not in _WAITED_FOR)
        slow = ours >= self._slow
        if not slow and not log.isEnabledFor(logging.DEBUG):
            return
        extra: dict[str, Any] = {
            "session": str(marks.session),
            "turn": str(marks.turn),
            "outcome": marks.outcome,
            "seconds": ours,
            "stages": took,
        }
        log.log(
            logging.INFO if slow else logging.DEBUG,
            "%s of %.3f ms: %s",
            "slow turn" if slow else "turn",
            ours * 1e3,
            ", ".join(f"{stage} {seconds * 1e3:.3f}" for stage, seconds in took.items()),
            extra=extra,
        )


def _trace(tracer: Tracer, marks: Marks) -> None:
    try:
        spans.tell(tracer, marks)
    except Exception as error:  # noqa: BLE001 - a host's tracer raises what it likes, and hints must go on
        log.debug("a turn is not traced: %s", type(error).__name__)
