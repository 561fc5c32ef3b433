"""`/api/chat`: what is sent, and the lines that come back.

Facts marked (findings) were seen on a real daemon: an accepted chat is 200 whatever happens next,
an error is then one line of the stream, and a stream may end with neither an error nor `done`.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self, cast

import httpx
import msgspec
import orjson

from app.engine.faults import BROKE, message_of, problem_of
from app.errors import EngineError, EngineInterrupted, Problem, Unfinished

MOST_LINE = 8_000_000  # bytes; of a token it is some 150
MOST_ERROR = 2000  # characters of an error that are told
END_S = 0.1  # how long the end of a response may take after its last line


class _Message(msgspec.Struct):
    content: str = ""
    thinking: str = ""


class Chunk(msgspec.Struct):
    """One line of a chat stream; durations in nanoseconds, absent where 0."""

    message: _Message = msgspec.field(default_factory=_Message)
    done: bool = False
    done_reason: str = ""
    error: Any = ""  # a sentence, or the JSON of the engine behind the daemon
    load_duration: int = 0
    prompt_eval_count: int = 0
    prompt_eval_duration: int = 0
    eval_count: int = 0
    eval_duration: int = 0


@dataclass(frozen=True, slots=True)
class Chat:
    """One request to `/api/chat`. Images inside `messages` are bare base64, as bytes."""

    model: str
    messages: tuple[Mapping[str, Any], ...]
    options: Mapping[str, Any]
    keep_alive: int | str
    think: bool | None = None
    format: Mapping[str, Any] | str | None = None
    shift: bool | None = False

    def body(self) -> bytes:
        """Always streamed, so that closing the connection cancels in every mode.

        `truncate` and `shift` make newer daemons refuse what older ones cut in silence; from 0.30
        on `shift` is left out, as other clients do (`app.models.daemon`).
        """
        body = {
            "model": self.model,
            "messages": self.messages,
            "options": self.options,
            "keep_alive": self.keep_alive,
            "stream": True,
            "truncate": False,
        }
        if self.shift is not None:
            body["shift"] = self.shift
        if self.think is not None:
            body["think"] = self.think
        if self.format is not None:
            body["format"] = self.format
        return orjson.dumps(body, _base64)


def _base64(data: object) -> orjson.Fragment:
    """As it is: in a string orjson looks for what to escape, and makes room for the worst of it,
    which cost 17 page faults a picture."""
    if not isinstance(data, bytes):
        raise TypeError
    return orjson.Fragment(b'"%b"' % data)


_decoder = msgspec.json.Decoder(Chunk)


def _chunks(lines: bytes, model: str) -> tuple[list[Chunk], Problem | None]:
    """What the lines say, up to the one that tells an error or is none of Ollama's."""
    try:
        chunks = _decoder.decode_lines(lines)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        pass
    else:
        if not any([chunk.error for chunk in chunks]):  # noqa: C419  half the time of a generator
            return chunks, None
    chunks = []
    for line in lines.split(b"\n"):
        if not line:
            continue
        try:
            chunk = _decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return chunks, EngineError("The engine sent a line that is not Ollama's.")
        if chunk.error:
            return chunks, problem_of(message_of(chunk.error)[:MOST_ERROR], 500, model)
        chunks.append(chunk)
    return chunks, None


class Lines:
    """The lines of one response as they come, those together that came together; the last has
    `done`. Closing it before that closes the connection, which cancels the generation."""

    def __init__(self, response: httpx.Response, model: str) -> None:
        self._response = response
        self._received = aiter(cast(httpx.AsyncByteStream, response.stream))
        self._model = model
        self._rest: list[bytes] = []  # the beginning of a line
        self._length = 0  # of that
        self._over = False
        self._problem: Problem | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[Chunk]:
        """Raises:
        Unfinished: the stream ended without `done`.
        EngineInterrupted: the connection broke.
        Problem: as `problem_of` reads the engine's error.
        """
        chunks: list[Chunk] = []
        while not chunks:
            if self._problem:
                raise self._problem
            if self._over:
                raise StopAsyncIteration
            try:
                chunks = await self._next()
            except httpx.TransportError as error:
                raise EngineInterrupted(BROKE, partial="") from error
        return chunks

    async def _next(self) -> list[Chunk]:
        data = await anext(self._received, b"")
        chunks, self._problem = _chunks(self._whole(data), self._model)
        self._over = bool(chunks) and chunks[-1].done
        if self._over:
            await self._finish()
        elif not data and not self._problem:
            told = "The engine's answer ended before it was done."
            self._problem = Unfinished(told, partial="")
        return chunks

    def _whole(self, data: bytes) -> bytes:
        """The lines that end with this piece. What is left at the end is a line, too."""
        lines, newline, rest = data.rpartition(b"\n")
        if self._rest and (newline or not data):
            lines = b"".join([*self._rest, lines])
            self._rest, self._length = [], 0
        if rest:
            self._rest.append(rest)
            self._length += len(rest)
            if self._length > MOST_LINE:
                return lines + b"\ntoo long"
        return lines

    async def _finish(self) -> None:
        """Read to the end: a connection that is left a moment before it is closed, not kept, and a
        runner of Ollama 0.9.3 was seen to hang for good over that."""
        with suppress(TimeoutError):
            async with asyncio.timeout(END_S):
                async for _ in self._received:
                    pass

    async def aclose(self) -> None:
        await self._response.aclose()
