"""A collector of traces: OTLP over HTTP, as the one of OpenTelemetry."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from tests.polling import wait_until


@dataclass(frozen=True, slots=True)
class Span:
    """A span that was received. Ids in hex, times in seconds since 1970."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    start: float
    end: float
    attributes: dict[str, str | int | float | bool]
    failed: bool
    service: str


class Collector:
    """Listens on loopback and keeps the spans that it receives."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.path == "/v1/traces"
                collector.spans += _read(body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def of(self, request_id: str) -> tuple[Span, dict[str, Span]]:
        """Wait for the span of a request; that span, and its children by name."""
        root = self._wait(lambda span: span.attributes.get("vlm.request_id") == request_id)
        # A batch holds the stages before the request that they are of, which ends last.
        below = [span for span in self.spans if span.parent_id == root.span_id]
        names = {span.name: span for span in below}
        assert len(names) == len(below)
        return root, names

    def _wait(self, wanted: Callable[[Span], bool]) -> Span:
        wait_until(lambda: any(map(wanted, list(self.spans))))
        found = [span for span in self.spans if wanted(span)]
        assert len(found) == 1
        return found[0]


def _read(body: bytes) -> list[Span]:
    request = ExportTraceServiceRequest.FromString(body)
    return [
        Span(
            name=span.name,
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            start=span.start_time_unix_nano / 1e9,
            end=span.end_time_unix_nano / 1e9,
            attributes=_values(span.attributes),
            failed=span.status.code == 2,
            service=str(_values(group.resource.attributes)["service.name"]),
        )
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def _values(pairs: Iterable[KeyValue]) -> dict[str, str | int | float | bool]:
    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in pairs}
