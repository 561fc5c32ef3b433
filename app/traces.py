"""Tracing, enabled by OpenTelemetry's own variables; otherwise nothing of it is imported.

`app.spans` uses OpenTelemetry, which `pip install '.[otel]'` installs.
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
    """The exporter if the environment names a collector for traces, else None. Logs a warning if
    one is named but cannot be used."""
    if not _wanted(environment):
        return None
    protocol = next(filter(None, map(environment.get, PROTOCOLS)), SPOKEN)
    if protocol != SPOKEN:
        log.warning("no traces", detail=f"The protocol is {protocol}; only {SPOKEN} is supported.")
        return None
    try:
        from app.spans import Spans  # noqa: PLC0415
    except ImportError:
        log.warning("no traces", detail="Install OpenTelemetry: `pip install '.[otel]'`.")
        return None
    return Spans.exported()


def _wanted(environment: Mapping[str, str]) -> bool:
    off = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    named = exporter == "otlp" or any(map(environment.get, ENDPOINTS))
    return named and not off and exporter in ("", "otlp")
