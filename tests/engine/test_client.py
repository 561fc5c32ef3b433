"""Failures that the real daemon cannot reproduce (for the others see tests/integration)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import httpx
import pytest
import respx

from app.engine.chat import Chat, Chunk
from app.engine.client import OllamaClient
from app.engine.error_mapping import error_message, map_error
from app.errors import (
    ContextOverflow,
    EngineError,
    EngineInterrupted,
    EngineUnavailable,
    GrammarUnsupported,
    ModelLoadingFailed,
    ModelNotFound,
    Problem,
    StreamTruncated,
    TokenRepeatLimit,
)

URL = "http://engine.test:11434"
CHAT = Chat("m", ({"role": "user", "content": "hi"},), {"num_ctx": 4096}, -1)


@pytest.fixture
async def ollama() -> AsyncIterator[OllamaClient]:
    ollama = OllamaClient(URL, httpx.AsyncHTTPTransport())  # mocked by respx
    yield ollama
    await ollama.aclose()


async def chunks(ollama: OllamaClient) -> list[Chunk]:
    async with aclosing(await ollama.chat(CHAT)) as lines:
        return [chunk async for together in lines for chunk in together]


@respx.mock(base_url=URL)
async def test_the_request_is_streamed_and_never_cut(
    respx_mock: respx.MockRouter, ollama: OllamaClient
) -> None:
    route = respx_mock.post("/api/chat").respond(content=b'{"done":true,"eval_count":2}\n')
    assert (await chunks(ollama))[0].eval_count == 2
    body = httpx.Response(200, content=route.calls[0].request.content).json()
    assert body == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "options": {"num_ctx": 4096},
        "keep_alive": -1,
        "stream": True,
        "truncate": False,
        "shift": False,
    }


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", StreamTruncated),
        (b'{"message":{"content":"a"},"done":false}\n', StreamTruncated),
        (b"<html>gateway</html>\n", EngineError),
        (b'{"message":{"content":5}}\n', EngineError),
        (b'{"message":{"content":"a"}}\n{"message":{"con', EngineError),
        (b'{"error":"model requires more system memory (20 GiB) than is available"}\n',
         ModelLoadingFailed),
        (b'{"error":"llama runner process has terminated: exit status 2"}\n', ModelLoadingFailed),
        (b'{"error":"request (9000 tokens) exceeds the available context size (8192 tokens)"}\n',
         ContextOverflow),
        (b'{"error":"an error was encountered while running the model: unexpected EOF"}\n',
         EngineInterrupted),
        (b'{"error":"something new"}\n', EngineError),
        (b'{"error":"prediction aborted, token repeat limit reached"}\n', TokenRepeatLimit),
        (b'{"error":"llama-server process has terminated: signal: killed"}\n', ModelLoadingFailed),
        (b'{"error":"timed out waiting for llama-server to start"}\n', ModelLoadingFailed),
        (b'{"error":"error starting llama-server: no such file"}\n', ModelLoadingFailed),
        (b'{"error":"out-of-memory during startup"}\n', ModelLoadingFailed),
        (b'{"error":{"error":{"code":400,"message":"request (9000 tokens) exceeds the available '
         b'context size (8192 tokens), try increasing it"}}}\n', ContextOverflow),
        (b'{"error":"the input length exceeds the context length"}\n', ContextOverflow),
        (b'{"error":{"code":400,"message":"JSON schema conversion failed:\\nPattern must start '
         b'with \'^\'"}}\n', GrammarUnsupported),
    ],
)  # fmt: skip
@respx.mock(base_url=URL)
async def test_streams_that_fail(
    respx_mock: respx.MockRouter, ollama: OllamaClient, body: bytes, problem: type[Problem]
) -> None:
    respx_mock.post("/api/chat").respond(content=body)
    with pytest.raises(problem) as raised:
        await chunks(ollama)
    assert type(raised.value) is problem


@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        (404, b'{"error":"model \\"m\\" not found, try pulling it first"}', ModelNotFound),
        (503, b'{"error":"server busy, please try again.  maximum pending requests exceeded"}',
         EngineUnavailable),
        (500, b'{"error":"timed out waiting for llama runner to start"}', ModelLoadingFailed),
        (500, b"", EngineError),
        (403, b"", EngineError),
        (502, b"<html>bad gateway</html>", EngineError),
    ],
)  # fmt: skip
@respx.mock(base_url=URL)
async def test_statuses(
    respx_mock: respx.MockRouter,
    ollama: OllamaClient,
    status: int,
    body: bytes,
    problem: type[Problem],
) -> None:
    respx_mock.post("/api/chat").respond(status, content=body)
    with pytest.raises(problem) as raised:
        await chunks(ollama)
    assert type(raised.value) is problem
    assert "\n" not in raised.value.detail


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (httpx.ConnectError, EngineUnavailable),
        (httpx.ConnectTimeout, EngineUnavailable),
        (httpx.ReadError, EngineInterrupted),
        (httpx.RemoteProtocolError, EngineInterrupted),
        (httpx.WriteError, EngineInterrupted),
        (httpx.ReadTimeout, EngineUnavailable),
    ],
)
@respx.mock(base_url=URL)
async def test_networks(
    respx_mock: respx.MockRouter,
    ollama: OllamaClient,
    fault: type[httpx.TransportError],
    problem: type[Problem],
) -> None:
    respx_mock.post("/api/chat").mock(side_effect=fault("x"))
    with pytest.raises(problem) as raised:
        await chunks(ollama)
    assert type(raised.value) is problem


@respx.mock(base_url=URL)
async def test_not_ollama(respx_mock: respx.MockRouter, ollama: OllamaClient) -> None:
    respx_mock.get("/api/tags").respond(content=b"<html>hello</html>")
    with pytest.raises(EngineError, match="does not speak Ollama's API"):
        await ollama.tags()


async def test_lines_split_anywhere_are_put_together() -> None:
    line = '{"message":{"content":"한글 ✓"}}\n{"done":true,"done_reason":"stop"}\n'.encode()

    class Pieces(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for at in range(len(line)):
                await asyncio.sleep(0)
                yield line[at : at + 1]

    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=Pieces())

    ollama = OllamaClient(URL, transport=httpx.MockTransport(answer))
    first, last = await chunks(ollama)
    assert first.message.content == "한글 ✓"
    assert last.done
    await ollama.aclose()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("model 'm' not found", "model 'm' not found"),
        ({"error": {"code": 500, "message": "boom", "type": "server_error"}}, "boom"),
        ({"message": "boom"}, "boom"),
        ('llama-server returned 400: {"error":{"code":400,"message":"boom"}}',
         "llama-server returned 400: boom"),
        ("a { that is no JSON", "a { that is no JSON"),
        ({"code": 7}, '{"code": 7}'),
        (None, ""),
    ],
)  # fmt: skip
def test_the_sentence_in_an_error(error: object, told: str) -> None:
    assert error_message(error) == told


def test_what_the_engine_counted_of_a_prompt_that_does_not_fit() -> None:
    problem = map_error("request (9000 tokens) exceeds the available context size", 400, "m")
    assert problem.extra["engine_tokens"] == 9000
