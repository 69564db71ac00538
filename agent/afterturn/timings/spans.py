"""Spans of turns, made in the background from their marks, with the times at which all was."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from afterturn.timings.marks import MODEL
from afterturn_models.tracing import headers_of

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

    from afterturn.timings.marks import Marks

TURN = "afterturn.turn"


def headers(tracer: Tracer, marks: Marks) -> dict[str, str]:
    """Give the headers by which the workers' spans become children of this turn's."""
    return headers_of(_turn(tracer, marks)[0])


def tell(tracer: Tracer, marks: Marks) -> None:
    """Make the spans of a turn that is over: its own, and a child for each of its stages."""
    from opentelemetry.trace import set_span_in_context

    turn, offset = _turn(tracer, marks)
    inside = set_span_in_context(turn)
    for stage, start, end in marks.spans():
        child = tracer.start_span(f"afterturn.{stage}", inside, start_time=start + offset)
        if stage == MODEL:
            for at in marks.added or ():
                child.add_event("message added", timestamp=at + offset)
        child.end(end + offset)
    turn.set_attributes(_attributes(marks))
    turn.end(marks.last + offset)


def _turn(tracer: Tracer, marks: Marks) -> tuple[Any, int]:
    """Give the turn's span, begun when the turn was; a child of the host's span of that moment.

    And what lies between the marks' clock and the time of day, once for all spans of the turn.
    """
    if marks.span is None:
        offset = time.time_ns() - time.perf_counter_ns()
        start = marks.began + offset
        marks.span = tracer.start_span(TURN, marks.context, start_time=start), offset
    span, offset = marks.span
    return span, offset


def _attributes(marks: Marks) -> dict[str, str]:
    said = {"session": marks.session, "turn": marks.turn, "outcome": marks.outcome}
    return {f"afterturn.{name}": str(value) for name, value in said.items() if value is not None}
