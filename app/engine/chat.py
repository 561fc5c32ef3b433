"""`/api/chat`: the request, and the lines of the response.

A daemon answers an accepted chat with status 200, whatever happens next. A later error is one line
of the stream, and a stream may end with neither an error nor `done` (docs/OLLAMA_FACTS.md).
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self, cast

import httpx
import msgspec
import orjson

from app.engine.error_mapping import CONNECTION_LOST, error_message, map_error
from app.errors import EngineError, EngineInterrupted, Problem, StreamTruncated

MAX_LINE_BYTES = 8_000_000  # bytes; a token takes about 150
MAX_ERROR_CHARACTERS = 2000  # characters quoted of an error
END_TIMEOUT_S = 0.1  # time limit for the end of a response after its last line


class _Message(msgspec.Struct):
    content: str = ""
    thinking: str = ""


class Chunk(msgspec.Struct):
    """One line of a chat stream. Durations are nanoseconds; the daemon omits those that are 0."""

    message: _Message = msgspec.field(default_factory=_Message)
    done: bool = False
    done_reason: str = ""
    error: Any = ""  # a sentence, or the JSON error of llama-server
    load_duration: int = 0
    prompt_eval_count: int = 0
    prompt_eval_duration: int = 0
    eval_count: int = 0
    eval_duration: int = 0


@dataclass(frozen=True, slots=True)
class Chat:
    """One request to the engine's `/api/chat`. (A client's chat is `app.schemas.ChatRequest`.)

    Images in `messages` are base64 bytes without a prefix.
    """

    model: str
    messages: tuple[Mapping[str, Any], ...]
    options: Mapping[str, Any]
    keep_alive: int | str
    think: bool | None = None
    format: Mapping[str, Any] | str | None = None
    shift: bool | None = False

    def to_json(self) -> bytes:
        """The request body as JSON.

        It always streams, so that closing the connection cancels the generation. With `truncate`
        and `shift` false newer daemons refuse a prompt that older ones truncate silently. From
        0.30 on `shift` is omitted, as other clients do (`app.models.daemon`).
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
        return orjson.dumps(body, _base64_fragment)


def _base64_fragment(data: object) -> orjson.Fragment:
    """Embed base64 without escaping. For a string orjson searches for characters to escape and
    reserves memory for the worst case, which cost 17 page faults for each image."""
    if not isinstance(data, bytes):
        raise TypeError
    return orjson.Fragment(b'"%b"' % data)


_decoder = msgspec.json.Decoder(Chunk)


def _decode_chunks(lines: bytes, model: str) -> tuple[list[Chunk], Problem | None]:
    """The parsed lines up to the first error or invalid line, and that problem."""
    try:
        chunks = _decoder.decode_lines(lines)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        pass
    else:
        if not any([chunk.error for chunk in chunks]):  # noqa: C419  twice as fast as a generator
            return chunks, None
    chunks = []
    for line in lines.split(b"\n"):
        if not line:
            continue
        try:
            chunk = _decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return chunks, EngineError("The engine sent a line that is not valid Ollama output.")
        if chunk.error:
            return chunks, map_error(error_message(chunk.error)[:MAX_ERROR_CHARACTERS], 500, model)
        chunks.append(chunk)
    return chunks, None


class ChunkStream:
    """Iterates over the lines of one response, in lists of those that arrived together.

    The last line has `done`. Closing the iterator earlier closes the connection, which cancels the
    generation.
    """

    def __init__(self, response: httpx.Response, model: str) -> None:
        self._response = response
        self._received = aiter(cast(httpx.AsyncByteStream, response.stream))
        self._model = model
        self._partial_line: list[bytes] = []  # the start of an incomplete line
        self._partial_length = 0  # bytes in `_partial_line`
        self._done = False
        self._problem: Problem | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[Chunk]:
        """Raises:
        StreamTruncated: the stream ended without `done`.
        EngineInterrupted: the connection was lost.
        Problem: the engine reported an error, mapped by `map_error`.
        """
        chunks: list[Chunk] = []
        while not chunks:
            if self._problem:
                raise self._problem
            if self._done:
                raise StopAsyncIteration
            try:
                chunks = await self._read_chunks()
            except httpx.TransportError as error:
                raise EngineInterrupted(CONNECTION_LOST, partial="") from error
        return chunks

    async def _read_chunks(self) -> list[Chunk]:
        data = await anext(self._received, b"")
        chunks, self._problem = _decode_chunks(self._complete_lines(data), self._model)
        self._done = bool(chunks) and chunks[-1].done
        if self._done:
            await self._read_to_end()
        elif not data and not self._problem:
            detail = "The engine's stream ended before the answer was complete."
            self._problem = StreamTruncated(detail, partial="")
        return chunks

    def _complete_lines(self, data: bytes) -> bytes:
        """The lines completed by this piece. The rest at the end of the stream counts as a line."""
        lines, newline, rest = data.rpartition(b"\n")
        if self._partial_line and (newline or not data):
            lines = b"".join([*self._partial_line, lines])
            self._partial_line, self._partial_length = [], 0
        if rest:
            self._partial_line.append(rest)
            self._partial_length += len(rest)
            if self._partial_length > MAX_LINE_BYTES:
                return lines + b"\ntoo long"
        return lines

    async def _read_to_end(self) -> None:
        """Read the response to its end. A connection that is released before the end is closed
        instead of reused, and a runner of Ollama 0.9.3 was seen to hang forever after that."""
        with suppress(TimeoutError):
            async with asyncio.timeout(END_TIMEOUT_S):
                async for _ in self._received:
                    pass

    async def aclose(self) -> None:
        await self._response.aclose()
