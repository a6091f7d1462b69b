"""Traces over OpenTelemetry: only where `OTEL_EXPORTER_OTLP_ENDPOINT` is set and the extra `tracing` is installed.

OpenTelemetry's other environment variables hold as well (sampling, headers, resource attributes). Spans carry ids of requests,
projects and jobs, and never contents. A trace begins with the client's create call and goes on in the job's runners;
`traceparent` headers of clients are not believed, lest they choose what is recorded.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from core.settings import variable
from core.telemetry import context

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

log = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
Value = str | int | float | bool


class Traces(Protocol):
    """What the service does with spans."""

    @contextmanager
    def span(self, name: str, *, parent: str | None = None, **attributes: Value) -> Iterator[Span]:
        """A span around the block, below the one around it or below `parent` (a `traceparent`)."""

    def done(self, name: str, seconds: float, phases: Mapping[str, float], **attributes: Value) -> None:
        """A span that ends now and took `seconds`, with its phases one after the other below it."""

    def traceparent(self) -> str | None:
        """The span around the caller as W3C's Trace Context writes it."""

    def close(self) -> None:
        """Send what is left."""


class Span(Protocol):
    """A span under way."""

    def name(self, name: str) -> None:
        """Call it otherwise: a request's route is known late."""

    def set(self, **attributes: Value) -> None:
        """Add attributes."""


class _NoSpan:
    def name(self, name: str) -> None:
        """See `Span`."""

    def set(self, **attributes: Value) -> None:
        """See `Span`."""


class NoTraces:
    """Where traces are not asked for."""

    _span = _NoSpan()

    @contextmanager
    def span(self, name: str, *, parent: str | None = None, **attributes: Value) -> Iterator[Span]:  # noqa: ARG002
        """See `Traces`."""
        yield self._span

    def done(self, name: str, seconds: float, phases: Mapping[str, float], **attributes: Value) -> None:
        """See `Traces`."""

    def traceparent(self) -> str | None:
        """See `Traces`."""
        return None

    def close(self) -> None:
        """See `Traces`."""


class OpenTelemetryTraces:
    """Spans by OpenTelemetry's SDK, sent in batches over OTLP/HTTP from a thread of its own."""

    def __init__(self, service: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        named = {} if variable("OTEL_SERVICE_NAME") else {"service.name": f"touchstone-{service}"}
        self._provider: TracerProvider = TracerProvider(resource=Resource.create(named))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("touchstone")

    @contextmanager
    def span(self, name: str, *, parent: str | None = None, **attributes: Value) -> Iterator[Span]:
        """See `Traces`."""
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        above = None if parent is None else TraceContextTextMapPropagator().extract({"traceparent": parent})
        # Exceptions quote what clients sent: they are for the log.
        with self._tracer.start_as_current_span(
            name,
            context=above,
            attributes=_attributes(attributes),
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            yield _Span(span)

    def done(self, name: str, seconds: float, phases: Mapping[str, float], **attributes: Value) -> None:
        """See `Traces`."""
        from opentelemetry.trace import set_span_in_context

        end = time.time_ns()
        begin = end - _nanoseconds(seconds)
        span = self._tracer.start_span(name, start_time=begin, attributes=_attributes(attributes))
        below = set_span_in_context(span)
        for phase, took in phases.items():
            part = self._tracer.start_span(phase, context=below, start_time=begin)
            begin += _nanoseconds(took)
            part.end(begin)
        span.end(end)

    def traceparent(self) -> str | None:
        """See `Traces`."""
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        carrier: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(carrier)
        return carrier.get("traceparent")

    def close(self) -> None:
        """See `Traces`."""
        self._provider.shutdown()


class _Span:
    def __init__(self, span: object) -> None:
        from opentelemetry.trace import Span as Theirs

        assert isinstance(span, Theirs)
        self._span = span

    def name(self, name: str) -> None:
        """See `Span`."""
        self._span.update_name(name)

    def set(self, **attributes: Value) -> None:
        """See `Span`."""
        self._span.set_attributes(_attributes(attributes))


def open_traces(service: str) -> Traces:
    """The traces of a process of this kind (`api`, `runner`). Without the extra that is asked for: a warning, and none."""
    if not any(variable(name) for name in ENDPOINTS):
        return NoTraces()
    try:
        return OpenTelemetryTraces(service)
    except ImportError as error:
        log.warning("no traces: install touchstone-rft[tracing] (%s)", error)
        return NoTraces()


def _attributes(values: Mapping[str, Value]) -> dict[str, Value]:
    return {f"touchstone.{name}": value for name, value in {**context.current(), **values}.items()}


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
