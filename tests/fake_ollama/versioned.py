"""An Ollama daemon of a version, with one model of the qwen3vl architecture that knows its page.

    with VersionedOllama(Rules("0.34.0"), text="Total 25") as daemon:
        ...
        assert len(daemon.prompts[-1].pictures) == 2

It also renders the prompt, decodes the pictures, counts tokens, refuses what does not fit, holds an
answer to its format, continues a turn that was left open and ends an answer that repeats itself,
each as that version does (`rules`).
"""

import json
import re
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from tests.fake_ollama.script import Head, Script, done, line, refuses, replies, word
from tests.fake_ollama.server import FakeOllama
from tests.fake_ollama.versions import (
    ONE_SLOT,
    RefusedError,
    Rendered,
    Rules,
    count,
    nested,
    render,
    runs,
)

NAME = "fake-vl"
DIGEST = "f" * 64
PIECE = re.compile(r"\s*\w+|\s*[^\w\s]|\s+")
COMPLETION = ("completion", "vision")


class VersionedOllama(FakeOllama):
    """The daemon. Set what is not given at any time.

    text: what the model writes, also by the prompt.
    thinks: it is a thinking model; `thoughts` are what it thinks where nothing stops it.
    parallel: OLLAMA_NUM_PARALLEL.
    prompts: the last prompts as they reached the model.
    generations: how often the model was run.
    loads: how often it was loaded.
    tags: fields that are added to its entry in /api/tags.
    """

    def __init__(
        self,
        rules: Rules,
        text: str | Callable[[Rendered], str] = "A small red house.",
        *,
        thinks: bool = True,
        parallel: int = 1,
        context: int = 262_144,
    ) -> None:
        self.rules, self.text, self.thinks, self.parallel = rules, text, thinks, parallel
        self.thoughts = "Let me look at it."
        self.sees = self.is_loaded = True
        self.context = context
        self.digest = DIGEST
        self.tags: dict[str, Any] = {}
        self.prompts: deque[Rendered] = deque(maxlen=64)
        self.generations = self.loads = 0
        self._loaded: tuple[Any, ...] = ()
        self._cached = ""
        super().__init__(rules.version, slots=1 if rules.family in ONE_SLOT else parallel)

    def _script(self, path: str, body: bytes) -> Script:
        if path == "/api/ps" and not self.is_loaded:
            return replies(200, {"models": []})
        if path in ("/api/tags", "/api/ps"):
            name = f"{NAME}:latest"
            entry = {"name": name, "model": name, "size": 10**9, "digest": self.digest, **self.tags}
            return replies(200, {"models": [{**entry, "size_vram": 10**9}]})
        if path in ("/api/show", "/api/chat"):
            return self._asked(path, json.loads(body))
        return super()._script(path, body)

    def _asked(self, path: str, asked: dict[str, Any]) -> Script:
        if str(asked["model"]).removesuffix(":latest") != NAME:
            return refuses(404, f"model '{asked['model']}' not found")
        if path == "/api/show":
            return self._shown()
        return self.chosen(asked) if self.chosen else self._chat(asked)

    def _shown(self) -> Script:
        family = self.rules.family
        info = {"general.architecture": family, f"{family}.context_length": self.context}
        abilities = ["completion", *["vision"] * self.sees, *["thinking"] * self.thinks]
        details = {"family": family, "format": "gguf"}
        shown = {"details": details, "model_info": info, "capabilities": abilities, **self.tags}
        return replies(200, shown)

    def _chat(self, asked: Mapping[str, Any]) -> Script:
        try:
            return self._answered(asked)
        except RefusedError as refused:
            return replies(refused.status, {"error": refused.body})

    def _answered(self, asked: Mapping[str, Any]) -> Script:
        messages, options = asked["messages"], asked.get("options", {})
        think, form = asked.get("think"), asked.get("format")
        if not self.sees and any(message.get("images") for message in messages):
            if self.rules.llama_server:
                raise RefusedError(400, "this model does not support multimodal requests")
            messages = [{**message, "images": []} for message in messages]
        self._check_format(form)
        told = render(self.rules, messages, think, self.thinks)
        num_ctx = int(options.get("num_ctx", 4096))
        self._load(num_ctx, asked.get("shift"))
        counted = self._counted(told, num_ctx, asked.get("truncate", True))
        self.prompts.append(told)
        self.generations += 1
        thoughts = self.thoughts if self.thinks and not told.closed else ""
        if think is False and self.rules.obeys_no_think:
            thoughts = ""
        text = self._written(told, form, self._holds(told, think) if form else False)
        most = int(options.get("num_predict", -1))
        return self._stream(thoughts, text, counted, most)

    def _holds(self, told: Rendered, think: bool | None) -> bool:
        """Whether the grammar is on when the answer begins."""
        if not self.thinks or self.rules.number < (0, 12, 4):
            return True
        if think is False:
            return self.rules.holds_prefilled
        return not told.closed

    def _written(self, told: Rendered, form: Any, held: bool) -> str:
        """What the model writes behind what stands there already."""
        if held:
            return json.dumps({} if form == "json" else instance(form))
        text = self.text if isinstance(self.text, str) else self.text(told)
        start = told.prefill
        return text[len(start) :] if start and text.startswith(start) else text

    def _check_format(self, form: Any) -> None:
        """llama.cpp compiles a pattern only where it is anchored."""
        if not self.rules.llama_server or "pattern" not in json.dumps(form):
            return
        for pattern in re.findall(r'"pattern": "([^"]*)"', json.dumps(form)):
            if not pattern.startswith("^"):
                reason = "JSON schema conversion failed: Pattern must start with '^'"
                raise RefusedError(400, nested(400, reason))

    def _load(self, num_ctx: int, shift: bool | None) -> None:
        """Another context is another model; on llama-server so is another `shift`."""
        wanted = (num_ctx, shift is not False) if self.rules.llama_server else (num_ctx,)
        self.loads += wanted != self._loaded
        self._loaded = wanted

    def _counted(self, told: Rendered, num_ctx: int, truncate: bool) -> int:
        """`prompt_eval_count`. Raises RefusedError where the prompt does not fit."""
        if told.tokens > num_ctx:
            if truncate or not self.rules.refuses_overflow:
                return num_ctx  # cut in silence, the picture first
            if not self.rules.llama_server:
                raise RefusedError(400, "the input length exceeds the context length")
            sentence = (
                f"request ({told.tokens} tokens) exceeds the available context size "
                f"({num_ctx} tokens), try increasing it"
            )
            raise RefusedError(400, nested(400, sentence))
        same = 0
        if not self.rules.counts_cached:
            while same < min(len(told.text), len(self._cached)) - 1:
                if told.text[same] != self._cached[same]:
                    break
                same += 1
        self._cached = told.text
        if not same:
            return told.tokens
        cached = told.text[:same]
        shown = told.pictures[: cached.count("<image>")]
        left_out = count(cached.replace("<image>", "")) + sum(2 + one.tokens for one in shown)
        return max(1, told.tokens - left_out)

    def _stream(self, thoughts: str, text: str, counted: int, most: int) -> Script:
        thought = PIECE.findall(thoughts)
        pieces = PIECE.findall(text)
        limit = len(pieces) if most < 0 else max(0, most - len(thought))
        said = list(runs(pieces[:limit], self.rules.repeats))
        steps = [word("", one) for one in thought] + [word(one) for one in said]
        if len(said) < min(limit, len(pieces)):  # the guard
            if self.rules.repeats == 30:
                return (Head(), *steps)
            return (Head(), *steps, line(error="prediction aborted, token repeat limit reached"))
        reason = "length" if limit < len(pieces) else "stop"
        return (Head(), *steps, done(reason, counted, len(thought) + len(said) + 1))


SCALARS: dict[str, Any] = {"string": "x", "boolean": True, "null": None}


def instance(schema: Any) -> Any:
    """The least that fits, as a grammar forces it out of a model that knows nothing."""
    if choices := schema.get("enum"):
        return choices[0]
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        wanted = schema.get("required", list(schema.get("properties", {})))
        return {name: instance(schema["properties"][name]) for name in wanted}
    if kind == "array":
        made = instance(schema.get("items", {"type": "null"}))
        least = int(schema.get("minItems", 1))
        return [at * 100 if isinstance(made, int) else made for at in range(1, least + 1)]
    return SCALARS.get(kind, int(schema.get("minimum", 1)) or 1)
