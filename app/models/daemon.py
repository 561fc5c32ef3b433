"""What an Ollama daemon does differently by version and by the model's family.

Every row of docs/OLLAMA_FACTS.md that changes what is sent is a property here. Standard library
only.
"""

import re
from dataclasses import dataclass
from functools import cache, cached_property

# server/sched.go, "not safe with num_parallel > 1": the same list from 0.12.7 to 0.34.
ONE_SLOT = frozenset(
    {
        "lfm2",
        "lfm2moe",
        "mllama",
        "nemotron_h",
        "nemotron_h_moe",
        "nemotron_h_omni",
        "qwen35",
        "qwen35moe",
        "qwen3next",
        "qwen3vl",
        "qwen3vlmoe",
    }
)
# llm/llama_server.go starts llama-server with `--image-min-tokens 1024` for these.
FLOORED = frozenset({"qwen2vl", "qwen25vl", "qwen3vl", "qwen3vlmoe"})

THINKS_FREELY = (0, 12, 4)  # pull request 12460
LLAMA_SERVER = (0, 30, 0)
IMAGE_TAGS = (0, 31, 0)  # commit 6bdb73073 (May 2026); tried on 0.33
COUNTS_WHOLE = (0, 31, 0)  # commit 35fa277fa (June 2026)
HOLDS_AT_ONCE = (0, 31, 0)  # commit 892e7f6be (July 2026); proven by each model's answers


@cache
def numbers(version: str) -> tuple[int, ...]:
    """(0, 12, 7) for `0.12.7-rc1`; empty if it is not a version.

    Not `packaging.version`: download_model.sh runs this before any package is installed, and
    packaging refuses `0.9.3-embedded` and puts a release candidate before its release.
    """
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", version)
    return tuple(map(int, found.groups())) if found else ()


@dataclass(frozen=True)
class Daemon:
    """A daemon of a version that runs a model of a family (`details.family` in `/api/show`).

    A version that is not told, and 0.0.0 (a build from source), count as the newest.
    """

    version: str = ""
    family: str = ""

    def since(self, first: tuple[int, int, int]) -> bool:
        number = numbers(self.version)
        return not any(number) or number >= first

    @cached_property
    def known(self) -> bool:
        """Whether a version is told, be it 0.0.0."""
        return bool(numbers(self.version))

    @cached_property
    def llama_server(self) -> bool:
        """The engine is llama-server; before it was Ollama's own (for the qwen families)."""
        return self.since(LLAMA_SERVER)

    @cached_property
    def fuses(self) -> bool:
        """Two pictures of equal width and height, with nothing between them, may become one."""
        return self.llama_server and (self.family.startswith("qwen") or not self.family)

    @cached_property
    def image_tags(self) -> bool:
        """`[img]` in a message's text is where its next picture goes. Not taken for granted of a
        build from source: a wrong guess is an answer about a blend."""
        known = any(numbers(self.version))
        return known and self.since(IMAGE_TAGS) and self.family.startswith("qwen")

    @cached_property
    def counts_whole(self) -> bool:
        """`prompt_eval_count` holds the tokens that were cached."""
        return not self.llama_server or self.since(COUNTS_WHOLE)

    @cached_property
    def shift(self) -> bool | None:
        """What to send. From 0.30 on another value loads the model anew, and other clients send
        none; what does not fit is refused by `truncate` in any case."""
        return None if self.known and self.llama_server else False

    @cached_property
    def thinks_freely(self) -> bool:
        """A `format` begins to hold where the thoughts end, not before."""
        return self.known and self.since(THINKS_FREELY)

    @cached_property
    def holds_at_once(self) -> bool:
        """With `think: false` and an open last turn a `format` holds from the first token; the
        empty thought in that turn is Qwen3's. A wrong guess costs one answer: see `Observed`."""
        return self.known and self.since(HOLDS_AT_ONCE) and self.family.startswith("qwen3")

    @cached_property
    def image_tokens_known(self) -> bool:
        """Whether the plan of a picture is exact. Ollama's own engine counts older families by
        numbers of the model's file, which not every file has."""
        return self.family.startswith("qwen3" if not self.llama_server else "qwen")

    def slots(self, parallel: int) -> int:
        """How many requests it runs at once where OLLAMA_NUM_PARALLEL is `parallel`."""
        return 1 if self.family in ONE_SLOT else parallel

    def why_one_slot(self, parallel: int) -> str:
        """A sentence where it runs fewer than it was told to; else nothing."""
        if self.slots(parallel) == parallel:
            return ""
        return (
            f"Ollama runs one request at a time for models of the family {self.family}, whatever "
            f"OLLAMA_NUM_PARALLEL says; run more daemons to answer more at once."
        )


@dataclass(frozen=True, slots=True)
class Trouble:
    """Versions from `first` up to before `fixed` that are known to be bad, and what to do."""

    first: tuple[int, int, int]
    fixed: tuple[int, int, int]
    advice: str


TROUBLES = (
    Trouble((0, 12, 11), (0, 12, 12), "refuses pictures for some qwen3-vl models (ollama issue "
            "13099): update it"),
    Trouble((0, 13, 3), (0, 13, 6), "crashes on pictures with some models (ollama issue 13549): "
            "update it"),
    Trouble((0, 30, 0), (0, 31, 0), "leaves cached tokens out of its counts, so that the plan of "
            "prompts learns nothing: update it to 0.31 or newer"),
)  # fmt: skip


def trouble(version: str) -> str:
    """What is known to be wrong with a version, as a sentence; empty for nothing."""
    number = numbers(version)
    for one in TROUBLES:
        if one.first <= number < one.fixed:
            return f"Ollama {version} {one.advice}."
    return ""
