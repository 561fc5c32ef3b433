"""Generates one answer of the model, with a limit on its thinking.

An answer may take several requests to the engine, which `app.engine.prompt` builds.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

import orjson

from app.engine import escaping
from app.engine.chat import Chat, Chunk
from app.engine.client import OllamaClient
from app.engine.events import Emit, GenerationEnd, Retract, Text, Thinking
from app.engine.prompt import Prompt, build_request
from app.engine.repetition import RepetitionDetector
from app.engine.stream import EngineStream
from app.errors import ContextOverflow, EngineError, Problem, StreamTruncated, TokenRepeatLimit

__all__ = ["GenerationEvent", "Prompt", "generate"]

GenerationEvent = Text | Retract | Thinking

MAX_CHARACTERS = 1_000_000  # characters of an answer, and of its thoughts
SLICE_CHARACTERS = 4096  # characters passed on at once, which blocks the event loop
# Equal tokens at the end of a stream without `done` from which the daemon's repetition guard, which
# stops after 30, is assumed to have ended it.
ABORT_REPEATS = 20
MAX_RESUMES = 4  # requests that continue after such a run


@dataclass(slots=True)
class _GenerationState:
    """The texts and counts of an answer over all its requests, and why the last one ended."""

    prompt: int = 0
    first_prompt: int = 0
    completion: int = 0
    reasoning: int = 0
    answer_tokens: int = 0  # pieces of the answer; each counts as one token
    answer_characters: int = 0  # characters of the answer
    reasoning_characters: int = 0  # characters of the reasoning
    load_ns: int = 0
    prompt_ns: int = 0
    generate_ns: int = 0
    finish_reason: str = ""
    answer_pieces: list[str] = field(default_factory=list)
    loops: int = 0
    answer_forced: bool = False  # a second request was made for the answer
    # The request without a format ended where the answer starts; another one enforces it.
    stopped_for_format: bool = False
    continued: bool = False  # a continuation after a loop was requested
    abort_reason: Problem | None = None  # the daemon's repetition guard ended the last request
    resumes: int = 0  # continuations after such an end
    varied: bool = True  # the last request wrote more than one repeated token
    reasoning_pieces: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def retract(self, surplus: int) -> None:
        """Remove a loop: the last `surplus` characters of the answer."""
        self.loops += 1
        self.answer_pieces = ["".join(self.answer_pieces)[:-surplus]]

    def add_counts(self, last: Chunk) -> None:
        """Add the engine's counts of a completed request."""
        if not self.completion:
            self.first_prompt = last.prompt_eval_count
        self.prompt += last.prompt_eval_count
        self.completion += last.eval_count
        self.load_ns += last.load_duration
        self.prompt_ns += last.prompt_eval_duration
        self.generate_ns += last.eval_duration
        self.finish_reason = "length" if last.done_reason == "length" else "stop"

    def to_end(self) -> GenerationEnd:
        return GenerationEnd(
            finish_reason=self.finish_reason,
            prompt_tokens=self.prompt,
            completion_tokens=self.completion,
            reasoning_tokens=self.reasoning,
            load_ms=self.load_ns / 1e6,
            prompt_ms=self.prompt_ns / 1e6,
            generate_ms=self.generate_ns / 1e6,
            first_prompt_tokens=self.first_prompt,
            warnings=tuple(self.warnings),
        )


async def generate(
    ollama: OllamaClient, prompt: Prompt, deadline: float, emit: Emit[GenerationEvent]
) -> GenerationEnd:
    """Generate an answer and emit it as it arrives.

    Args:
        deadline: seconds on the event loop's clock.

    Raises:
        DeadlineExceeded: the answer was not complete in time.
        ContextOverflow: the daemon truncated the prompt, so that the answer is invalid.
        EngineError: the model reasoned twice without an answer.
        Problem: the engine failed (`EngineStream.read`).
    """
    state = _GenerationState()
    if prompt.think and not prompt.model.can_think:
        state.warnings.append(f"{prompt.model.name} cannot reason; it answered directly.")
    chat: Chat | None = build_request(prompt)
    while chat is not None:
        async with EngineStream(ollama, chat, prompt.stall_s, deadline) as stream:
            await _run_request(stream, chat, prompt, state, emit)
        _observe_format(chat, prompt, state)
        chat = _next_request(prompt, state)
    if state.reasoning_pieces and not state.answer_tokens:
        raise EngineError(
            f"{prompt.model.name} reasoned but did not answer. Raise max_tokens, or retry."
        )
    if state.reasoning_pieces and not prompt.think:
        state.warnings.append(
            f"{prompt.model.name} reasoned although reasoning was off; the reasoning was removed."
        )
    return state.to_end()


def _observe_format(chat: Chat, prompt: Prompt, state: _GenerationState) -> None:
    """Record whether the engine enforced the format from the first token."""
    if chat.format is None or chat.think is not False:
        return
    text = "".join(state.answer_pieces).lstrip()
    whole = state.finish_reason == "stop"
    valid = _is_json(text) if whole else text[:1] in tuple('{["-0123456789tfn')
    prompt.model.observed.enforces_format_at_start &= valid


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except ValueError:
        return False
    return True


def _resume_after_abort(prompt: Prompt, state: _GenerationState, abort: Problem) -> Chat | None:
    """The next request after the daemon's guard stopped an answer at a run of one token, such as
    dot leaders or the rules of a form. In a new request the guard counts from zero.

    Raises:
        Problem: the model cannot continue an answer.
    """
    state.abort_reason = None
    if not prompt.model.continues_last_turn:
        raise abort
    if state.resumes < MAX_RESUMES and (state.varied or not state.resumes):
        state.resumes += 1
        if state.resumes == 1:
            state.warnings.append(
                "The engine stopped at a repeated character; the answer was continued there."
            )
        return build_request(prompt, "".join(state.reasoning_pieces), "".join(state.answer_pieces))
    state.warnings.append("The answer repeated one character without end and was stopped there.")
    return None


def _next_request(prompt: Prompt, state: _GenerationState) -> Chat | None:
    """The request to make after a completed one, or None.

    It is made once for the answer if there was only reasoning (over its budget, or up to the last
    token), once to continue after a loop, and up to `MAX_RESUMES` times after the daemon's guard
    stopped the answer.

    Raises:
        Problem: the guard stopped the answer and the model cannot continue it.
    """
    if state.abort_reason and state.answer_tokens:
        return _resume_after_abort(prompt, state, state.abort_reason)
    state.abort_reason = None
    if not state.answer_tokens and not state.answer_forced:
        state.answer_forced = True
        if state.reasoning_pieces or state.stopped_for_format:
            return build_request(prompt, "".join(state.reasoning_pieces))
        # Models sometimes return an empty answer (ollama issue 16216).
        return build_request(prompt, raise_temperature=True)
    if state.loops == 1 and not state.continued:
        state.continued = True
        if prompt.model.continues_last_turn and prompt.format is None:
            state.warnings.append("A repeated part was removed and the answer continued.")
            return build_request(
                prompt,
                "".join(state.reasoning_pieces),
                "".join(state.answer_pieces),
                raise_temperature=True,
            )
    if state.loops:
        state.warnings.append("A repeated part was removed and the answer ends there.")
    return None


async def _run_request(
    stream: EngineStream,
    chat: Chat,
    prompt: Prompt,
    state: _GenerationState,
    emit: Emit[GenerationEvent],
) -> None:
    """Run one request to the engine. It ends early if the reasoning or the answer exceeds its token
    limit, or if the answer repeats itself."""
    reader = _ChunkReader(
        chat,
        prompt,
        state,
        state.answer_forced and bool(state.reasoning_pieces or state.stopped_for_format),
    )
    detector = RepetitionDetector()
    unyielded = 0
    while chunks := await _read_chunks(stream, reader):
        thought, text = reader.read(chunks)
        if thought and prompt.think:
            await emit(Thinking(thought))
        for piece in (text,) if len(text) <= SLICE_CHARACTERS else _slices(text):
            if piece:
                await emit(Text(piece))
            unyielded += len(piece)
            if unyielded >= SLICE_CHARACTERS:
                # Data that has already arrived is read without yielding to other requests.
                unyielded = 0
                await asyncio.sleep(0)
        if text and (surplus := detector.feed(text)):
            state.retract(surplus)
            await emit(Retract(surplus))
            break
        if reader.last:
            _check_truncation(reader.last, prompt)
            state.add_counts(reader.last)
            return
        if reader.stopped:
            break
    state.varied = reader.repeats < len(reader.tokens)
    # The engine did not report its counts: each piece counts as one token.
    state.completion += len(reader.tokens)
    state.finish_reason = "length"


def _slices(text: str) -> Iterator[str]:
    return (
        text[start : start + SLICE_CHARACTERS] for start in range(0, len(text), SLICE_CHARACTERS)
    )


async def _read_chunks(stream: EngineStream, reader: "_ChunkReader") -> Sequence[Chunk]:
    """The next chunks; empty if the daemon's repetition guard ended the answer."""
    try:
        return await stream.read()
    except TokenRepeatLimit as problem:
        reader.state.abort_reason = problem
    except StreamTruncated as problem:
        if reader.repeats < ABORT_REPEATS:
            raise
        reader.state.abort_reason = problem
    return ()


@dataclass(slots=True)
class _ChunkReader:
    """Sorts the chunks of one request into thoughts and answer, and counts them.

    `last`: the chunk with `done`. `stopped`: the request must end early.
    """

    chat: Chat
    prompt: Prompt
    state: _GenerationState
    answer_only: bool  # the request is for the answer alone
    stopped: bool = False
    last: Chunk | None = None
    tokens: list[str] = field(default_factory=list)  # thoughts and answer

    def read(self, chunks: Sequence[Chunk]) -> tuple[str, str]:
        """Add chunks. Returns their thoughts and their part of the answer."""
        state, prompt = self.state, self.prompt
        reasoning_first = self.chat.format is None and prompt.format is not None
        answered = state.answer_tokens  # a token is read in 0.3 us
        thoughts: list[str] = []
        texts: list[str] = []
        for chunk in chunks:
            if (thought := chunk.message.thinking) and not self.answer_only:
                if state.reasoning == prompt.max_reasoning_tokens:
                    self.stopped = True
                    break
                state.reasoning += 1
                thoughts.append(thought)
            # Models start with spaces, or with the newline that the template trimmed.
            text = chunk.message.content
            if text := text if answered else text.lstrip():
                if reasoning_first:
                    state.stopped_for_format = self.stopped = True  # the answer starts
                    break
                if answered == prompt.max_tokens:
                    self.stopped = True
                    break
                answered += 1
                texts.append(text)
            if chunk.done:
                self.last = chunk
        state.answer_tokens = answered
        self.tokens += thoughts
        self.tokens += texts
        thought = self._bounded("".join(thoughts), state.reasoning_characters)
        text = self._bounded("".join(texts), state.answer_characters)
        state.reasoning_characters += len(thought)
        state.answer_characters += len(text)
        if self.prompt.escaped:
            thought, text = escaping.unescape(thought), escaping.unescape(text)
        if thought:
            state.reasoning_pieces.append(thought)
        if text:
            state.answer_pieces.append(text)
        return thought, text

    def _bounded(self, text: str, before: int) -> str:
        """The part of `text` within `MAX_CHARACTERS`, of which `before` are used. More ends the
        request."""
        if len(text) <= MAX_CHARACTERS - before:
            return text
        self.stopped, self.last = True, None
        return text[: MAX_CHARACTERS - before]

    @property
    def repeats(self) -> int:
        """The number of equal tokens at the end, without surrounding white space."""
        last = self.tokens[-1].strip() if self.tokens else ""
        return sum(1 for _ in takewhile(lambda one: one.strip() == last, reversed(self.tokens)))


def _check_truncation(last: Chunk, prompt: Prompt) -> None:
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
