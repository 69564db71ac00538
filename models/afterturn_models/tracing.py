"""Tracing: OpenTelemetry spans where they are wanted, and a trace's way from agents to workers.

Nothing of it is imported, nor costs anything, unless the host has set a tracer provider, or
`otel` or OTEL_EXPORTER_OTLP_ENDPOINT says that spans are to be exported. Spans carry ids, counts
and times, and never a word that anybody said.
"""

from __future__ import annotations

import os
import sys
import threading
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from afterturn_models.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

    Wanted = Literal["auto"] | bool

_NAME = "afterturn"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_CARRIED = ("traceparent", "tracestate")  # W3C Trace Context, and no baggage of the host's
_PATIENCE = 2.0  # seconds that the end of a process waits for its last spans


class Tracing:
    """Where the spans of one process go; safe between threads."""

    def __init__(self, wanted: Wanted, *, service: str) -> None:
        """Raise MissingExtraError where spans are wanted by `otel` and cannot be made.

        With `auto` they are made where the host has a tracer provider, or the environment names
        an endpoint. `service` is what this process is called where the environment does not say.
        """
        if wanted is True and not _installed():
            raise MissingExtraError("OpenTelemetry", "otel")
        exports = wanted is True or any(os.environ.get(name) for name in _ENDPOINTS)
        self._off = wanted is False
        self._exports = exports and not self._off and _installed()
        self._service = service
        self._lock = threading.RLock()
        self._own: Any = None
        self._tracer: Tracer | None = None
        if self._exports:
            self._find()

    @property
    def on(self) -> bool:
        """Tell whether a tracer was found; looks for none."""
        return self._tracer is not None

    def tracer(self) -> Tracer | None:
        """Give the tracer, looking for a provider that the host may have set meanwhile."""
        if self._tracer is None and not self._off and "opentelemetry.trace" in sys.modules:
            self._find()
        return self._tracer

    def context(self) -> Context | None:
        """Give the context of the caller's thread, whose span is to be the parent; None if off."""
        if self._tracer is None:
            return None
        from opentelemetry import context

        return context.get_current()

    def close(self) -> None:
        """Export what waits, for a moment at most; a provider of the host's is left to it."""
        with self._lock:
            own, self._own = self._own, None
            self._tracer, self._off = None, True
        if own is None:
            return
        # It would wait half a minute for a collector that does not answer.
        ending = threading.Thread(target=own.shutdown, name="afterturn-otel-end", daemon=True)
        ending.start()
        ending.join(_PATIENCE)

    def _find(self) -> None:
        from opentelemetry import trace

        with self._lock:
            provider = trace.get_tracer_provider()
            if not isinstance(provider, trace.ProxyTracerProvider):
                self._tracer = provider.get_tracer(_NAME, version(_NAME))
            elif self._exports and self._own is None:
                self._own = _exporting(self._service)
                self._tracer = self._own.get_tracer(_NAME, version(_NAME))


def _installed() -> bool:
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        return False


def _exporting(service: str) -> Any:
    """Make a provider of our own, which nobody else is given: OTEL_* variables say where to."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    name = os.environ.get("OTEL_SERVICE_NAME", service)
    provider = TracerProvider(
        resource=Resource.create({"service.name": name}), shutdown_on_exit=False
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def headers_of(span: Span | None) -> dict[str, str]:
    """Give the headers that carry a span's trace to whoever takes a task up; None: the current one.

    Empty where there is no span. Used only where a tracer was found.
    """
    from opentelemetry.trace import set_span_in_context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    context = None if span is None else set_span_in_context(span)
    TraceContextTextMapPropagator().inject(carrier, context)
    return carrier


def context_of(headers: Mapping[str, Any]) -> Context:
    """Give the context that headers carry; an empty one, and so a new trace, where they have none."""
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    found = {name: value for name in _CARRIED if isinstance(value := headers.get(name), str)}
    return TraceContextTextMapPropagator().extract(found, Context())
