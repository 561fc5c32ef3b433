"""OpenTelemetry: a span for each request and for each of its stages, created when it ends."""

import threading
import time
from collections.abc import Mapping
from typing import Self

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.observability.request_summary import RequestSummary

DEFAULT_SERVICE_NAME = "qwen3-vl-server"  # unless OTEL_SERVICE_NAME is set
FLUSH_TIMEOUT_S = 2.0  # to flush when the server shuts down


class RequestTracer:
    """Exports spans in batches from a background thread.

    OpenTelemetry's own variables configure it (OTEL_EXPORTER_OTLP_*, OTEL_BSP_*,
    OTEL_TRACES_SAMPLER, OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME).
    """

    def __init__(self, exporter: SpanExporter) -> None:
        resource = Resource.create()
        if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
            resource = resource.merge(Resource({SERVICE_NAME: DEFAULT_SERVICE_NAME}))
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("app")
        self._propagator = TraceContextTextMapPropagator()

    @classmethod
    def with_otlp_exporter(cls) -> Self:
        """Export to the collector that the environment names."""
        return cls(OTLPSpanExporter())

    def record(self, summary: RequestSummary, headers: Mapping[str, str]) -> dict[str, str]:
        """Record a finished request, as a child of the span in its `traceparent` if it sent one.

        Returns:
            `trace_id` and `span_id`, for its log line.
        """
        zero = time.time_ns() - int(time.perf_counter() * 1e9)  # Unix time of perf_counter 0

        def when(seconds: float) -> int:
            return zero + int(seconds * 1e9)

        span = self._tracer.start_span(
            f"{summary.method} {summary.route}".strip(),
            self._propagator.extract(headers),
            SpanKind.SERVER,
            start_time=when(summary.started),
        )
        if span.is_recording():
            _set_attributes(span, summary)
            below = set_span_in_context(span)
            for stage in summary.stages:
                part = self._tracer.start_span(stage.name, below, start_time=when(stage.start))
                part.end(when(stage.end))
            span.end(when(summary.ended))
        ids = span.get_span_context()
        return {"trace_id": f"{ids.trace_id:032x}", "span_id": f"{ids.span_id:016x}"}

    def close(self) -> None:
        """Flush; waits at most `FLUSH_TIMEOUT_S` for a collector that does not answer."""
        last = threading.Thread(target=self._provider.shutdown, daemon=True)
        last.start()
        last.join(FLUSH_TIMEOUT_S)


def _set_attributes(span: Span, summary: RequestSummary) -> None:
    """Set the fields of the log line, and OpenTelemetry's names for those that have one."""
    span.set_attributes({f"vlm.{name}": value for name, value in summary.log_fields().items()})
    span.set_attribute("http.request.method", summary.method)
    span.set_attribute("url.path", summary.path)
    if summary.route:
        span.set_attribute("http.route", summary.route)
    if summary.status:
        span.set_attribute("http.response.status_code", summary.status)
    if summary.code != "ok":
        span.set_attribute("error.type", summary.code)
        # A client error is no error of the server; a failure after a 200 is.
        if summary.status == 200 or summary.status >= 500:
            span.set_status(StatusCode.ERROR, summary.code)
