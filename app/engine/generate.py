"""Generates one answer of the model, with a limit on its thinking.

An answer may take several requests, which `app.engine.prompt` builds.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

import orjson

from app.engine import markup
from app.engine.chat import Chat, Chunk
from app.engine.events import Cut, Generated, Say, Text, Thinking
from app.engine.loops import LoopGuard
from app.engine.ollama import Ollama
from app.engine.prompt import Prompt, request
from app.engine.stream import Stream
from app.errors import ContextOverflow, EngineError, Problem, RepeatLimit, Unfinished

__all__ = ["Answered", "Prompt", "generate"]

Answered = Text | Cut | Thinking

LONGEST = 1_000_000  # characters of an answer, and of its thoughts
PIECE = 4096  # characters passed on at once, which blocks the event loop
# Equal tokens at the end of a stream without `done` from which the daemon's repetition guard, which
# stops after 30, is assumed to have ended it.
STUCK = 20
MOST_RESUMED = 4  # requests that continue after such a run


@dataclass(slots=True)
class _Tally:
    """Counts over all requests of an answer."""

    prompt: int = 0
    asked: int = 0
    completion: int = 0
    reasoning: int = 0
    answered: int = 0  # pieces of the answer; each counts as one token
    written: int = 0  # characters of the answer
    thought: int = 0  # characters of the reasoning
    load_ns: int = 0
    prompt_ns: int = 0
    generate_ns: int = 0
    finish_reason: str = ""
    said: list[str] = field(default_factory=list)
    loops: int = 0
    forced: bool = False  # a second request was made for the answer
    unheld: bool = False  # ended at the start of the answer, because its format was not enforced
    went_on: bool = False  # a continuation after a loop was requested
    abort: Problem | None = None  # the daemon's repetition guard ended the last request
    resumed: int = 0  # continuations after such an end
    varied: bool = True  # the last request wrote more than one repeated token
    thoughts: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def cut(self, surplus: int) -> None:
        """Remove a loop: the last `surplus` characters of the answer."""
        self.loops += 1
        self.said = ["".join(self.said)[:-surplus]]

    def close(self, last: Chunk) -> None:
        """Add the engine's counts of a completed request."""
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
    ollama: Ollama, prompt: Prompt, deadline: float, say: Say[Answered]
) -> Generated:
    """Generate an answer and emit it as it arrives.

    Args:
        deadline: seconds on the event loop's clock.

    Raises:
        DeadlineExceeded: the answer was not complete in time.
        ContextOverflow: the daemon truncated the prompt, so that the answer is invalid.
        EngineError: the model reasoned twice without an answer.
        Problem: the engine failed (`Stream.read`).
    """
    tally = _Tally()
    if prompt.think and not prompt.model.thinks:
        tally.warnings.append(f"{prompt.model.name} cannot reason; it answered directly.")
    chat: Chat | None = request(prompt)
    while chat is not None:
        async with Stream(ollama, chat, prompt.stall_s, deadline) as stream:
            await _ask(stream, chat, prompt, tally, say)
        _judge_format(chat, prompt, tally)
        chat = _again(prompt, tally)
    if tally.thoughts and not tally.answered:
        raise EngineError(
            f"{prompt.model.name} reasoned but did not answer. Raise max_tokens, or retry."
        )
    if tally.thoughts and not prompt.think:
        tally.warnings.append(
            f"{prompt.model.name} reasoned although reasoning was off; the reasoning was removed."
        )
    return tally.generated()


def _judge_format(chat: Chat, prompt: Prompt, tally: _Tally) -> None:
    """Record whether the engine enforced the format from the first token."""
    if chat.format is None or chat.think is not False:
        return
    said = "".join(tally.said).lstrip()
    whole = tally.finish_reason == "stop"
    held = _is_json(said) if whole else said[:1] in tuple('{["-0123456789tfn')
    prompt.model.observed.holds_at_once &= held


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except ValueError:
        return False
    return True


def _behind(prompt: Prompt, tally: _Tally, abort: Problem) -> Chat | None:
    """The next request after the daemon's guard stopped an answer at a run of one token, such as
    dot leaders or the rules of a form. In a new request the guard counts from zero.

    Raises:
        Problem: the model cannot continue an answer.
    """
    tally.abort = None
    if not prompt.model.goes_on:
        raise abort
    if tally.resumed < MOST_RESUMED and (tally.varied or not tally.resumed):
        tally.resumed += 1
        if tally.resumed == 1:
            tally.warnings.append(
                "The engine stopped at a repeated character; the answer was continued there."
            )
        return request(prompt, "".join(tally.thoughts), "".join(tally.said))
    tally.warnings.append("The answer repeated one character without end and was stopped there.")
    return None


def _again(prompt: Prompt, tally: _Tally) -> Chat | None:
    """The request to make after a completed one, or None.

    It is made once for the answer if there was only reasoning (over its budget, or up to the last
    token), once to continue after a loop, and up to `MOST_RESUMED` times after the daemon's guard
    stopped the answer.

    Raises:
        Problem: the guard stopped the answer and the model cannot continue it.
    """
    if tally.abort and tally.answered:
        return _behind(prompt, tally, tally.abort)
    tally.abort = None
    if not tally.answered and not tally.forced:
        tally.forced = True
        if tally.thoughts or tally.unheld:
            return request(prompt, "".join(tally.thoughts))
        # Models sometimes return an empty answer (ollama issue 16216).
        return request(prompt, livelier=True)
    if tally.loops == 1 and not tally.went_on:
        tally.went_on = True
        if prompt.model.goes_on and prompt.format is None:
            tally.warnings.append("A repeated part was removed and the answer continued.")
            return request(prompt, "".join(tally.thoughts), "".join(tally.said), livelier=True)
    if tally.loops:
        tally.warnings.append("A repeated part was removed and the answer ends there.")
    return None


async def _ask(
    stream: Stream, chat: Chat, prompt: Prompt, tally: _Tally, say: Say[Answered]
) -> None:
    """Run one request. It ends early if the reasoning or the answer exceeds its token limit, or if
    the answer repeats itself."""
    part = _Part(chat, prompt, tally, tally.forced and bool(tally.thoughts or tally.unheld))
    guard = LoopGuard()
    unyielded = 0
    while chunks := await _read(stream, part):
        thought, text = part.take(chunks)
        if thought and prompt.think:
            await say(Thinking(thought))
        for piece in (text,) if len(text) <= PIECE else _pieces(text):
            if piece:
                await say(Text(piece))
            unyielded += len(piece)
            if unyielded >= PIECE:  # data that has already arrived is read without yielding
                unyielded = 0
                await asyncio.sleep(0)
        if text and (surplus := guard.feed(text)):
            tally.cut(surplus)
            await say(Cut(surplus))
            break
        if part.last:
            _refuse_cut(part.last, prompt)
            tally.close(part.last)
            return
        if part.over:
            break
    tally.varied = part.times < len(part.tokens)
    # The engine did not report its counts: each piece counts as one token.
    tally.completion += len(part.tokens)
    tally.finish_reason = "length"


def _pieces(text: str) -> Iterator[str]:
    return (text[start : start + PIECE] for start in range(0, len(text), PIECE))


async def _read(stream: Stream, part: "_Part") -> Sequence[Chunk]:
    """The next chunks; empty if the daemon's repetition guard ended the answer."""
    try:
        return await stream.read()
    except RepeatLimit as problem:
        part.tally.abort = problem
    except Unfinished as problem:
        if part.times < STUCK:
            raise
        part.tally.abort = problem
    return ()


@dataclass(slots=True)
class _Part:
    """The reader of one request. `over`: the request must end early."""

    chat: Chat
    prompt: Prompt
    tally: _Tally
    retrying: bool  # the request is for the answer alone
    over: bool = False
    last: Chunk | None = None
    tokens: list[str] = field(default_factory=list)  # thoughts and answer

    def take(self, chunks: Sequence[Chunk]) -> tuple[str, str]:
        """Read chunks. Returns their thoughts and their text."""
        tally, prompt = self.tally, self.prompt
        not_yet = self.chat.format is None and prompt.format is not None
        answered = tally.answered  # a token is read in 0.3 us
        thoughts: list[str] = []
        texts: list[str] = []
        for chunk in chunks:
            if (thought := chunk.message.thinking) and not self.retrying:
                if tally.reasoning == prompt.max_reasoning_tokens:
                    self.over = True
                    break
                tally.reasoning += 1
                thoughts.append(thought)
            # Models start with spaces, or with the newline that the template trimmed.
            text = chunk.message.content
            if text := text if answered else text.lstrip():
                if not_yet:
                    tally.unheld = self.over = True  # the answer starts
                    break
                if answered == prompt.max_tokens:
                    self.over = True
                    break
                answered += 1
                texts.append(text)
            if chunk.done:
                self.last = chunk
        tally.answered = answered
        self.tokens += thoughts
        self.tokens += texts
        thought = self._bounded("".join(thoughts), tally.thought)
        text = self._bounded("".join(texts), tally.written)
        tally.thought += len(thought)
        tally.written += len(text)
        if self.prompt.escaped:
            thought, text = markup.plain(thought), markup.plain(text)
        if thought:
            tally.thoughts.append(thought)
        if text:
            tally.said.append(text)
        return thought, text

    def _bounded(self, text: str, before: int) -> str:
        """The part of `text` within `LONGEST` after `before` characters. More ends the request."""
        if len(text) <= LONGEST - before:
            return text
        self.over, self.last = True, None
        return text[: LONGEST - before]

    @property
    def times(self) -> int:
        """The number of equal tokens at the end, without surrounding white space."""
        last = self.tokens[-1].strip() if self.tokens else ""
        return sum(1 for _ in takewhile(lambda one: one.strip() == last, reversed(self.tokens)))


def _refuse_cut(last: Chunk, prompt: Prompt) -> None:
    """Detect a truncated prompt. Daemons without `truncate: false` truncate silently; the only
    trace is a prompt that counts as the whole context (docs/OLLAMA_FACTS.md).

    Raises:
        ContextOverflow: the prompt was truncated.
    """
    if last.prompt_eval_count >= prompt.model.num_ctx:
        raise ContextOverflow(
            f"The prompt did not fit the context of {prompt.model.num_ctx} tokens and the engine "
            "truncated it. Send fewer or smaller images, or less text."
        )
