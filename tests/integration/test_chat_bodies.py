"""Chat bodies as clients send them: typed ones with every field, LM Studio's, vLLM's and LiteLLM's
habits, and what their users type. Each is answered, or refused with a place and a reason."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.fake_ollama.script import says
from tests.fake_ollama.server import FakeOllama
from tests.pictures import base64_of, encoded, scene

PNG = base64_of(encoded(scene(64, 48), "PNG"))
DATA = f"data:image/png;base64,{PNG}"
SAFE = PNG.replace("+", "-").replace("/", "_")
WRAPPED = "\r\n".join(PNG[at : at + 76] for at in range(0, len(PNG), 76))
TEXT = {"type": "text", "text": "What is it?"}
SEEN = {"type": "image_url", "image_url": {"url": DATA}}
JSON_FORM = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}


def user(*parts: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


def image(url: Any = DATA, **more: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, **more}}


@dataclass(frozen=True)
class Sent:
    """A body; `says` is what the refusal must name, empty where it is answered."""

    name: str
    messages: Any
    more: dict[str, Any] = field(default_factory=dict)
    says: str = ""


ABSENT = (
    "stream stream_options max_tokens max_completion_tokens temperature top_p presence_penalty "
    "frequency_penalty seed stop response_format reasoning_effort n tools tool_choice logprobs "
    "top_logprobs model logit_bias user metadata store service_tier parallel_tool_calls"
)
NULLS = dict.fromkeys(ABSENT.split())
HELLO = [{"role": "user", "content": "Hello"}]
ANSWERED = [
    Sent("every field null", user(TEXT, SEEN), NULLS),
    Sent("detail null", user(TEXT, image(detail=None))),
    Sent("text null", user({"type": "text", "text": None}, SEEN)),
    Sent("typed part with all fields", user({**TEXT, "image_url": None, "file": None}, SEEN)),
    Sent("include_usage null", user(TEXT), {"stream_options": {"include_usage": None}}),
    Sent("stream_options without stream", user(TEXT), {"stream_options": {"include_usage": True}}),
    Sent("stream with usage", user(TEXT), {"stream": True, "stream_options": {}}),
    Sent("null among parts", user(None, TEXT, SEEN)),
    Sent("content null", [*HELLO, {"role": "assistant", "content": None}, *HELLO]),
    Sent("name null", [{"role": "user", "content": "Hi", "name": None}]),
    *(
        Sent(f"detail {one}", user(TEXT, image(detail=one)))
        for one in ("LOW", "High", "AUTO", "original", "", "medium")
    ),
    *(Sent(f"max_tokens {one}", user(TEXT), {"max_tokens": one}) for one in (-1, 0, 5.0)),
    Sent("max_tokens huge", user(TEXT), {"max_tokens": 32_000}),
    Sent("max_completion_tokens huge", user(TEXT), {"max_completion_tokens": 10**9}),
    Sent("max_completion_tokens -1", user(TEXT), {"max_completion_tokens": -1, "max_tokens": 9}),
    Sent("bare string among parts", user("What is it?", SEEN)),
    Sent("bare strings only", user("What", "is it?")),
    Sent("image_url as a string", user(TEXT, {"type": "image_url", "image_url": DATA})),
    Sent("bare base64", user(TEXT, image(PNG))),
    Sent("url-safe base64", user(TEXT, image(f"data:image/png;base64,{SAFE}"))),
    Sent("no padding", user(TEXT, image(SAFE.rstrip("=")))),
    Sent("percent-encoded base64", user(TEXT, image(f"data:image/png;base64,{quote(PNG, '')}"))),
    Sent("percent-encoded data URI", user(TEXT, image(quote(DATA, safe="")))),
    Sent("spaces for plus", user(TEXT, image(DATA.replace("+", " ")))),
    Sent("wrapped lines", user(TEXT, image(WRAPPED))),
    Sent("other media type", user(TEXT, image(f"data:image/jpg;base64,{PNG}"))),
    Sent("upper-case scheme", user(TEXT, image(f"DATA:image/PNG;BASE64,{PNG}"))),
    Sent("charset in the URI", user(TEXT, image(f"data:image/png;charset=utf-8;base64,{PNG}"))),
    Sent("file part", user(TEXT, {"type": "file", "file": {"file_data": DATA, "filename": "a"}})),
    Sent("image before text", user(SEEN, TEXT)),
    Sent("two images", user(TEXT, SEEN, SEEN)),
    Sent("image alone", user(SEEN)),
    Sent("system and developer", [{"role": "developer", "content": "Be brief"}, *HELLO]),
    Sent("history with images", [*user(SEEN), {"role": "assistant", "content": "A"}, *user(TEXT)]),
    Sent("assistant first", [{"role": "assistant", "content": "Hi!"}, *HELLO]),
    Sent("assistant with extras", [*HELLO, {"role": "assistant", "content": "A", "refusal": None,
         "audio": None, "function_call": None, "tool_calls": None}, *HELLO]),
    Sent("reasoning in history", [*HELLO, {"role": "assistant", "content": "A",
         "reasoning_content": "hm"}, *HELLO]),
    Sent("vLLM extras", user(TEXT), {"top_k": 20, "min_p": 0.1, "repetition_penalty": 1.0,
         "chat_template_kwargs": {"enable_thinking": False}, "mm_processor_kwargs": {}}),
    Sent("LM Studio extras", user(TEXT), {"ttl": 300, "repeat_penalty": 1.1, "max_tokens": -1}),
    Sent("LiteLLM extras", user(TEXT), {"metadata": {}, "extra_body": {}, "drop_params": True}),
    Sent("stop as text", user(TEXT), {"stop": "\n\n"}),
    Sent("stop with null", user(TEXT), {"stop": ["a", None]}),
    Sent("seed below zero", user(TEXT), {"seed": -1}),
    Sent("no tools", user(TEXT), {"tools": [], "tool_choice": "none"}),
    Sent("n as a float", user(TEXT), {"n": 1.0}),
    Sent("json_object", user(TEXT), {"response_format": {"type": "json_object"}}),
    Sent("schema with strict null", user(TEXT), {"response_format": {**JSON_FORM, "strict": None}}),
    Sent("text format", user(TEXT), {"response_format": {"type": "text", "json_schema": None}}),
    Sent("model empty", user(TEXT), {"model": ""}),
]  # fmt: skip
REFUSED = [
    Sent("no messages", None, says="`messages`"),
    Sent("messages empty", [], says="messages"),
    Sent("a detail that is a number", user(TEXT, image(detail=3)),
         says="messages[0].content[1].image_url.detail:"),
    Sent("no url", user(TEXT, {"type": "image_url", "image_url": {"detail": "low"}}),
         says="`messages[0].content[1].image_url.url`"),
    Sent("image_url null", user(TEXT, {"type": "image_url", "image_url": None}),
         says="`messages[0].content[1].image_url`"),
    Sent("url a list", user(TEXT, image([DATA])), says="messages[0].content[1].image_url.url:"),
    Sent("text a number", user({"type": "text", "text": 5}), says="messages[0].content[0].text:"),
    Sent("an unknown part", user(TEXT, {"type": "input_audio", "input_audio": {}}),
         says="messages[0].content[1].type: must be one of 'text', 'image_url', 'file'"),
    Sent("a part without a type", user({"text": "hi"}), says="messages[0].content[0].type"),
    Sent("content a number", [{"role": "user", "content": 5}], says="messages[0].content:"),
    Sent("no role", [{"content": "Hi"}], says="`messages[0].role`"),
    Sent("an unknown role", [{"role": "robot", "content": "Hi"}], says="messages[0].role:"),
    Sent("max_tokens -5", user(TEXT), {"max_tokens": -5}, says="max_tokens:"),
    Sent("temperature 9", user(TEXT), {"temperature": 9}, says="temperature:"),
    Sent("schema missing", user(TEXT), {"response_format": {"type": "json_schema"}},
         says="`response_format.json_schema`"),
    Sent("an unknown format", user(TEXT), {"response_format": {"type": "xml"}},
         says="response_format.type: must be one of"),
    Sent("not base64", user(TEXT, image("data:image/png;base64,???")), says="image[0]"),
    Sent("an address", user(TEXT, image("https://a.test/x.png")), says="ALLOW_URL_FETCH"),
    Sent("many answers", user(TEXT), {"n": 3}, says="`n` must be 1"),
]  # fmt: skip
# Names of the validator that a caller never wrote.
INTERNAL = ("list[", "tagged-union", "function-", "TextPart", "ImageUrl", "nullable", "lax-or")


@pytest.mark.parametrize("sent", [*ANSWERED, *REFUSED], ids=lambda sent: sent.name)
def test_each_is_answered_or_refused_with_a_reason(
    engine: FakeOllama, scripted: httpx.Client, sent: Sent
) -> None:
    engine.play(says('{"a": 1}'))
    body = {**({} if sent.messages is None else {"messages": sent.messages}), **sent.more}
    response = scripted.post("/v1/chat/completions", json=body)
    if not sent.says:
        print(f"| {sent.name} | {response.status_code} | |")
        assert response.status_code == 200, response.text
        return
    told = response.json()["error"]["message"]
    print(f"| {sent.name} | {response.status_code} | {told} |")
    assert 400 <= response.status_code < 500
    assert sent.says in told
    assert not any(name in told for name in INTERNAL)


def test_a_huge_limit_is_lowered_with_a_warning(engine: FakeOllama, scripted: httpx.Client) -> None:
    engine.play(says("yes"))
    body = {"messages": HELLO, "max_tokens": 1_000_000}
    answer = scripted.post("/v1/chat/completions", json=body).json()
    assert any("max_tokens was lowered to 4096" in one for one in answer["vlm"]["warnings"])


@pytest.mark.parametrize("none", [-1, 0, None])
def test_no_limit_is_that_of_the_task(
    engine: FakeOllama, scripted: httpx.Client, none: int | None
) -> None:
    engine.play(says("yes"))
    body = {"image": PNG, "max_tokens": none, "prompt": f"say {none}"}
    absent = {"language": None, "detail": None, "think": None, "stream": None, "seed": None}
    response = scripted.post("/v1/describe", json={**body, **absent})
    assert response.status_code == 200, response.text
    assert response.json()["warnings"] == []
