"""The tiny models of the test daemon, and how to put them into it."""

import hashlib
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx

from tests.ollama_daemon import weights
from tests.ollama_daemon.install import CACHE
from tests.ollama_daemon.weights import END_OF_TURN, NEWLINE, SPACE, Spec

PLAIN = """\
{{- range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
"""

# Renders the last assistant turn as Ollama's qwen3vl renderer does (v0.33,
# model/renderers/qwen3vl.go): thoughts closed, leading newline of the content dropped, turn left
# open. Ollama 0.9 takes the two tags from the texts around `.Thinking`, which is what makes
# /api/show report the capability `thinking`.
THINKING = """\
{{- range $i, $_ := .Messages }}
{{- $last := eq (len (slice $.Messages $i)) 1 }}
{{- $prefill := and $last (eq .Role "assistant") }}<|im_start|>{{ .Role }}
{{ if $prefill }}<think>
{{ .Thinking }}
</think>

{{ end }}
{{- if not (and $prefill (eq .Content "\\n")) }}{{ .Content }}{{ end }}
{{- if not $prefill }}<|im_end|>
{{ if $last }}<|im_start|>assistant
{{ end }}
{{- end }}
{{- end }}"""

SENTENCE = (
    "the image shows a small red house near two green trees and one blue car on an old stone road "
    "with white clouds above it while three black birds fly over tall grass"
)
# Words that are in SENTENCE too or come twice are left out: a word has one successor.
THOUGHTS = (
    "first I look at this picture then what do they want me to say here let us think about each "
    "part slowly because nothing is certain yet maybe something else hides behind that wall or "
    "under those leaves hmm wait could the light be wrong no every shadow falls left so my "
    "guess was right after all and now it seems safe enough for giving out some short answer"
)


@dataclass(frozen=True)
class TinyModel:
    """A model of the test daemon: what its file holds and how it is created."""

    name: str
    spec: Spec
    template: str = PLAIN
    # More than one thread is slower for a model this small, and erratic on a busy machine.
    parameters: dict[str, Any] = field(default_factory=lambda: {"num_thread": 1})


def _said(words: Iterable[str]) -> list[str]:
    return [SPACE + word for word in dict.fromkeys(words)]


def _chain(tokens: list[str], end: str) -> list[tuple[str, str, float]]:
    return [(token, following, 0.8) for token, following in pairwise([*tokens, end])]


def _json(first: str, last: str) -> list[tuple[str, str, float]]:
    """Links that let a grammar (`format`) come to an end: it strikes out what cannot follow, and
    the strongest of the rest wins."""
    certain = ['{"', ':"', ',"', '["', '"' + first, "1}", "]}"]
    return [
        *((pair[0], pair[1:], 0.8) for pair in certain),
        ("}", END_OF_TURN, 0.8),
        *((last, '"', 0.7), ("1", ",", 0.7), ("]", ",", 0.7)),
        *(('"', "}", 0.6), ('"', ":", 0.6), ('"', "]", 0.6), ('"', ",", 0.5)),
        *((":", "1", 0.6), (":", "[", 0.6)),
    ]


def _sentence(**more: Any) -> Spec:
    """Up to 32 words that depend on prompt and image, then the end."""
    words = _said(SENTENCE.split())
    links = [*_chain(words, END_OF_TURN), *_json(words[0], words[-1])]
    return Spec(starts=words, links=links, **more)


def _looping() -> Spec:
    """Says the sentence over and over, as OCR of a hard page sometimes does."""
    words = _said(SENTENCE.split())
    return Spec(starts=words, links=_chain(words, words[0]))


def _counting() -> Spec:
    """Counts from a number below 20 to 400 and begins again; every layer is there to be slow.

    Counting rather than repeating a sentence: nothing comes twice within 400 tokens, so neither
    the daemon's guard (one token 30 times in a row) nor a server's own finds a loop in it.
    """
    numbers = _said(map(str, range(400)))
    return Spec(
        starts=numbers[:20],
        others=tuple(numbers[20:]),
        links=_chain(numbers, numbers[0]),
        layers=120,
    )


def _thinking() -> Spec:
    """Thinks first, unless the prompt ends with thoughts that are closed.

    The prompt's last token tells which: "assistant" + newline leads to `<think>`, while the
    double newline after `</think>` is silent and so starts the answer.
    """
    words = _said(SENTENCE.split())
    thoughts = [thought for thought in _said(THOUGHTS.split()) if thought not in words]
    double = NEWLINE * 2
    links = [
        (NEWLINE, "<think>", 0.8),
        *_chain(["<think>", *thoughts], "</think>"),
        ("</think>", double, 0.8),
        *_chain(words, END_OF_TURN),
    ]
    return Spec(
        starts=words,
        others=tuple(thoughts),
        tags=("<think>", "</think>"),
        merges=(f"{NEWLINE} {NEWLINE}",),
        links=links,
        silent=(double,),
    )


TINY_VLM = TinyModel("tiny-vlm", _sentence())
TINY_TEXT = TinyModel("tiny-text", _sentence(vision=False))
SLOW_VLM = TinyModel("slow-vlm", _counting(), parameters={"num_thread": 1, "num_predict": 400})
TINY_LOOP = TinyModel("tiny-loop", _looping(), parameters={"num_thread": 1, "num_predict": 1500})
TINY_THINK = TinyModel("tiny-think", _thinking(), THINKING)
ALL = (TINY_VLM, TINY_TEXT, SLOW_VLM, TINY_THINK, TINY_LOOP)


def store() -> Path:
    """The folder for the models' files; another one when the recipe changes."""
    here = Path(__file__)
    recipe = here.read_bytes() + here.with_name("weights.py").read_bytes()
    folder = CACHE / f"tiny-models-{hashlib.sha256(recipe).hexdigest()[:8]}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def create_missing(client: httpx.Client) -> None:
    """Create the models that the daemon behind `client` does not have yet (0.1 s each)."""
    listed = client.get("/api/tags").raise_for_status().json()["models"]
    present = {model["name"] for model in listed}
    for model in ALL:
        if f"{model.name}:latest" not in present:
            _create(client, model)


def _create(client: httpx.Client, model: TinyModel) -> None:
    content = _gguf(model).read_bytes()
    blob = f"sha256:{hashlib.sha256(content).hexdigest()}"
    # The daemon closes before it has read the body of a blob it has: ask first.
    if client.head(f"/api/blobs/{blob}").status_code != 200:
        client.post(f"/api/blobs/{blob}", content=content).raise_for_status()
    request = {
        "model": model.name,
        "files": {f"{model.name}.gguf": blob},
        "template": model.template,
        "parameters": model.parameters,
        "stream": False,
    }
    client.post("/api/create", json=request).raise_for_status()


def _gguf(model: TinyModel) -> Path:
    path = store() / f"{model.name}.gguf"
    if not path.exists():
        handle, temporary = tempfile.mkstemp(dir=path.parent)
        os.close(handle)
        weights.write(model.spec, Path(temporary))
        Path(temporary).replace(path)
    return path
