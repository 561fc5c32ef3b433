"""The fake daemon does what docs/OLLAMA_FACTS.md tells of each version."""

import base64
import io
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.fake_ollama.versioned import NAME, VersionedOllama
from tests.fake_ollama.versions import NOTHING, Rules

PREFILL = {"role": "assistant", "thinking": "", "content": "\n"}
EMPTY_THOUGHT = {"role": "assistant", "content": NOTHING}
SCHEMA = {"type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"]}
VERSIONS = ["0.9.3", "0.12.7", "0.30.0", "0.33.0", "0.34.0"]


def png(width: int, height: int, shade: int = 0) -> str:
    out = io.BytesIO()
    Image.new("L", (width, height), shade).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def user(text: str = "What?", *images: str) -> dict[str, Any]:
    return {"role": "user", "content": text, "images": list(images)}


def chat(daemon: VersionedOllama, *messages: dict[str, Any], **fields: Any) -> list[dict[str, Any]]:
    """The lines of an answer, or of a refusal."""
    fields.setdefault("options", {"num_ctx": 8192})
    body = {"model": NAME, "messages": list(messages), **fields}
    answer = httpx.post(f"{daemon.url}/api/chat", json=body, trust_env=False)
    return [httpx.Response(200, text=line).json() for line in answer.text.splitlines()]


def said(lines: list[dict[str, Any]], part: str = "content") -> str:
    return "".join(line["message"].get(part, "") for line in lines if "message" in line)


@pytest.mark.parametrize(
    ("version", "family", "size", "tokens"),
    [
        ("0.12.7", "qwen3vl", (640, 480), 300),
        ("0.12.7", "qwen3vl", (4000, 3000), 2028),
        ("0.29.0", "qwen3vl", (656, 464), 280),
        ("0.33.0", "qwen3vl", (640, 480), 1036),
        ("0.33.0", "qwen3vl", (1600, 1200), 1900),
        ("0.33.0", "qwen3vl", (4000, 3000), 4015),
        ("0.33.0", "qwen35", (640, 480), 300),
        ("0.33.0", "gemma3", (640, 480), 256),
    ],
)
def test_tokens_of_a_picture(version: str, family: str, size: tuple[int, int], tokens: int) -> None:
    assert Rules(version, family).tokens(*size) == tokens


@pytest.mark.parametrize("version", VERSIONS)
def test_equal_neighbours(version: str) -> None:
    """From 0.31 on two become one, unless a text stands between them."""
    with VersionedOllama(Rules(version)) as daemon:
        two = (png(640, 480), png(640, 480, 9))
        chat(daemon, user("Same?", *two))
        assert len(daemon.prompts[-1].pictures) == (1 if daemon.rules.fuses else 2)
        chat(daemon, user("Same?", png(640, 480), png(641, 480)))
        assert len(daemon.prompts[-1].pictures) == 2
        chat(daemon, user("First: [img] Second: [img] Same?", *two))
        rendered = daemon.prompts[-1]
        if daemon.rules.tags:
            assert "First: <image> Second: <image> Same?" in rendered.text
            assert len(rendered.pictures) == 2
        else:
            assert "<image><image>First: [img]" in rendered.text


def test_a_tag_in_a_text_steals_a_picture() -> None:
    with VersionedOllama(Rules("0.33.0")) as daemon:
        chat(daemon, user("What does [img-0] mean?", png(64, 64)), user("And?", png(96, 64)))
        assert [one.width for one in daemon.prompts[-1].pictures] == [64, 96]
        chat(daemon, user("[img-0][img-0]", png(64, 64)))
        assert daemon.prompts[-1].text.count("<image>") == 1, "fused with itself"
        (refused,) = chat(daemon, user("[img-5]", png(64, 64)))
        assert refused["error"]["error"]["message"] == "Failed to tokenize prompt"
        chat(daemon, user("<|im_end|>", png(64, 64)))
        assert daemon.prompts[-1].injected == ["<|im_end|>"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_prompt_that_does_not_fit(version: str) -> None:
    with VersionedOllama(Rules(version)) as daemon:
        (*_, last) = chat(
            daemon, user("word " * 3000), options={"num_ctx": 512}, truncate=False, shift=False
        )
        if version == "0.9.3":
            assert last["prompt_eval_count"] == 512
        elif version == "0.12.7":
            assert last["error"] == "the input length exceeds the context length"
        else:
            assert "exceeds the available context size (512" in last["error"]["error"]["message"]


@pytest.mark.parametrize(
    ("version", "limit"), [("0.9.3", 31), ("0.12.7", 31), ("0.30.0", 31), ("0.33.0", 101)]
)
def test_repeated_tokens_end_a_generation(version: str, limit: int) -> None:
    with VersionedOllama(Rules(version), text="A" + " ." * 200, thinks=False) as daemon:
        lines = chat(daemon, user())
        assert said(lines).count(".") == limit
        assert not any(line.get("done") for line in lines)
        assert ("error" in lines[-1]) is (limit == 101)
        lines = chat(daemon, user(), {"role": "assistant", "content": "A" + " ." * 150})
        assert said(lines).count(".") == (50 if limit == 101 else limit)


@pytest.mark.parametrize("version", VERSIONS)
def test_when_a_format_is_held(version: str) -> None:
    """By a thinking model; the free text is what a grammar did not hold."""
    held = {"0.9.3": (True, True, True), "0.34.0": (False, True, True)}
    held |= dict.fromkeys(("0.12.7", "0.30.0", "0.33.0"), (False, False, True))
    ways: list[tuple[list[dict[str, Any]], dict[str, Any]]] = [
        ([PREFILL], {}),
        ([EMPTY_THOUGHT], {"think": False}),
        ([], {"think": True}),
    ]
    with VersionedOllama(Rules(version)) as daemon:
        for (prefill, fields), right in zip(ways, held[version], strict=True):
            lines = chat(daemon, user(), *prefill, format=SCHEMA, **fields)
            assert (said(lines) == '{"total": 1}') is right, (version, prefill, fields)


def test_the_two_prefills_render_the_same_prompt() -> None:
    with VersionedOllama(Rules("0.34.0")) as daemon:
        chat(daemon, user(), PREFILL)
        chat(daemon, user(), EMPTY_THOUGHT, think=False)
        one, other = (told.text for told in daemon.prompts)
        assert one == other
        assert one.endswith("<think>\n\n</think>\n\n")


@pytest.mark.parametrize(("version", "whole"), [("0.12.7", True), ("0.30.0", False),
                                                ("0.33.0", True)])  # fmt: skip
def test_counts_leave_cached_tokens_out_in_0_30(version: str, whole: bool) -> None:
    with VersionedOllama(Rules(version)) as daemon:
        counts = [chat(daemon, user("Why?", png(640, 480)))[-1]["prompt_eval_count"]
                  for _ in range(2)]  # fmt: skip
        assert (counts[0] == counts[1]) is whole
        assert counts[0] > 300


def test_another_shift_loads_the_model_anew_from_0_30_on() -> None:
    for version, loads in (("0.12.7", 1), ("0.30.0", 2)):
        with VersionedOllama(Rules(version)) as daemon:
            chat(daemon, user())
            chat(daemon, user(), shift=False)
            assert daemon.loads == loads


def test_a_model_that_cannot_see() -> None:
    for version in VERSIONS:
        with VersionedOllama(Rules(version)) as daemon:
            daemon.sees = False
            lines = chat(daemon, user("What?", png(64, 64)))
            assert ("error" in lines[-1]) is daemon.rules.llama_server


def test_a_pattern_that_is_not_anchored_has_no_grammar_from_0_30_on() -> None:
    schema = {"type": "string", "pattern": "a+"}
    with VersionedOllama(Rules("0.33.0"), thinks=False) as daemon:
        (refused,) = chat(daemon, user(), format=schema)
        assert "Pattern must start with '^'" in refused["error"]["error"]["message"]
