"""Builds chat requests from a prompt: the first one, one for the answer alone, a continuation.

The plain qwen3-vl tags always think. `think: false` does not stop them: the daemon then returns
the whole answer as `thinking`. An open assistant message at the end, with closed thoughts, does
(ollama v0.33, model/renderers/qwen3vl.go). If the thoughts are empty, the model answers directly.
With the thoughts so far it must answer now, which limits the reasoning. The renderer does this
only if `content` is not empty and `think` is not false. It trims the newline.

Daemons enforce `format` for a thinking model only after its thoughts, which such a message skips.
Newer daemons enforce it from the first token if `think` is false. The message then contains an
empty thought, and the rendered prompt is the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.engine import escaping
from app.engine.chat import Chat
from app.engine.registry import Model

EMPTY_REASONING = "<think>\n\n</think>\n\n"
RETRY_TEMPERATURE = 0.4  # temperature at which a model leaves a loop that it repeats at 0


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt. `messages` end with the user's message; `options` are Ollama's."""

    model: Model
    messages: tuple[Mapping[str, Any], ...]
    options: Mapping[str, Any]
    max_tokens: int
    keep_alive: int | str = -1
    think: bool = False
    max_reasoning_tokens: int = 1024
    format: Mapping[str, Any] | str | None = None  # a JSON Schema, or `json`
    stall_s: float = 60.0  # longest wait between two tokens
    escaped: bool = False  # some message has escaped text (`app.engine.escaping`)


def build_request(
    prompt: Prompt,
    reasoning: str | None = None,
    answer_so_far: str = "",
    raise_temperature: bool = False,
) -> Chat:
    """Build a request.

    Args:
        reasoning: reasoning so far. The model must answer now. None for the first request, which
            reasons if `prompt.think` is set.
        answer_so_far: the text that the model continues.
        raise_temperature: raise it to at least `RETRY_TEMPERATURE`, because the same request would
            fail again.
    """
    messages = prompt.messages
    # Daemons before 0.32.9 apply a default penalty, which breaks text that repeats.
    options = {"repeat_penalty": 1.0, **prompt.options}
    options |= {"num_ctx": prompt.model.num_ctx, "num_predict": prompt.max_tokens}
    if raise_temperature:
        options["temperature"] = max(RETRY_TEMPERATURE, float(options.get("temperature", 0)))
    think, response_format = None, prompt.format
    if reasoning is None and prompt.think and prompt.model.can_think:
        think = True
        options["num_predict"] += prompt.max_reasoning_tokens
        if not prompt.model.daemon.applies_format_after_reasoning:
            response_format = None  # otherwise the daemon enforces it on the thoughts
    elif (
        response_format is not None and reasoning is None and prompt.model.enforces_format_at_start
    ):
        think = False
        messages = (*messages, {"role": "assistant", "content": EMPTY_REASONING})
    elif reasoning is not None or prompt.model.can_think:
        closed = {
            "role": "assistant",
            "thinking": escaping.escape(reasoning or ""),
            "content": escaping.escape(answer_so_far) or "\n",
        }
        messages = (*messages, closed)
        if answer_so_far:
            response_format = None  # the grammar would start over
    shift = prompt.model.daemon.shift
    return Chat(
        prompt.model.name, messages, options, prompt.keep_alive, think, response_format, shift
    )
