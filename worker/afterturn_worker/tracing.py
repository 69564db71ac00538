"""Tracing in workers: a span for each task, a child of the turn's that caused it, and what it did.

A task carries its turn's trace in its headers, and what it sends on carries it further. What the
relay found begins a trace of its own.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from afterturn_models.tracing import Tracing, context_of, headers_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from celery import Task

    from afterturn_models.settings import Settings
    from afterturn_models.signatures import Signature

_OFF = Tracing(False, service="")
_ARGUMENTS = ("session_id", "job_id", "seed_id", "turn")  # ids and counts, and none of the others
_tracing = _OFF


def start(settings: Settings) -> None:
    """Look where this process' spans go; raises MissingExtraError where they cannot be made."""
    global _tracing  # noqa: PLW0603 - one a process
    _tracing = Tracing(settings.otel, service="afterturn-worker")


def stop() -> None:
    """Export the last spans."""
    global _tracing
    ended, _tracing = _tracing, _OFF
    ended.close()


class TaskSpan:
    """The span of a task that runs, the current one of its thread until it is ended."""

    def __init__(self, task: Task[Any, Any], task_id: str) -> None:
        self._span: Any = None
        self._token: Any = None
        tracer = _tracing.tracer()
        if tracer is None:
            return
        from opentelemetry import context, trace

        self._span = tracer.start_span(
            str(task.name),
            context_of(task.request.headers or {}),
            kind=trace.SpanKind.CONSUMER,
            attributes={"afterturn.task": task_id, **_said(task.request.kwargs or {})},
        )
        self._token = context.attach(trace.set_span_in_context(self._span))

    def end(self, state: str) -> None:
        """End it; `state` is Celery's word for what came of the task."""
        if self._span is None:
            return
        from opentelemetry import context
        from opentelemetry.trace import Status, StatusCode

        context.detach(self._token)
        if state == "FAILURE":
            # What was raised stays in the log: its message may quote what somebody said.
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


@contextmanager
def step(name: str, **attributes: str | int) -> Iterator[Any]:
    """Make a span of what is done inside, where a task is traced; gives it, or None."""
    tracer = _tracing.tracer()
    if tracer is None or not _inside():
        yield None
        return
    with tracer.start_as_current_span(
        f"afterturn.{name}", attributes=attributes, record_exception=False
    ) as span:
        yield span


def carrying(signature: Signature) -> Signature:
    """Give a task as it is sent from within one: it belongs to the same trace."""
    if _tracing.tracer() is None or not _inside():
        return signature
    return replace(signature, headers=headers_of(None))


def _inside() -> bool:
    """Tell whether this thread is in a task that is traced; the relay and the heartbeat are not."""
    from opentelemetry import trace

    return bool(trace.get_current_span().get_span_context().is_valid)


def _said(kwargs: Mapping[str, Any]) -> dict[str, str | int]:
    """Give those arguments of a task that are ids and counts."""
    return {
        f"afterturn.{name}": value
        for name in _ARGUMENTS
        if isinstance(value := kwargs.get(name), str | int)
    }
