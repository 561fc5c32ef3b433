"""Log lines: for people on a console, or JSON. Nothing of images, prompts or answers is in them.

The lines of libraries come in the same form. Of an exception there is its kind and where it came
from, not its message: that may quote what was being read.
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

UVICORN = ("uvicorn", "uvicorn.error", "uvicorn.access")
_libraries = logging.StreamHandler()


def configure(form: Literal["console", "json"]) -> None:
    """Send all lines to standard error in one form."""
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
        _place_of_exception,
    ]
    structlog.configure(
        processors=[*common, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    stamina.instrumentation.set_on_retry_hooks([_retried])
    _libraries.setStream(sys.stderr)
    _libraries.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, _first_line, *common],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.getLogger().addHandler(_libraries)
    logging.captureWarnings(True)
    for name in UVICORN:  # which has handlers of its own where `make dev` starts it
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


def _json(line: EventDict, default: Callable[[Any], Any], **_: Any) -> str:
    return orjson.dumps(line, default).decode()


def _first_line(_logger: Any, _method: str, line: EventDict) -> EventDict:
    """asyncio writes the repr of an exception below its message, `warnings` a line of source."""
    line["event"] = line["event"].partition("\n")[0]
    return line


def _place_of_exception(_logger: Any, _method: str, line: EventDict) -> EventDict:
    """The kind of an exception and the way to it, in place of `exc_info`."""
    given = line.pop("exc_info", None)
    error = sys.exception() if given is True else given[1] if isinstance(given, tuple) else given
    told: list[str] = []
    while error is not None:
        told = [*traceback.format_tb(error.__traceback__), f"{type(error).__qualname__}\n", *told]
        error = error.__cause__ or error.__context__
    if told:
        line["exception"] = "".join(told).rstrip()
    return line


def _retried(details: stamina.instrumentation.RetryDetails) -> None:
    cause = type(details.caused_by).__name__
    log.warning("the engine is asked again", cause=cause, wait_s=round(details.wait_for, 2))
