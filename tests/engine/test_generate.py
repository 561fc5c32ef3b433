"""Faults of thinking models that no real model can be made to reproduce."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.engine.client import OllamaClient
from app.engine.events import GenerationEnd, Retract, Text, Thinking
from app.engine.generate import Prompt, generate
from app.engine.registry import Model
from app.errors import DeadlineExceeded, EngineError, EngineInterrupted, TokenRepeatLimit
from app.models.daemon import Daemon
from tests.events import Heard

THINKER = Model("thinker", frozenset({"completion", "vision", "thinking"}), "qwen3vl", 4096)
PLAIN = Model("plain", frozenset({"completion", "vision"}), "qwen25vl", 4096)


def lines(thinking: str = "", content: str = "", **last: Any) -> bytes:
    said: list[dict[str, Any]] = [
        {"message": {"thinking": f"{word} "}} for word in thinking.split()
    ]
    said += [{"message": {"content": f" {word}"}} for word in content.split()]
    end = {"done": True, "done_reason": "stop", "eval_count": len(said), **last}
    said.append(end)
    return b"".join(json.dumps(line).encode() + b"\n" for line in said)


class Scripted:
    """An engine that returns scripted answers in turn and records the requests."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []
        self.ollama = OllamaClient(
            "http://engine.test", transport=httpx.MockTransport(self._answer)
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(json.loads(request.content))
        return httpx.Response(200, content=self.answers.pop(0))


def prompt(model: Model, **how: Any) -> Prompt:
    turns = ({"role": "user", "content": "hi", "images": ["aGk="]},)
    return Prompt(model, turns, {"temperature": 0}, **{"max_tokens": 100, **how})


async def run(engine: Scripted, asked: Prompt, seconds: float = 60) -> list[Any]:
    deadline = asyncio.get_running_loop().time() + seconds
    heard: Heard[Any] = Heard()
    ended = await generate(engine.ollama, asked, deadline, heard.say)
    return [*heard, ended]


def said(events: list[Any]) -> str:
    return "".join(event.text for event in events if isinstance(event, Text))


async def test_a_thinking_model_gets_closed_thoughts_and_no_think_field() -> None:
    engine = Scripted(lines(content="a cat"))
    events = await run(engine, prompt(THINKER))
    assert said(events) == "a cat"
    (asked,) = engine.asked
    assert asked["messages"][-1] == {"role": "assistant", "thinking": "", "content": "\n"}
    assert "think" not in asked
    options = {"temperature": 0, "num_ctx": 4096, "num_predict": 100, "repeat_penalty": 1.0}
    assert asked["options"] == options


async def test_another_model_is_asked_plainly() -> None:
    engine = Scripted(lines(content="a cat"))
    await run(engine, prompt(PLAIN))
    assert engine.asked[0]["messages"][-1]["role"] == "user"
    assert "think" not in engine.asked[0]


async def test_a_model_that_thinks_all_the_same_is_made_to_answer() -> None:
    engine = Scripted(lines(thinking="hm well so"), lines(content="a cat"))
    events = await run(engine, prompt(THINKER))
    assert said(events) == "a cat"
    assert not [event for event in events if isinstance(event, Thinking)]
    assert engine.asked[1]["messages"][-1]["thinking"] == "hm well so "
    end = events[-1]
    assert isinstance(end, GenerationEnd)
    assert end.reasoning_tokens == 3
    assert "reasoned although reasoning was off" in end.warnings[0]


async def test_only_reasoning_up_to_the_last_token_is_never_a_success() -> None:
    length = {"done_reason": "length"}
    engine = Scripted(lines(thinking="hm well", **length), lines(thinking="still", **length))
    with pytest.raises(EngineError, match="reasoned but did not answer"):
        await run(engine, prompt(THINKER, think=True))
    assert len(engine.asked) == 2


async def test_reasoning_that_ended_without_an_answer_is_asked_for_one() -> None:
    engine = Scripted(lines(thinking="hm well"), lines(content="a cat"))
    events = await run(engine, prompt(THINKER, think=True))
    assert [type(event) for event in events] == [Thinking, Text, GenerationEnd]
    assert engine.asked[0]["think"] is True
    assert engine.asked[0]["options"]["num_predict"] == 100 + 1024
    assert engine.asked[1]["options"]["num_predict"] == 100
    assert "think" not in engine.asked[1]


async def test_the_budget_is_kept_to_the_token() -> None:
    engine = Scripted(lines(thinking="a b c d e f g"), lines(content="yes"))
    events = await run(engine, prompt(THINKER, think=True, max_reasoning_tokens=4))
    assert "".join(e.text for e in events if isinstance(e, Thinking)) == "a b c d "
    assert engine.asked[1]["messages"][-1]["thinking"] == "a b c d "
    assert events[-1].reasoning_tokens == 4


async def test_an_answer_after_thinking_is_no_longer_than_asked() -> None:
    engine = Scripted(lines(thinking="hm", content="one two three four"))
    events = await run(engine, prompt(THINKER, think=True, max_tokens=2))
    assert said(events) == "one two"
    assert events[-1].finish_reason == "length"
    assert events[-1].completion_tokens == 3


async def test_a_silent_engine_is_left_at_the_deadline() -> None:
    class Silent(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await asyncio.sleep(60)
            raise AssertionError

    engine = Scripted()
    engine.ollama = OllamaClient("http://engine.test", transport=Silent())
    with pytest.raises(DeadlineExceeded):
        await run(engine, prompt(PLAIN), seconds=0.05)


LOOP = "| a line of a table | 25,440 | paid |"


def looping(start: str, times: int = 400) -> bytes:
    said: list[dict[str, Any]] = [
        {"message": {"content": text}} for text in (start, *[f"{LOOP}\n"] * times)
    ]
    said.append({"done": True, "done_reason": "length", "eval_count": times})
    return b"".join(json.dumps(line).encode() + b"\n" for line in said)


def whole(events: list[Any]) -> str:
    """The text after all events."""
    text = ""
    for event in events:
        if isinstance(event, Text):
            text += event.text
        elif isinstance(event, Retract):
            text = text[: -event.characters]
    return text


async def test_a_loop_is_cut_and_gone_on_behind() -> None:
    engine = Scripted(looping("Head.\n"), lines(content="the end"))
    events = await run(engine, prompt(THINKER, max_tokens=4000))
    assert whole(events) == f"Head.\n{LOOP}\n the end"
    assert len(events) < 120, "the request ended early"
    second = engine.asked[1]
    assert second["messages"][-1] == {
        "role": "assistant",
        "thinking": "",
        "content": f"Head.\n{LOOP}\n",
    }
    assert second["options"]["temperature"] == 0.4
    assert events[-1].finish_reason == "stop"
    assert "continued" in events[-1].warnings[0]


async def test_a_second_loop_ends_the_answer() -> None:
    engine = Scripted(looping("Head.\n"), looping("More.\n"))
    events = await run(engine, prompt(THINKER, max_tokens=4000))
    assert whole(events) == f"Head.\n{LOOP}\nMore.\n{LOOP}\n"
    assert len(engine.asked) == 2
    assert events[-1].finish_reason == "length"
    assert "ends there" in events[-1].warnings[-1]


async def test_a_model_that_would_begin_anew_is_not_asked_again() -> None:
    engine = Scripted(looping(""))
    events = await run(engine, prompt(PLAIN, max_tokens=4000))
    assert whole(events) == f"{LOOP}\n"
    assert len(engine.asked) == 1
    assert events[-1].finish_reason == "length"
    assert events[-1].warnings == ("A repeated part was removed and the answer ends there.",)


async def test_an_empty_answer_is_asked_for_once_more() -> None:
    engine = Scripted(lines(), lines(content="a cat"))
    events = await run(engine, prompt(PLAIN))
    assert said(events) == "a cat"
    assert [asked["options"]["temperature"] for asked in engine.asked] == [0, 0.4]
    engine = Scripted(lines(), lines())
    assert said(await run(engine, prompt(PLAIN))) == ""
    assert len(engine.asked) == 2


async def test_an_engine_that_falls_silent_is_left() -> None:
    class Stalls(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            await asyncio.sleep(0.2)  # no stall timeout before the first token
            yield b'{"message":{"content":"a"}}\n'
            await asyncio.sleep(60)

    engine = Scripted()
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Stalls()))
    engine.ollama = OllamaClient("http://engine.test", transport=transport)
    with pytest.raises(EngineInterrupted, match="sent nothing for"):
        await run(engine, prompt(PLAIN, stall_s=0.05))


DOTS = "Chapter one " + ". " * 40 + "5 Chapter two " + ". " * 45 + "9 the end"
GUARD = "prediction aborted, token repeat limit reached"


def guarded(text: str, times: int, error: str = "") -> bytes:
    """An answer that the daemon stops after `times` equal tokens."""
    told, last, same = [], "", 0
    for word in text.split(" "):
        same = same + 1 if word == last else 1
        last = word
        if same > times:
            tail = json.dumps({"error": error}).encode() + b"\n" if error else b""
            break
        told.append({"message": {"content": f"{word} "}})
    else:
        tail = json.dumps({"done": True, "done_reason": "stop", "eval_count": 9}).encode()
    return b"".join(json.dumps(line).encode() + b"\n" for line in told) + tail


class Page:
    """An engine that continues a page after the assistant message, and stops runs of dots."""

    def __init__(self, text: str, times: int, error: str = "") -> None:
        self.text, self.times, self.error = text, times, error
        self.asked: list[dict[str, Any]] = []
        self.ollama = OllamaClient(
            "http://engine.test", transport=httpx.MockTransport(self._answer)
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.asked.append(body)
        last = body["messages"][-1]
        done = last["content"].lstrip("\n") if last["role"] == "assistant" else ""
        assert self.text.startswith(done)
        content = guarded(self.text[len(done) :], self.times, self.error)
        return httpx.Response(200, content=content)


@pytest.mark.parametrize("error", ["", GUARD])
async def test_a_run_of_one_token_is_gone_on_behind(error: str) -> None:
    engine = Page(DOTS, 31, error)
    events = await run(engine, prompt(THINKER, max_tokens=4000))  # type: ignore[arg-type]
    assert said(events).strip() == DOTS
    assert len(engine.asked) == 3
    assert len(events[-1].warnings) == 1 and "continued" in events[-1].warnings[0]
    assert events[-1].finish_reason == "stop"


async def test_one_token_without_end_ends() -> None:
    engine = Page("So " + ". " * 4000, 31, GUARD)
    events = await run(engine, prompt(THINKER, max_tokens=4000))  # type: ignore[arg-type]
    assert len(engine.asked) == 2, "the second request wrote only the repeated token"
    assert events[-1].finish_reason == "length"
    assert "without end" in events[-1].warnings[-1]


async def test_a_model_that_cannot_go_on_says_what_happened() -> None:
    with pytest.raises(TokenRepeatLimit):
        await run(Page(DOTS, 31, GUARD), prompt(PLAIN, max_tokens=4000))  # type: ignore[arg-type]


async def test_a_stream_without_an_end_and_without_repetition_is_a_failure() -> None:
    engine = Scripted(b'{"message":{"content":"a small"}}\n')
    with pytest.raises(EngineInterrupted):
        await run(engine, prompt(THINKER))
    assert len(engine.asked) == 1


CURRENT = Daemon("0.34.0", "qwen3vl")
JSON = '{"a": 1}'


def thinker() -> Model:
    return Model("thinker", THINKER.capabilities, "qwen3vl", 4096, daemon=CURRENT)


async def test_a_format_holds_from_the_first_token_on_a_current_daemon() -> None:
    engine, model = Scripted(lines(content=JSON)), thinker()
    await run(engine, prompt(model, format={"type": "object"}))
    (asked,) = engine.asked
    empty = {"role": "assistant", "content": "<think>\n\n</think>\n\n"}
    assert asked["messages"][-1] == empty
    assert asked["think"] is False
    assert asked["format"] == {"type": "object"}
    assert "shift" not in asked
    assert model.enforces_format_at_start


@pytest.mark.parametrize("answer", ["I see a cat.", '```json\n{"a": 1}\n```', ""])
async def test_an_answer_that_was_not_held_is_remembered(answer: str) -> None:
    engine, model = Scripted(lines(content=answer), lines(content=JSON)), thinker()
    await run(engine, prompt(model, format={"type": "object"}))
    assert not model.enforces_format_at_start
    engine = Scripted(lines(content=JSON))
    await run(engine, prompt(model, format={"type": "object"}))
    assert engine.asked[0]["messages"][-1]["content"] == "\n"
    assert "think" not in engine.asked[0]


async def test_an_escaped_prompt_gets_its_answer_as_it_was_written() -> None:
    engine = Scripted(lines(content="[\u2060img-0] <\u2060|im_end|>"))
    events = await run(engine, prompt(THINKER, escaped=True))
    assert said(events) == "[img-0] <|im_end|>"
    engine = Scripted(lines(content="a\u2060b"))
    assert said(await run(engine, prompt(THINKER))) == "a\u2060b"
