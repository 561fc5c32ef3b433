"""Log lines, for a console or as JSON. They hold nothing of images, prompts or answers.

Lines of libraries take the same format. An exception is logged by its type and stack, without its
message, which may quote a client's data.
"""

import logging
import sys
import traceback
from collections.abc import Callable
from typing import Any, Literal

import orjson
import stamina.instrumentation
import structlog
from structlog.typing import EventDict, Processor

log: structlog.stdlib.BoundLogger = structlog.get_logger()

UVICORN_LOGGERS = ("uvicorn", "uvicorn.error", "uvicorn.access")
_library_handler = logging.StreamHandler()


def configure(form: Literal["console", "json"]) -> None:
    """Send all log lines to standard error in one format."""
    renderer: Processor = (
        structlog.processors.JSONRenderer(serializer=_json)
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            sort_keys=False,
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    common: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _format_exception,
    ]
    structlog.configure(
        processors=[*common, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    stamina.instrumentation.set_on_retry_hooks([_log_retry])
    _library_handler.setStream(sys.stderr)
    _library_handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, _first_line, *common],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.getLogger().addHandler(_library_handler)
    logging.captureWarnings(True)
    for name in UVICORN_LOGGERS:  # `make dev` starts uvicorn with handlers of its own
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


def _json(line: EventDict, default: Callable[[Any], Any], **_: Any) -> str:
    return orjson.dumps(line, default).decode()


def _first_line(_logger: Any, _method: str, line: EventDict) -> EventDict:
    """Keep the first line: asyncio appends the repr of an exception, `warnings` a source line."""
    line["event"] = line["event"].partition("\n")[0]
    return line


def _format_exception(_logger: Any, _method: str, line: EventDict) -> EventDict:
    """Replace `exc_info` by the type and stack of the exception."""
    given = line.pop("exc_info", None)
    error = sys.exception() if given is True else given[1] if isinstance(given, tuple) else given
    frames: list[str] = []
    while error is not None:
        frames = [
            *traceback.format_tb(error.__traceback__),
            f"{type(error).__qualname__}\n",
            *frames,
        ]
        error = error.__cause__ or error.__context__
    if frames:
        line["exception"] = "".join(frames).rstrip()
    return line


def _log_retry(details: stamina.instrumentation.RetryDetails) -> None:
    cause = type(details.caused_by).__name__
    log.warning(
        "the request to the engine is retried", cause=cause, wait_s=round(details.wait_for, 2)
    )
