"""Traces, where OpenTelemetry's own variables ask for them; else nothing is done or imported.

`app.spans` knows OpenTelemetry. `pip install '.[otel]'` brings what it needs.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from app.logs import log

if TYPE_CHECKING:
    from app.spans import Spans

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
SPOKEN = "http/protobuf"


def from_environment(environment: Mapping[str, str]) -> "Spans | None":
    """Where a collector is named that takes traces; None otherwise, with a line in the log where
    that was not meant."""
    if not _wanted(environment):
        return None
    protocol = next(filter(None, map(environment.get, PROTOCOLS)), SPOKEN)
    if protocol != SPOKEN:
        log.warning("no traces", detail=f"The protocol is {protocol}; this server has {SPOKEN}.")
        return None
    try:
        from app.spans import Spans  # noqa: PLC0415
    except ImportError:
        log.warning("no traces", detail="They need `pip install '.[otel]'`.")
        return None
    return Spans.exported()


def _wanted(environment: Mapping[str, str]) -> bool:
    off = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    named = exporter == "otlp" or any(map(environment.get, ENDPOINTS))
    return named and not off and exporter in ("", "otlp")
