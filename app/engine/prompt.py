"""What is asked of the model, as requests: at first, for the answer alone, and to go on.

The plain qwen3-vl tags think, and `think: false` does not stop them: the daemon then files the
whole answer under `thinking`. What does: end the messages with an open assistant turn whose
thoughts are closed (ollama v0.33, model/renderers/qwen3vl.go). With no thoughts in it the model
answers at once; with the thoughts so far it must answer now, which gives reasoning a budget. The
renderer does so only where `content` is not empty and `think` is not false; it trims the newline.

Daemons hold a thinking model to a `format` only behind its thoughts, which such a turn passes by.
Newer ones hold it from the first token where `think` is false; the same turn is then written with
its empty thought, and the prompt is the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.engine import markup
from app.engine.chat import Chat
from app.engine.registry import Model

NO_THOUGHT = "<think>\n\n</think>\n\n"
LIVELIER = 0.4  # the temperature at which a model leaves the loop that it is in at 0


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model is asked. `messages` end with the user's turn; `options` are Ollama's."""

    model: Model
    messages: tuple[Mapping[str, Any], ...]
    options: Mapping[str, Any]
    max_tokens: int
    keep_alive: int | str = -1
    think: bool = False
    max_reasoning_tokens: int = 1024
    format: Mapping[str, Any] | str | None = None  # a JSON Schema, or `json`
    stall_s: float = 60.0  # the longest silence between two tokens
    escaped: bool = False  # some text of the messages is (`app.engine.markup`)


def request(
    prompt: Prompt, thoughts: str | None = None, said: str = "", livelier: bool = False
) -> Chat:
    """What is sent: open-ended with `think`, else (or once `thoughts` are there) answering now;
    going on behind what was `said`; `livelier` where the same would only happen again."""
    messages = prompt.messages
    # Daemons before 0.32.9 apply a penalty of their own where none is set; it breaks real text.
    options = {"repeat_penalty": 1.0, **prompt.options}
    options |= {"num_ctx": prompt.model.num_ctx, "num_predict": prompt.max_tokens}
    if livelier:
        options["temperature"] = max(LIVELIER, float(options.get("temperature", 0)))
    think, form = None, prompt.format
    if thoughts is None and prompt.think and prompt.model.thinks:
        think = True
        options["num_predict"] += prompt.max_reasoning_tokens
        if not prompt.model.daemon.thinks_freely:
            form = None  # else its thoughts would be held to it
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
            form = None  # a grammar would begin anew
    shift = prompt.model.daemon.shift
    return Chat(prompt.model.name, messages, options, prompt.keep_alive, think, form, shift)
