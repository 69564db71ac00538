"""Times of tasks: each is measured, and traced, from where Celery begins it to where it ends."""

from __future__ import annotations

import logging
import threading
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import structlog
from celery import signals

from afterturn_models import signatures
from afterturn_worker import metrics
from afterturn_worker.tracing import TaskSpan

if TYPE_CHECKING:
    from celery import Task

log = structlog.get_logger("afterturn.timings")
_plain = logging.getLogger("afterturn.timings")

# What a task is counted as, where that is not its name.
_STAGES = {
    signatures.PREFETCH_CONTEXT: "prefetch",
    signatures.PREFETCH_DIALECTIC: "dialectic",
    signatures.RESYNC_PART: "resync",
}
_running = threading.local()


def stage_of(task: str) -> str:
    """Give the stage that a task is counted as: `afterturn.sync_session` is `sync`."""
    return _STAGES.get(task, task.removeprefix("afterturn.").removesuffix("_session"))


def connect() -> None:
    """Measure every task of this process from now on; safe to repeat."""
    signals.task_prerun.connect(_begin)
    signals.task_postrun.connect(_end)


def _begin(task_id: str, task: Task[Any, Any], **_: Any) -> None:
    if task.name == signatures.BEAT:  # which measures nothing but itself
        return
    metrics.share()
    _running.span = TaskSpan(task, task_id)
    _running.began = perf_counter_ns()


def _end(task: Task[Any, Any], state: str | None = None, **_: Any) -> None:
    began, _running.began = getattr(_running, "began", None), None
    if began is None:
        return
    took, stage = perf_counter_ns() - began, stage_of(str(task.name))
    metrics.times.note(stage, took)
    _running.span.end(state or "")
    if _plain.isEnabledFor(logging.DEBUG):
        log.debug("task_timed", stage=stage, seconds=took / 1e9, state=state)
