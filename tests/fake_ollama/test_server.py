"""The fake Ollama does what it is told, as far as a client can see."""

from collections.abc import Iterator

import httpx
import pytest

from app.engine.chat import Chat
from app.engine.client import OllamaClient
from app.errors import EngineError, EngineInterrupted, EngineUnavailable, ModelNotFound
from tests.fake_ollama.script import HANG, Cut, Send, Wait, begins, line, refuses, says
from tests.fake_ollama.server import SENTENCE, FakeOllama
from tests.polling import wait_until, wait_until_async


@pytest.fixture
def fake_ollama() -> Iterator[FakeOllama]:
    with FakeOllama() as fake_ollama:
        yield fake_ollama


async def ask(fake_ollama: FakeOllama, model: str = "fake-vlm") -> str:
    """The text of one chat, by the server's own client."""
    ollama = OllamaClient(fake_ollama.url)
    try:
        chat = Chat(model, ({"role": "user", "content": "?"},), {}, -1)
        together = [chunk async for chunks in await ollama.chat(chat) for chunk in chunks]
        return "".join(chunk.message.content for chunk in together)
    finally:
        await ollama.aclose()


async def test_it_answers_as_a_healthy_engine(fake_ollama: FakeOllama) -> None:
    ollama = OllamaClient(fake_ollama.url)
    assert await ollama.version() == "0.9.3"
    assert "fake-vlm:latest" in {tag["name"] for tag in await ollama.tags()}
    assert (await ollama.ps())[0]["size_vram"] > 0
    assert "thinking" in (await ollama.show("fake-think"))["capabilities"]
    with pytest.raises(ModelNotFound):
        await ollama.show("nope")
    await ollama.aclose()
    assert await ask(fake_ollama) == SENTENCE
    assert fake_ollama.asked[-1]["stream"] is True


@pytest.mark.parametrize("text", ["", "one", " two  words\n", '{"a": [1, 2]}\n\n', "합계 25,440원"])
async def test_it_answers_exactly_the_text(fake_ollama: FakeOllama, text: str) -> None:
    fake_ollama.play(says(text))
    assert await ask(fake_ollama) == text


async def test_scripts_are_played_in_turn_and_the_last_one_stays(fake_ollama: FakeOllama) -> None:
    fake_ollama.play(refuses(500, "unexpected EOF"), says("a"), says("b"))
    with pytest.raises(EngineError, match="unexpected EOF"):
        await ask(fake_ollama)
    assert [await ask(fake_ollama) for _ in range(3)] == ["a", "b", "b"]
    fake_ollama.reset()
    assert await ask(fake_ollama) == SENTENCE
    assert fake_ollama.counts.chats == 5
    # It learns a moment later that the answer was read.
    await wait_until_async(lambda: fake_ollama.counts.running == 0)
    assert fake_ollama.counts.cancelled == 0


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        (begins("one two", Cut.CLOSED), EngineInterrupted),
        (begins("one two", Cut.RESET), EngineInterrupted),
        ((Cut.CLOSED,), EngineInterrupted),
        (begins("one two"), EngineInterrupted),
        (begins("one two", Send(b'{"message": {"cont\n')), EngineError),
        (begins("one two", line(error="unexpected EOF")), EngineError),
    ],
    ids=["closed", "reset", "before the head", "no done", "half a line", "error"],
)
async def test_it_fails_as_told(
    fake_ollama: FakeOllama, script: tuple[Send], problem: type
) -> None:
    fake_ollama.play(script)
    with pytest.raises(problem):
        await ask(fake_ollama)


def test_a_client_who_leaves_is_counted(fake_ollama: FakeOllama) -> None:
    fake_ollama.play(HANG, begins("one", Wait()))
    for _ in range(2):
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{fake_ollama.url}/api/chat", json={"model": "fake-vlm"}, timeout=0.2)
    wait_until(lambda: (fake_ollama.counts.cancelled, fake_ollama.counts.running) == (2, 0))


async def test_a_stopped_one_refuses_and_comes_back(fake_ollama: FakeOllama) -> None:
    fake_ollama.stop()
    with pytest.raises(EngineUnavailable):
        await ask(fake_ollama)
    fake_ollama.start()
    assert await ask(fake_ollama) == SENTENCE
