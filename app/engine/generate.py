"""One answer of the model, with its thinking kept in hand.

The plain qwen3-vl tags think, and `think: false` does not stop them: the daemon then files the
whole answer under `thinking`. What does: end the messages with an open assistant turn whose
thoughts are closed (ollama v0.33, model/renderers/qwen3vl.go). With no thoughts in it the model
answers at once; with the thoughts so far it must answer now, which gives reasoning a budget. The
renderer does so only where `content` is not empty and `think` is not false; it trims the newline.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeVar

import stamina

from app.engine.events import Cut, Delta, Generated, Reasoning
from app.engine.loops import LoopGuard
from app.engine.ollama import Chat, Chunk, Ollama
from app.engine.registry import Model
from app.errors import (
    ContextOverflow,
    DeadlineExceeded,
    EngineError,
    EngineInterrupted,
    EngineUnavailable,
)

Thing = TypeVar("Thing")
LIVELIER = 0.4  # the temperature at which a model leaves the loop that it is in at 0
# Before the first token a model may load and read for long. Whether the engine lives is then
# asked by the way: it answers that at once, whatever else it does.
PATIENCE_S = 10.0


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


@dataclass(slots=True)
class _Tally:
    """Counts over the one or two requests that an answer takes."""

    prompt: int = 0
    asked: int = 0
    completion: int = 0
    reasoning: int = 0
    answered: int = 0  # pieces of the answer: a token each, as far as the stream shows
    load_ns: int = 0
    prompt_ns: int = 0
    generate_ns: int = 0
    finish_reason: str = ""
    said: str = ""
    loops: int = 0
    forced: bool = False  # asked once more for an answer
    unheld: bool = False  # left where the answer began, since it was not held to its format
    went_on: bool = False  # asked to go on behind a loop
    thoughts: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def close(self, last: Chunk) -> None:
        """Take over the engine's own counts."""
        if not self.completion:
            self.asked = last.prompt_eval_count
        self.prompt += last.prompt_eval_count
        self.completion += last.eval_count
        self.load_ns += last.load_duration
        self.prompt_ns += last.prompt_eval_duration
        self.generate_ns += last.eval_duration
        self.finish_reason = "length" if last.done_reason == "length" else "stop"

    def generated(self) -> Generated:
        return Generated(
            finish_reason=self.finish_reason,
            prompt_tokens=self.prompt,
            completion_tokens=self.completion,
            reasoning_tokens=self.reasoning,
            load_ms=self.load_ns / 1e6,
            prompt_ms=self.prompt_ns / 1e6,
            generate_ms=self.generate_ns / 1e6,
            asked_tokens=self.asked,
            warnings=tuple(self.warnings),
        )


async def generate(
    ollama: Ollama, prompt: Prompt, deadline: float
) -> AsyncGenerator[Delta | Cut | Reasoning | Generated, None]:
    """Ask, and yield the answer as it comes; the last thing yielded is `Generated`.

    Args:
        deadline: on the event loop's clock, in seconds.

    Raises:
        DeadlineExceeded: it was not done in time.
        ContextOverflow: the daemon cut the prompt to fit, so that the answer means nothing.
        EngineError: the model only reasoned, twice.
        Problem: what the client raises.
    """
    tally = _Tally()
    if prompt.think and not prompt.model.thinks:
        tally.warnings.append(f"{prompt.model.name} does not reason; it answered at once.")
    chat: Chat | None = _chat(prompt)
    while chat is not None:
        async with aclosing(_ask(ollama, chat, prompt, tally, deadline)) as events:
            async for event in events:
                yield event
        chat = _again(prompt, tally)
    if tally.thoughts and not tally.answered:
        raise EngineError(
            f"{prompt.model.name} reasoned but did not answer. Raise max_tokens, or ask again."
        )
    if tally.thoughts and not prompt.think:
        tally.warnings.append(
            f"{prompt.model.name} reasoned although it was asked not to; its thoughts are left out."
        )
    yield tally.generated()


def _again(prompt: Prompt, tally: _Tally) -> Chat | None:
    """What to ask after a request is over, if anything: once for the answer, where everything went
    into reasoning (over its budget, or up to the last token); once to go on, where the answer
    began to repeat itself."""
    if not tally.answered and not tally.forced:
        tally.forced = True
        if tally.thoughts or tally.unheld:
            return _chat(prompt, "".join(tally.thoughts))
        # Models sometimes end before they began (ollama issue 16216).
        return _chat(prompt, livelier=True)
    if tally.loops == 1 and not tally.went_on:
        tally.went_on = True
        if prompt.model.goes_on and prompt.format is None:
            tally.warnings.append("The answer repeated itself; that was cut, and it was gone on.")
            return _chat(prompt, "".join(tally.thoughts), tally.said, livelier=True)
    if tally.loops:
        tally.warnings.append("The answer repeated itself; it was cut and ends there.")
    return None


def _chat(
    prompt: Prompt, thoughts: str | None = None, said: str = "", livelier: bool = False
) -> Chat:
    """The request: open-ended with `think`, else (or once `thoughts` are there) answering now;
    going on behind what was `said`; `livelier` where the same would only happen again."""
    messages = prompt.messages
    options = {**prompt.options, "num_ctx": prompt.model.num_ctx, "num_predict": prompt.max_tokens}
    if livelier:
        options["temperature"] = max(LIVELIER, float(options.get("temperature", 0)))
    think, form = None, prompt.format
    if thoughts is None and prompt.think and prompt.model.thinks:
        think = True
        options["num_predict"] += prompt.max_reasoning_tokens
        if not prompt.model.thinks_freely:
            form = None  # else its thoughts would be held to it
    elif thoughts is not None or prompt.model.thinks:
        closed = {"role": "assistant", "thinking": thoughts or "", "content": said or "\n"}
        messages = (*messages, closed)
    return Chat(prompt.model.name, messages, options, prompt.keep_alive, think, form)


async def _ask(
    ollama: Ollama, chat: Chat, prompt: Prompt, tally: _Tally, deadline: float
) -> AsyncGenerator[Delta | Cut | Reasoning, None]:
    """One request; ends early where the reasoning or the answer passes its budget, or where the
    answer repeats itself."""
    retrying = tally.forced and (bool(tally.thoughts) or tally.unheld)
    pieces = 0
    guard = LoopGuard()
    async with aclosing(_stream(ollama, chat, prompt.stall_s, deadline)) as chunks:
        async for chunk in chunks:
            if (thought := chunk.message.thinking) and not retrying:
                if tally.reasoning == prompt.max_reasoning_tokens:
                    break
                tally.reasoning += 1
                tally.thoughts.append(thought)
                if prompt.think:
                    yield Reasoning(thought)
            # Models open with spaces, or with the newline that the template trimmed.
            text = chunk.message.content
            if text := text if tally.answered else text.lstrip():
                if tally.answered == prompt.max_tokens:
                    break
                if chat.format is None and prompt.format is not None:
                    tally.unheld = True  # the thoughts are over; the answer is asked for now
                    break
                pieces += 1
                tally.answered += 1
                tally.said += text
                yield Delta(text)
                if surplus := guard.feed(text):
                    tally.loops += 1
                    tally.said = tally.said[:-surplus]
                    yield Cut(surplus)
                    break
            if chunk.done:
                _refuse_cut(chunk, prompt)
                tally.close(chunk)
                return
    # Left before the engine could count: each piece was a token, as far as the stream shows.
    tally.completion += pieces + (0 if retrying else tally.reasoning)
    tally.finish_reason = "length"


async def _stream(
    ollama: Ollama, chat: Chat, stall_s: float, deadline: float
) -> AsyncGenerator[Chunk, None]:
    """The engine's chunks, none of them waited for too long."""
    ollama.breaker.enter()
    chunks, first = await before(deadline, _opened(ollama, chat))
    async with aclosing(chunks):
        while first is not None:
            yield first
            first = await before(deadline, anext(chunks, None), stall_s)


async def _opened(ollama: Ollama, chat: Chat) -> tuple[AsyncGenerator[Chunk, None], Chunk | None]:
    """A stream and its first chunk. What breaks before that is tried again: nobody has seen
    anything of it yet, and an engine that was just started again is back in a moment."""
    tries = stamina.retry_context(
        on=_passes, attempts=3, timeout=2.0, wait_initial=0.1, wait_max=1.0, wait_jitter=0.1
    )
    async for attempt in tries:
        with attempt:
            chunks = ollama.chat(chat)
            try:
                return chunks, await _first(chunks, ollama)
            except BaseException:
                await chunks.aclose()
                raise
    raise AssertionError("the last try returns or raises")


def _passes(problem: Exception) -> bool:
    """Whether it may be over with the next try; a model that does not load stays so."""
    return type(problem) in (EngineUnavailable, EngineInterrupted)


async def _first(chunks: AsyncGenerator[Chunk, None], ollama: Ollama) -> Chunk | None:
    """The first chunk, for as long as the engine lives."""
    coming = asyncio.ensure_future(anext(chunks, None))
    try:
        while not (await asyncio.wait((coming,), timeout=PATIENCE_S))[0]:
            await ollama.version()
        return coming.result()
    finally:
        coming.cancel()
        await asyncio.wait((coming,))


async def before(deadline: float, coming: Awaitable[Thing], stall_s: float = math.inf) -> Thing:
    """What comes, if it comes before a deadline (on the event loop's clock).

    Raises:
        DeadlineExceeded: it did not.
        EngineInterrupted: nothing came for `stall_s` seconds.
    """
    limit = min(deadline, asyncio.get_running_loop().time() + stall_s)
    try:
        async with asyncio.timeout_at(limit):
            return await coming
    except TimeoutError:
        if limit < deadline:
            raise EngineInterrupted(
                f"The engine sent nothing for {stall_s:g} s. Ask again.", partial=""
            ) from None
        raise DeadlineExceeded(
            "The answer was not done in REQUEST_TIMEOUT_S. Ask for less (max_tokens, detail), "
            "or raise the limit.",
            partial="",
        ) from None


def _refuse_cut(last: Chunk, prompt: Prompt) -> None:
    """Daemons that do not know `truncate: false` cut a long prompt in silence; a prompt that
    counts as exactly the whole context is the only trace (findings)."""
    if last.prompt_eval_count >= prompt.model.num_ctx:
        raise ContextOverflow(
            f"The prompt did not fit the context of {prompt.model.num_ctx} tokens and the engine "
            "cut it. Send fewer or smaller images, or less text."
        )
