"""Maps the error messages of the engine to problems."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from app.errors import (
    ContextOverflow,
    EngineError,
    EngineInterrupted,
    EngineUnavailable,
    GrammarUnsupported,
    ModelLoadingFailed,
    ModelNotFound,
    Problem,
    TokenRepeatLimit,
)

CONNECTION_LOST = "The connection to the engine broke."

# Messages of a model that failed to load, as opposed to one that failed during a request.
LOAD_FAILURES = (
    "llama runner process has terminated",
    "requires more system memory",
    "unable to load model",
    "error loading model",
    "timed out waiting for llama runner",
    "llama-server process has terminated",
    "timed out waiting for llama-server",
    "error starting llama-server",
    "out-of-memory during startup",
)
# Messages of a generation that was interrupted, for example by a killed runner.
INTERRUPTIONS = (
    "an error was encountered while running the model",
    "model runner has unexpectedly stopped",
)
# Messages for a `format` that cannot be converted to a grammar.
GRAMMAR_FAILURES = (
    "invalid JSON schema in format",
    "JSON schema conversion failed",
    "failed to parse grammar",
    "failed to load model vocab",
)
# Message after 100 equal tokens (since ollama pull request 18374; silent before).
REPEAT_LIMITS = ("token repeat limit reached",)
# Messages of newer daemons (from 0.13) for `truncate: false` and a prompt that does not fit.
OVERFLOWS = (
    "exceeds the available context size",
    "input length exceeds",
    "exceeds maximum context",
)


TOKEN_COUNT = re.compile(r"request \((\d+) tokens\)")  # tokens of a prompt that does not fit


def error_message(error: Any) -> str:
    """The message of an error. llama-server's errors are JSON, which the daemon forwards as an
    object or as text inside its own message."""
    while isinstance(error, dict):
        error = error.get("message") or error.get("error") or json.dumps(error)
    text = str(error or "").strip()
    before, brace, rest = text.partition("{")
    try:
        inner = json.loads(brace + rest)
        named = isinstance(inner, dict) and (inner.get("message") or inner.get("error"))
    except (ValueError, RecursionError):
        return text
    return f"{before}{error_message(named)}" if named else text


def map_error(error: str, status: int, model: str) -> Problem:
    """Map an error of the daemon to a problem.

    Args:
        error: the message, from `error_message`.
        status: the HTTP status; 500 for an error inside a stream.
    """
    if status == 404 or "invalid model" in error:
        return ModelNotFound(f"{error} (run `ollama pull {model}` on the engine)")
    for fragments, build in _MAPPING:
        if any(sign in error for sign in fragments):
            return build(error, model)
    if status == 503:
        return EngineUnavailable(f"The engine is busy: {error}")
    return EngineError(f"The engine answered with an error: {error}")


def _context_overflow(error: str) -> ContextOverflow:
    """The problem, with the engine's token count if the message has it."""
    counted = TOKEN_COUNT.search(error)
    extra = {"engine_tokens": int(counted[1])} if counted else {}
    return ContextOverflow(
        f"The engine refused the prompt: {error}. Send fewer or smaller images, or less text.",
        **extra,
    )


_MAPPING: tuple[tuple[Sequence[str], Callable[[str, str], Problem]], ...] = (
    (
        OVERFLOWS,
        lambda error, _model: _context_overflow(error),
    ),
    (
        REPEAT_LIMITS,
        lambda error, _model: TokenRepeatLimit(
            f"The engine stopped an answer that repeated one token ({error}). Retry it.", partial=""
        ),
    ),
    (
        GRAMMAR_FAILURES,
        lambda error, _model: GrammarUnsupported(
            f"The engine cannot enforce this schema: {error}. Simplify the schema.",
            parameter="schema",
        ),
    ),
    (
        LOAD_FAILURES,
        lambda error, model: ModelLoadingFailed(
            f"The engine could not load {model}: {error}. Check its log, or choose a smaller model."
        ),
    ),
    (
        INTERRUPTIONS,
        lambda error, _model: EngineInterrupted(
            f"The engine was interrupted: {error}. Retry the request.", partial=""
        ),
    ),
)
