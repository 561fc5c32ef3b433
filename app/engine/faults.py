"""What an engine's own error messages mean for the client."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from app.errors import (
    ContextOverflow,
    EngineError,
    EngineInterrupted,
    EngineUnavailable,
    ModelLoadingFailed,
    ModelNotFound,
    Problem,
    RepeatLimit,
    Unheld,
)

BROKE = "The connection to the engine broke."

# What the daemon says when the model did not come up, as opposed to when a request broke it.
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
# What it says when a running generation was cut off (a killed runner, say).
INTERRUPTIONS = (
    "an error was encountered while running the model",
    "model runner has unexpectedly stopped",
)
# What it says to a `format` that it cannot make a grammar of.
UNHELD = (
    "invalid JSON schema in format",
    "JSON schema conversion failed",
    "failed to parse grammar",
    "failed to load model vocab",
)
# What it says where one token came 100 times (since pull request 18374; before it said nothing).
REPEATS = ("token repeat limit reached",)
# What newer daemons (0.13 on) answer to `truncate: false` when the prompt does not fit.
OVERFLOWS = (
    "exceeds the available context size",
    "input length exceeds",
    "exceeds maximum context",
)


COUNTED = re.compile(r"request \((\d+) tokens\)")  # of a prompt that does not fit


def message_of(error: Any) -> str:
    """The sentence in an error: that of llama-server is JSON, which the daemon passes on as an
    object, or as text inside its own sentence."""
    while isinstance(error, dict):
        error = error.get("message") or error.get("error") or json.dumps(error)
    told = str(error or "").strip()
    before, brace, rest = told.partition("{")
    try:
        inner = json.loads(brace + rest)
        named = isinstance(inner, dict) and (inner.get("message") or inner.get("error"))
    except (ValueError, RecursionError):
        return told
    return f"{before}{message_of(named)}" if named else told


def problem_of(error: str, status: int, model: str) -> Problem:
    """What a daemon's error means for the client."""
    if status == 404 or "invalid model" in error:
        return ModelNotFound(f"{error} (on the engine: `ollama pull {model}`)")
    for signs, make in _MEANINGS:
        if any(sign in error for sign in signs):
            return make(error, model)
    if status == 503:
        return EngineUnavailable(f"The engine is busy: {error}")
    return EngineError(f"The engine answered with an error: {error}")


def _overflow(error: str) -> ContextOverflow:
    """With what the engine counted, where it says so."""
    counted = COUNTED.search(error)
    extra = {"engine_tokens": int(counted[1])} if counted else {}
    return ContextOverflow(
        f"The engine refused the prompt: {error}. Send fewer or smaller images, or less text.",
        **extra,
    )


_MEANINGS: tuple[tuple[Sequence[str], Callable[[str, str], Problem]], ...] = (
    (
        OVERFLOWS,
        lambda error, _model: _overflow(error),
    ),
    (
        REPEATS,
        lambda error, _model: RepeatLimit(
            f"The engine ended an answer that repeated one token ({error}). Ask again.", partial=""
        ),
    ),
    (
        UNHELD,
        lambda error, _model: Unheld(
            f"The engine cannot be held to this schema: {error}. Make it simpler.",
            parameter="schema",
        ),
    ),
    (
        LOAD_FAILURES,
        lambda error, model: ModelLoadingFailed(
            f"The engine could not load {model}: {error}. Look at its log, or choose a "
            "smaller model."
        ),
    ),
    (
        INTERRUPTIONS,
        lambda error, _model: EngineInterrupted(
            f"The engine broke off: {error}. Send the request again.", partial=""
        ),
    ),
)
