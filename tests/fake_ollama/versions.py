"""What an Ollama daemon of a version does with a chat before the model sees it.

Written from the daemon's source and from what real daemons did (docs/OLLAMA_FACTS.md), without any
of this server's code: the server's own plan is tested against it. `tests/mtmd` holds the picture
rules equal to llama.cpp's own library.
"""

import base64
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from PIL import Image

Version = tuple[int, int, int]

FLOORED = ("qwen2vl", "qwen25vl", "qwen3vl", "qwen3vlmoe")  # started with --image-min-tokens 1024
ONE_SLOT = (
    *("mllama", "qwen3vl", "qwen3vlmoe", "qwen35", "qwen35moe", "qwen3next", "lfm2", "lfm2moe"),
    *("nemotron_h", "nemotron_h_moe", "nemotron_h_omni"),
)
TAG = re.compile(r"\[img-(\d+)\]")
CONTROL = re.compile(r"<\|[a-z_]+\|>|<__media[a-z_]*__>")
TOKEN = re.compile(r"<\|[a-z_]+\|>|\s?\w{1,4}|\s?[^\w\s]|\s")
NOTHING = "<think>\n\n</think>\n\n"


class RefusedError(Exception):
    """The daemon's answer is an error; `body` is the value of its key `error`."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(body)
        self.status, self.body = status, body


@dataclass(frozen=True)
class Rules:
    """What a version does, for a model of a family."""

    version: str
    family: str = "qwen3vl"

    @property
    def number(self) -> Version:
        major, minor, patch = map(int, self.version.partition("-")[0].split("."))
        return major, minor, patch

    @property
    def llama_server(self) -> bool:
        return self.number >= (0, 30, 0)

    @property
    def refuses_overflow(self) -> bool:
        """Knows `truncate: false`; older ones cut in silence."""
        return self.number >= (0, 12, 7)

    @property
    def tags(self) -> bool:
        """`[img]` in a message is replaced by its pictures, in order."""
        return self.llama_server

    @property
    def fuses(self) -> bool:
        return self.number >= (0, 31, 0) and self.family.startswith("qwen")

    @property
    def counts_cached(self) -> bool:
        return not (0, 30, 0) <= self.number < (0, 31, 0)

    @property
    def repeats(self) -> int:
        """Equal tokens in a row after which a generation is ended."""
        return 100 if self.number >= (0, 33, 0) else 30

    @property
    def obeys_no_think(self) -> bool:
        return self.number >= (0, 17, 1)

    @property
    def holds_prefilled(self) -> bool:
        """The grammar holds from the first token where `think` is false."""
        return self.number > (0, 33, 0)

    def tokens(self, width: int, height: int) -> int:
        """What a picture costs."""
        if not self.family.startswith("qwen"):
            return 256
        if not self.llama_server:
            return math.prod(_own_engine(width, height))
        least = 1024 if self.family in FLOORED else 8
        return math.prod(_llama_cpp(width, height, least, 4096))


def _own_engine(width: int, height: int) -> tuple[int, int]:
    """Columns and rows; Ollama's model/models/qwen3vl/imageprocessor.go."""
    cell, least, most = 32, 64 << 10, 2 << 20
    if min(width, height) < cell or max(width, height) // min(width, height) > 200:
        raise RefusedError(500, "model runner has unexpectedly stopped")
    columns, rows = round(width / cell), round(height / cell)  # both round half to even
    if columns * rows * cell**2 > most:
        beta = math.sqrt(width * height / most)
        return math.floor(width / beta / cell), math.floor(height / beta / cell)
    if columns * rows * cell**2 < least:
        beta = math.sqrt(least / (width * height))
        return math.ceil(width * beta / cell), math.ceil(height * beta / cell)
    return columns, rows


def _llama_cpp(width: int, height: int, least: int, most: int) -> tuple[int, int]:
    """Columns and rows; llama.cpp's tools/mtmd/mtmd-image.cpp, calc_size_preserved_ratio."""
    cell = 32
    columns = max(1, math.floor(width / cell + 0.5))
    rows = max(1, math.floor(height / cell + 0.5))
    if columns * rows > most:
        beta = math.sqrt(width * height / (most * cell * cell))
        return (
            max(1, math.floor(width / beta / cell)),
            max(1, math.floor(height / beta / cell)),
        )
    if columns * rows < least:
        beta = math.sqrt(least * cell * cell / (width * height))
        return math.ceil(width * beta / cell), math.ceil(height * beta / cell)
    return columns, rows


@dataclass(frozen=True)
class Seen:
    """A picture as it reaches the model: of two fused ones, both in one."""

    width: int
    height: int
    tokens: int
    digests: tuple[str, ...]


@dataclass
class Rendered:
    """A prompt as it reaches the model.

    text: with `<image>` where a picture stands.
    pictures: in their order.
    injected: control tokens that came out of a message's text.
    prefill: what the last assistant turn, left open, begins with.
    closed: its thoughts are over.
    tokens: of the whole prompt.
    files: the pictures as they were sent.
    """

    text: str = ""
    pictures: list[Seen] = field(default_factory=list)
    injected: list[str] = field(default_factory=list)
    prefill: str = ""
    closed: bool = False
    tokens: int = 0
    files: list[bytes] = field(default_factory=list)


def count(text: str) -> int:
    return len(TOKEN.findall(text))


def render(
    rules: Rules, messages: Sequence[Mapping[str, Any]], think: bool | None, thinks: bool
) -> Rendered:
    """The prompt of a chat, as the qwen3vl renderer writes it.

    Raises RefusedError where a picture or a tag cannot be used.
    """  # fmt: skip
    files = [data for message in messages for data in message.get("images") or ()]
    pictures = [_decoded(rules, data) for data in files]
    thinking = thinks if think is None or not rules.obeys_no_think else thinks and think
    told = Rendered(files=[base64.b64decode(data) for data in files])
    text, offset = "", 0
    for at, message in enumerate(messages):
        content = str(message.get("content", ""))
        told.injected += CONTROL.findall(content)
        tagged = _tagged(rules, content, len(message.get("images") or ()), offset)
        offset += len(message.get("images") or ())
        last = at == len(messages) - 1
        text += f"<|im_start|>{message['role']}\n"
        if last and message["role"] == "assistant":
            told.prefill, told.closed = tagged, NOTHING in tagged
            if thinking:
                thought = str(message.get("thinking", "")).strip("\n")
                text += f"<think>\n{thought}"
                if tagged:
                    told.prefill, told.closed = tagged.lstrip("\n"), True
                    text += f"\n</think>\n\n{told.prefill}"
            else:
                text += tagged
            told.prefill = told.prefill.removeprefix(NOTHING).removeprefix("\n")
        else:
            text += f"{tagged}<|im_end|>\n"
            if last:
                text += "<|im_start|>assistant\n" + ("<think>\n" if thinking else "")
    _split(rules, text, pictures, told)
    return told


def _tagged(rules: Rules, content: str, images: int, offset: int) -> str:
    """A message's text with the tags of its pictures (model/renderers/image_tags.go)."""
    prefix = ""
    if not images or (rules.tags and "[img-" in content):
        return content
    for index in range(offset, offset + images):
        if rules.tags and "[img]" in content:
            content = content.replace("[img]", f"[img-{index}]", 1)
        else:
            prefix += f"[img-{index}]"
    return prefix + content


def _split(rules: Rules, text: str, pictures: list[Seen], told: Rendered) -> None:
    """Put the pictures where their tags are, and fuse equal neighbours."""
    parts = TAG.split(text)  # text, index, text, ...
    for at, part in enumerate(parts):
        if at % 2 == 0:
            told.text += part
            continue
        if int(part) >= len(pictures):
            reason = "Failed to tokenize prompt" if rules.llama_server else "invalid image index"
            raise RefusedError(400, nested(400, reason) if rules.llama_server else reason)
        new = pictures[int(part)]
        before = told.pictures[-1] if told.text.endswith("<image>") else None
        same = before and (before.width, before.height) == (new.width, new.height)
        if rules.fuses and before and same and len(before.digests) == 1:
            both = before.digests + new.digests
            told.pictures[-1] = Seen(new.width, new.height, new.tokens, both)
        else:
            told.pictures.append(new)
            told.text += "<image>"
    words = told.text.replace("<image>", "")
    told.tokens = count(words) + sum(2 + one.tokens for one in told.pictures)


def _decoded(rules: Rules, data: str) -> Seen:
    raw = base64.b64decode(data, validate=True)
    with Image.open(io.BytesIO(raw)) as image:
        width, height = image.size
    return Seen(width, height, rules.tokens(width, height), (sha256(raw).hexdigest(),))


def nested(status: int, message: str) -> dict[str, Any]:
    """An error of llama-server, which Ollama passes on as it is."""
    kind = "invalid_request_error" if status == 400 else "server_error"
    return {"error": {"code": status, "message": message, "type": kind}}


def runs(tokens: Sequence[str], most: int) -> Iterator[str]:
    """The tokens before the one at which the guard ends a generation."""
    last, times = "", 0
    for token in tokens:
        times = times + 1 if token.strip() == last else 0
        last = token.strip()
        if times > most:
            return
        yield token
