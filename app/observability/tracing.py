"""Tracing, enabled by OpenTelemetry's own variables; otherwise nothing of it is imported.

`app.observability.otel` uses OpenTelemetry, which `pip install '.[otel]'` installs.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from app.observability.logs import log

if TYPE_CHECKING:
    from app.observability.otel import RequestTracer

ENDPOINT_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOL_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
SUPPORTED_PROTOCOL = "http/protobuf"


def tracer_from_environment(environment: Mapping[str, str]) -> "RequestTracer | None":
    """The exporter if the environment names a collector for traces, else None. Logs a warning if
    one is named but cannot be used."""
    if not _is_requested(environment):
        return None
    protocol = next(filter(None, map(environment.get, PROTOCOL_VARIABLES)), SUPPORTED_PROTOCOL)
    if protocol != SUPPORTED_PROTOCOL:
        log.warning(
            "no traces",
            detail=f"The protocol is {protocol}; only {SUPPORTED_PROTOCOL} is supported.",
        )
        return None
    try:
        from app.observability.otel import RequestTracer  # noqa: PLC0415
    except ImportError:
        log.warning("no traces", detail="Install OpenTelemetry: `pip install '.[otel]'`.")
        return None
    return RequestTracer.with_otlp_exporter()


def _is_requested(environment: Mapping[str, str]) -> bool:
    off = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    named = exporter == "otlp" or any(map(environment.get, ENDPOINT_VARIABLES))
    return named and not off and exporter in ("", "otlp")
