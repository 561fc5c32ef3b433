"""Differences in behaviour between Ollama versions and between model families.

Every row of docs/OLLAMA_FACTS.md that changes the requests to Ollama is a property here. This
module uses the standard library only.
"""

import re
from dataclasses import dataclass
from functools import cache, cached_property

# server/sched.go, "not safe with num_parallel > 1": the same list from 0.12.7 to 0.34.
SINGLE_SLOT_FAMILIES = frozenset(
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
MIN_TOKENS_FAMILIES = frozenset({"qwen2vl", "qwen25vl", "qwen3vl", "qwen3vlmoe"})

FORMAT_AFTER_REASONING = (0, 12, 4)  # pull request 12460
LLAMA_SERVER = (0, 30, 0)
IMAGE_TAGS = (0, 31, 0)  # commit 6bdb73073 (May 2026); verified on 0.33
COUNTS_CACHED_TOKENS = (0, 31, 0)  # commit 35fa277fa (June 2026)
ENFORCES_FORMAT_AT_START = (
    0,
    31,
    0,
)  # commit 892e7f6be (July 2026); verified by each model's answers


@cache
def parse_version(version: str) -> tuple[int, ...]:
    """Parse a version: (0, 12, 7) for `0.12.7-rc1`; () if the text is not a version.

    `packaging.version` is not used: download_model.sh runs this before any package is installed.
    Moreover, packaging rejects `0.9.3-embedded` and sorts a release candidate before its release.
    """
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", version)
    return tuple(map(int, found.groups())) if found else ()


@dataclass(frozen=True)
class Daemon:
    """The behaviour of an Ollama version with a model family (`details.family` in `/api/show`).

    An unknown version ("") and 0.0.0 (a build from source) count as the newest, except where a
    property requires a known version.
    """

    version: str = ""
    family: str = ""

    def since(self, first: tuple[int, int, int]) -> bool:
        """Return whether the version is `first` or later, or unknown, or 0.0.0."""
        number = parse_version(self.version)
        return not any(number) or number >= first

    @cached_property
    def version_known(self) -> bool:
        """Whether the version is known; 0.0.0 is."""
        return bool(parse_version(self.version))

    @cached_property
    def llama_server(self) -> bool:
        """Whether the engine is llama-server; older versions run qwen families in Ollama's own."""
        return self.since(LLAMA_SERVER)

    @cached_property
    def may_fuse_images(self) -> bool:
        """Whether two adjacent pictures of equal width and height may be merged into one."""
        return self.llama_server and (self.family.startswith("qwen") or not self.family)

    @cached_property
    def image_tags(self) -> bool:
        """Whether `[img]` in a message's text marks the position of its next picture.

        It is False for a build from source: a wrong guess would yield an answer about a blend of
        two pictures.
        """
        known = any(parse_version(self.version))
        return known and self.since(IMAGE_TAGS) and self.family.startswith("qwen")

    @cached_property
    def counts_cached_tokens(self) -> bool:
        """Whether `prompt_eval_count` includes cached tokens."""
        return not self.llama_server or self.since(COUNTS_CACHED_TOKENS)

    @cached_property
    def shift(self) -> bool | None:
        """The value of `shift` to send; None to omit it.

        From 0.30 on, a value that differs from that of the previous request reloads the model, and
        other clients omit it. Prompts that do not fit are rejected by `truncate: false` in any
        case.
        """
        return None if self.version_known and self.llama_server else False

    @cached_property
    def applies_format_after_reasoning(self) -> bool:
        """Whether `format` constrains the answer only after the thinking ends."""
        return self.version_known and self.since(FORMAT_AFTER_REASONING)

    @cached_property
    def enforces_format_at_start(self) -> bool:
        """Whether `format` holds from the first token with `think: false` and an open last turn.

        That turn holds an empty thought in Qwen3's syntax. A wrong guess costs one answer, see
        `ObservedBehavior`.
        """
        return (
            self.version_known
            and self.since(ENFORCES_FORMAT_AT_START)
            and self.family.startswith("qwen3")
        )

    @cached_property
    def image_cost_known(self) -> bool:
        """Whether the token count of a picture is known exactly.

        Ollama's own engine counts the tokens of older families by parameters in the model file,
        which not every file has.
        """
        return self.family.startswith("qwen3" if not self.llama_server else "qwen")

    def slots(self, parallel: int) -> int:
        """Return how many requests run in parallel if OLLAMA_NUM_PARALLEL is `parallel`."""
        return 1 if self.family in SINGLE_SLOT_FAMILIES else parallel

    def single_slot_reason(self, parallel: int) -> str:
        """Return a sentence for the user if fewer requests than `parallel` run; else ""."""
        if self.slots(parallel) == parallel:
            return ""
        return (
            f"Ollama runs one request at a time for models of the family {self.family} and ignores "
            f"OLLAMA_NUM_PARALLEL. Run more daemons to process requests in parallel."
        )


@dataclass(frozen=True, slots=True)
class KnownBug:
    """A known problem of the versions from `first` to before `fixed`, with advice."""

    first: tuple[int, int, int]
    fixed: tuple[int, int, int]
    advice: str


KNOWN_BUGS = (
    KnownBug((0, 12, 11), (0, 12, 12), "refuses pictures for some qwen3-vl models (ollama issue "
            "13099): update it"),
    KnownBug((0, 13, 3), (0, 13, 6), "crashes on pictures with some models (ollama issue 13549): "
            "update it"),
    KnownBug((0, 30, 0), (0, 31, 0), "omits cached tokens from its counts, so that the estimate of "
            "prompt sizes cannot learn from them: update it to 0.31 or newer"),
)  # fmt: skip


def known_bug(version: str) -> str:
    """Return the known problem of a version as a sentence; "" if there is none."""
    number = parse_version(version)
    for one in KNOWN_BUGS:
        if one.first <= number < one.fixed:
            return f"Ollama {version} {one.advice}."
    return ""
