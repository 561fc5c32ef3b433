"""The httpx client: Ollama's HTTP API, with every way it fails turned into a problem.

Facts marked (findings) were seen on a real daemon: an accepted chat is 200 whatever happens next,
an error is then one line of the stream, and a stream may end with neither an error nor `done`.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast

import httpx
import msgspec
import orjson

from app.engine.breaker import Breaker
from app.engine.transport import Transport
from app.errors import (
    ContextOverflow,
    EngineError,
    EngineInterrupted,
    EngineUnavailable,
    ModelLoadingFailed,
    ModelNotFound,
    Problem,
    Unheld,
)

# The status lines of a load or a long prompt come late: only connecting has a limit of its own
# here. The deadline of the whole request is kept by the caller.
TIMEOUT = httpx.Timeout(None, connect=5.0)
JSON = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
BROKE = "The connection to the engine broke."
PATIENT = {"timeout": TIMEOUT.as_dict()}
END_S = 0.1  # how long the end of a response may take after its last line

# What the daemon says when the model did not come up, as opposed to when a request broke it.
LOAD_FAILURES = (
    "llama runner process has terminated",
    "requires more system memory",
    "unable to load model",
    "error loading model",
    "timed out waiting for llama runner",
)
# What it says when a running generation was cut off (a killed runner, say).
INTERRUPTIONS = (
    "an error was encountered while running the model",
    "model runner has unexpectedly stopped",
)
# What it says to a `format` that it cannot make a grammar of.
UNHELD = ("invalid JSON schema in format", "failed to parse grammar", "failed to load model vocab")
# What newer daemons (0.13 on) answer to `truncate: false` when the prompt does not fit.
OVERFLOWS = (
    "exceeds the available context size",
    "input length exceeds",
    "exceeds maximum context",
)


class _Message(msgspec.Struct):
    content: str = ""
    thinking: str = ""


class Chunk(msgspec.Struct):
    """One line of a chat stream; durations in nanoseconds, absent where 0."""

    message: _Message = msgspec.field(default_factory=_Message)
    done: bool = False
    done_reason: str = ""
    error: str = ""
    load_duration: int = 0
    prompt_eval_count: int = 0
    prompt_eval_duration: int = 0
    eval_count: int = 0
    eval_duration: int = 0


@dataclass(frozen=True, slots=True)
class Chat:
    """One request to `/api/chat`. Images inside `messages` are bare base64."""

    model: str
    messages: tuple[Mapping[str, Any], ...]
    options: Mapping[str, Any]
    keep_alive: int | str
    think: bool | None = None
    format: Mapping[str, Any] | str | None = None

    def body(self) -> bytes:
        """Always streamed, so that closing the connection cancels in every mode.

        `truncate` and `shift` make newer daemons refuse what older ones cut in silence.
        """
        body = {
            "model": self.model,
            "messages": self.messages,
            "options": self.options,
            "keep_alive": self.keep_alive,
            "stream": True,
            "truncate": False,
            "shift": False,
        }
        if self.think is not None:
            body["think"] = self.think
        if self.format is not None:
            body["format"] = self.format
        return orjson.dumps(body)


def problem_of(error: str, status: int, model: str) -> Problem:
    """What a daemon's error means for the client."""
    if status == 404 or "invalid model" in error:
        return ModelNotFound(f"{error} (on the engine: `ollama pull {model}`)")
    for signs, make in _MEANINGS:
        if any(sign in error for sign in signs):
            return make(error, model)
    if status == 503:
        return EngineUnavailable(f"The engine is busy: {error}")
    return EngineError(f"The engine answered with an error: {error}")


_MEANINGS: tuple[tuple[Sequence[str], Callable[[str, str], Problem]], ...] = (
    (
        OVERFLOWS,
        lambda error, _model: ContextOverflow(
            f"The engine refused the prompt: {error}. Send fewer or smaller images, or less text."
        ),
    ),
    (
        UNHELD,
        lambda error, _model: Unheld(
            f"The engine cannot be held to this schema: {error}. Make it simpler.",
            parameter="schema",
        ),
    ),
    (
        LOAD_FAILURES,
        lambda error, model: ModelLoadingFailed(
            f"The engine could not load {model}: {error}. Look at its log, or choose a "
            "smaller model."
        ),
    ),
    (
        INTERRUPTIONS,
        lambda error, _model: EngineInterrupted(
            f"The engine broke off: {error}. Send the request again.", partial=""
        ),
    ),
)


_decoder = msgspec.json.Decoder(Chunk)


def _chunks(lines: Sequence[bytes], model: str) -> tuple[list[Chunk], Problem | None]:
    """What the lines say, up to the one that tells an error or is none of Ollama's."""
    chunks: list[Chunk] = []
    for line in filter(None, lines):
        try:
            chunk = _decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return chunks, EngineError("The engine sent a line that is not Ollama's.")
        if chunk.error:
            return chunks, problem_of(chunk.error.strip(), 500, model)
        chunks.append(chunk)
    return chunks, None


async def _finish(received: AsyncIterator[bytes]) -> None:
    """Read to the end: a connection that is left a moment before it is closed, not kept, and a
    runner of Ollama 0.9.3 was seen to hang for good over that."""
    with suppress(TimeoutError):
        async with asyncio.timeout(END_S):
            async for _ in received:
                pass


class Ollama:
    """An Ollama daemon at one address. Close it with `aclose`."""

    def __init__(self, url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.url = url
        self.breaker = Breaker()
        self._chat_url = httpx.URL(f"{url}/api/chat")  # read once
        self._transport = transport or Transport()
        self._http = httpx.AsyncClient(
            base_url=url, timeout=TIMEOUT, transport=self._transport, trust_env=False
        )

    async def aclose(self) -> None:
        await self._http.aclose()

    async def version(self) -> str:
        return str((await self._get("/api/version")).get("version", ""))

    async def tags(self) -> list[dict[str, Any]]:
        """The installed models; `name` carries its tag (`qwen3-vl:32b`, `mine:latest`)."""
        return list((await self._get("/api/tags")).get("models") or [])

    async def ps(self) -> list[dict[str, Any]]:
        """The loaded models, those still loading included (findings: no readiness check)."""
        return list((await self._get("/api/ps")).get("models") or [])

    async def show(self, model: str) -> dict[str, Any]:
        """Details of one model.

        Raises:
            ModelNotFound: it is not installed.
        """
        with self._reaching():
            response = await self._http.post("/api/show", json={"model": model}, timeout=10)
        return self._object(response, model)

    async def chat(self, chat: Chat) -> AsyncGenerator[list[Chunk], None]:
        """The lines of one generation, those together that came together; the last has `done`.

        Closing the iterator closes the connection, which cancels the generation.

        Raises:
            EngineInterrupted: the stream ended without `done`.
            Problem: as `problem_of` reads the daemon's error.
        """
        with self._reaching():
            request = httpx.Request(
                "POST", self._chat_url, headers=JSON, content=chat.body(), extensions=PATIENT
            )
            # The transport itself: what the client adds (cookies, redirects, hooks, decoding) is
            # not wanted here, and takes as long as all the rest of the request.
            response = await self._transport.handle_async_request(request)
            try:
                if response.status_code != 200:
                    await response.aread()
                    self._object(response, chat.model)
                self.breaker.answered()
                try:
                    received = aiter(cast(httpx.AsyncByteStream, response.stream))
                    data, rest = b"\n", b""
                    while data:
                        data = await anext(received, b"")
                        # What is left at the end is a line, too.
                        *lines, rest = (rest + data).split(b"\n") if data else (rest, b"")
                        chunks, problem = _chunks(lines, chat.model)
                        over = bool(chunks) and chunks[-1].done
                        if over:
                            await _finish(received)
                        if chunks:
                            yield chunks
                        if problem:
                            raise problem
                        if over:
                            return
                except httpx.TransportError as error:
                    raise EngineInterrupted(BROKE, partial="") from error
            finally:
                await response.aclose()
        raise EngineInterrupted("The engine's answer ended before it was done.", partial="")

    async def _get(self, path: str) -> dict[str, Any]:
        with self._reaching():
            response = await self._http.get(path, timeout=10)
        return self._object(response, "")

    def _object(self, response: httpx.Response, model: str) -> dict[str, Any]:
        self.breaker.answered()
        try:
            body = response.json()
        except ValueError:
            body = None
        if response.status_code != 200:
            error = body.get("error") if isinstance(body, dict) else None
            status = response.status_code
            raise problem_of(str(error or f"HTTP {status} without a reason"), status, model)
        if not isinstance(body, dict):
            raise EngineError(f"What answers at {self.url} does not speak Ollama's API.")
        return body

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Turns what the network does into problems, and tells the breaker."""
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise self._unreached(
                f"No engine answers at {self.url}. Start it (`ollama serve` or "
                "`python -m app.embedded`) or set OLLAMA_HOST."
            ) from error
        except httpx.TimeoutException as error:
            raise self._unreached(f"The engine at {self.url} did not answer in time.") from error
        except httpx.TransportError as error:
            raise EngineInterrupted(BROKE, partial="") from error

    def _unreached(self, reason: str) -> EngineUnavailable:
        self.breaker.failed(reason)
        return EngineUnavailable(reason)
