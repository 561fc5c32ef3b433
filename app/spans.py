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

from app.account import Account

SERVICE = "qwen3-vl-server"  # unless OTEL_SERVICE_NAME is set
LAST_S = 2.0  # to flush when the server shuts down


class Spans:
    """Exports spans in batches from a background thread.

    OpenTelemetry's own variables configure it (OTEL_EXPORTER_OTLP_*, OTEL_BSP_*,
    OTEL_TRACES_SAMPLER, OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME).
    """

    def __init__(self, exporter: SpanExporter) -> None:
        resource = Resource.create()
        if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
            resource = resource.merge(Resource({SERVICE_NAME: SERVICE}))
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("app")
        self._callers = TraceContextTextMapPropagator()

    @classmethod
    def exported(cls) -> Self:
        """Export to the collector that the environment names."""
        return cls(OTLPSpanExporter())

    def ended(self, account: Account, headers: Mapping[str, str]) -> dict[str, str]:
        """Record a finished request, as a child of the span in its `traceparent` if it sent one.

        Returns:
            `trace_id` and `span_id`, for its log line.
        """
        zero = time.time_ns() - int(time.perf_counter() * 1e9)  # Unix time of perf_counter 0

        def when(seconds: float) -> int:
            return zero + int(seconds * 1e9)

        span = self._tracer.start_span(
            f"{account.method} {account.route}".strip(),
            self._callers.extract(headers),
            SpanKind.SERVER,
            start_time=when(account.started),
        )
        if span.is_recording():
            _describe(span, account)
            below = set_span_in_context(span)
            for stage in account.stages:
                part = self._tracer.start_span(stage.name, below, start_time=when(stage.start))
                part.end(when(stage.end))
            span.end(when(account.ended))
        ids = span.get_span_context()
        return {"trace_id": f"{ids.trace_id:032x}", "span_id": f"{ids.span_id:016x}"}

    def close(self) -> None:
        """Flush; waits at most `LAST_S` for a collector that does not answer."""
        last = threading.Thread(target=self._provider.shutdown, daemon=True)
        last.start()
        last.join(LAST_S)


def _describe(span: Span, account: Account) -> None:
    """Set the fields of the log line, and OpenTelemetry's names for those that have one."""
    span.set_attributes({f"vlm.{name}": value for name, value in account.fields().items()})
    span.set_attribute("http.request.method", account.method)
    span.set_attribute("url.path", account.path)
    if account.route:
        span.set_attribute("http.route", account.route)
    if account.status:
        span.set_attribute("http.response.status_code", account.status)
    if account.code != "ok":
        span.set_attribute("error.type", account.code)
        # A client error is no error of the server; a failure after a 200 is.
        if account.status == 200 or account.status >= 500:
            span.set_status(StatusCode.ERROR, account.code)
