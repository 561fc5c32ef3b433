"""Only one request at a time probes a dead engine."""

import asyncio
import time

import httpx
import pytest

from app.engine import breaker as module
from app.engine import stream as streaming
from app.engine.breaker import CircuitBreaker
from app.engine.client import OllamaClient
from app.engine.generate import generate
from app.errors import DeadlineExceeded, EngineInterrupted, EngineUnavailable, ModelLoadingFailed
from tests.engine.test_generate import PLAIN, lines, prompt
from tests.events import Heard
from tests.polling import wait_until_async


def test_opens_lets_a_probe_through_and_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    breaker = CircuitBreaker()
    for _ in range(module.FAILURE_THRESHOLD):
        breaker.before_request()
        breaker.record_failure("Nobody there.")
    with pytest.raises(EngineUnavailable, match=r"Nobody there\. 3 attempts failed"):
        breaker.before_request()
    now += module.PROBE_INTERVAL_S
    breaker.check()  # a check uses up no probe
    breaker.before_request()
    with pytest.raises(EngineUnavailable):
        breaker.before_request()
    breaker.record_success()
    breaker.before_request()
    breaker.before_request()


class Failing:
    """An engine that fails with each of `failures` in turn and then answers."""

    def __init__(self, *failures: Exception | httpx.Response) -> None:
        self.failures = list(failures)
        self.asked = 0
        self.ollama = OllamaClient(
            "http://engine.test", transport=httpx.MockTransport(self._answer)
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        if not self.failures:
            return httpx.Response(200, content=lines(content="a cat"))
        failure = self.failures.pop(0)
        if isinstance(failure, Exception):
            raise failure
        return failure

    async def ask(self, seconds: float = 60) -> list[object]:
        deadline = asyncio.get_running_loop().time() + seconds
        heard: Heard[object] = Heard()
        ended = await generate(self.ollama, prompt(PLAIN), deadline, heard.say)
        return [*heard, ended]


REFUSED = httpx.ConnectError("refused")
HUNG_UP = httpx.RemoteProtocolError("hung up")
BUSY = httpx.Response(503, json={"error": "server busy"})
BROKE_OFF = b'{"error": "an error was encountered while running the model: EOF"}\n'


@pytest.mark.parametrize(
    "failures",
    [
        (REFUSED,),
        (HUNG_UP,),
        (BUSY,),
        (REFUSED, HUNG_UP),
        (httpx.Response(200, content=BROKE_OFF),),
    ],
)
async def test_what_breaks_before_the_first_byte_is_tried_again(
    failures: tuple[Exception | httpx.Response, ...],
) -> None:
    engine = Failing(*failures)
    assert await engine.ask()
    assert engine.asked == len(failures) + 1


async def test_three_tries_at_most_and_then_at_once() -> None:
    engine = Failing(*[REFUSED] * 10)
    with pytest.raises(EngineUnavailable, match="ollama serve"):
        await engine.ask()
    assert engine.asked == 3
    with pytest.raises(EngineUnavailable, match="3 attempts failed"):
        await engine.ask()
    assert engine.asked == 3


async def test_what_broke_after_the_first_byte_is_not() -> None:
    said = b'{"message": {"content": "a"}}\n'
    engine = Failing(httpx.Response(200, content=said + BROKE_OFF))
    with pytest.raises(EngineInterrupted):
        await engine.ask()
    assert engine.asked == 1


async def test_a_model_that_does_not_load_is_not() -> None:
    error = {"error": "model requires more system memory (9 GiB) than is available (1 GiB)"}
    engine = Failing(httpx.Response(500, json=error))
    with pytest.raises(ModelLoadingFailed):
        await engine.ask()
    assert engine.asked == 1


@pytest.mark.parametrize("lives", [True, False])
async def test_an_engine_is_waited_for_while_it_lives(
    lives: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model may take long to load. An engine that does not return its version is dead."""
    monkeypatch.setattr(streaming, "LIVENESS_CHECK_S", 0.02)

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/chat":
            await asyncio.sleep(60)
        if not lives:
            raise httpx.ReadTimeout("silence")
        return httpx.Response(200, json={"version": "0.9.3"})

    ollama = OllamaClient("http://engine.test", transport=httpx.MockTransport(answer))
    deadline = asyncio.get_running_loop().time() + (0.3 if lives else 60)
    with pytest.raises(DeadlineExceeded if lives else EngineUnavailable):
        await generate(ollama, prompt(PLAIN), deadline, Heard[object]().say)


async def test_who_leaves_while_a_dead_engine_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The watch ends the first attempt; the client cancels the second."""
    monkeypatch.setattr(streaming, "LIVENESS_CHECK_S", 0.02)
    tries = 0

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal tries
        if request.url.path == "/api/chat":
            tries += 1
            await asyncio.sleep(60)
        if tries == 1:
            raise httpx.ReadTimeout("silence")
        return httpx.Response(200, json={"version": "0.9.3"})

    ollama = OllamaClient("http://engine.test", transport=httpx.MockTransport(answer))
    deadline = asyncio.get_running_loop().time() + 60
    asking = asyncio.create_task(generate(ollama, prompt(PLAIN), deadline, Heard[object]().say))
    await wait_until_async(lambda: tries == 2)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
