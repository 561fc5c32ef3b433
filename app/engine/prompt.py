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

from app.engine import markup
from app.engine.chat import Chat
from app.engine.registry import Model

NO_THOUGHT = "<think>\n\n</think>\n\n"
LIVELIER = 0.4  # temperature at which a model leaves a loop that it repeats at 0


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
    escaped: bool = False  # some message has escaped text (`app.engine.markup`)


def request(
    prompt: Prompt, thoughts: str | None = None, said: str = "", livelier: bool = False
) -> Chat:
    """Build a request.

    Args:
        thoughts: reasoning so far. The model must answer now. None for the first request, which
            reasons if `prompt.think` is set.
        said: answer so far, which the model continues.
        livelier: raise the temperature to at least `LIVELIER`, because the same request would
            fail again.
    """
    messages = prompt.messages
    # Daemons before 0.32.9 apply a default penalty, which breaks text that repeats.
    options = {"repeat_penalty": 1.0, **prompt.options}
    options |= {"num_ctx": prompt.model.num_ctx, "num_predict": prompt.max_tokens}
    if livelier:
        options["temperature"] = max(LIVELIER, float(options.get("temperature", 0)))
    think, form = None, prompt.format
    if thoughts is None and prompt.think and prompt.model.thinks:
        think = True
        options["num_predict"] += prompt.max_reasoning_tokens
        if not prompt.model.daemon.thinks_freely:
            form = None  # otherwise the daemon enforces it on the thoughts
    elif form is not None and thoughts is None and prompt.model.holds_at_once:
        think = False
        messages = (*messages, {"role": "assistant", "content": NO_THOUGHT})
    elif thoughts is not None or prompt.model.thinks:
        closed = {
            "role": "assistant",
            "thinking": markup.escaped(thoughts or ""),
            "content": markup.escaped(said) or "\n",
        }
        messages = (*messages, closed)
        if said:
            form = None  # the grammar would start over
    shift = prompt.model.daemon.shift
    return Chat(prompt.model.name, messages, options, prompt.keep_alive, think, form, shift)
