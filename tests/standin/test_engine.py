"""The stand-in does what it is told, as far as a client can see."""

from collections.abc import Iterator

import httpx
import pytest

from app.engine.chat import Chat
from app.engine.ollama import Ollama
from app.errors import EngineError, EngineInterrupted, EngineUnavailable, ModelNotFound
from tests.polling import wait_until, wait_until_async
from tests.standin.engine import SENTENCE, StandIn
from tests.standin.script import HANG, Cut, Send, Wait, begins, line, refuses, says


@pytest.fixture
def standin() -> Iterator[StandIn]:
    with StandIn() as standin:
        yield standin


async def ask(standin: StandIn, model: str = "standin") -> str:
    """The text of one chat, by the server's own client."""
    ollama = Ollama(standin.url)
    try:
        chat = Chat(model, ({"role": "user", "content": "?"},), {}, -1)
        together = [chunk async for chunks in await ollama.chat(chat) for chunk in chunks]
        return "".join(chunk.message.content for chunk in together)
    finally:
        await ollama.aclose()


async def test_it_answers_as_a_healthy_engine(standin: StandIn) -> None:
    ollama = Ollama(standin.url)
    assert await ollama.version() == "0.9.3"
    assert "standin:latest" in {tag["name"] for tag in await ollama.tags()}
    assert (await ollama.ps())[0]["size_vram"] > 0
    assert "thinking" in (await ollama.show("standin-think"))["capabilities"]
    with pytest.raises(ModelNotFound):
        await ollama.show("nope")
    await ollama.aclose()
    assert await ask(standin) == SENTENCE
    assert standin.asked[-1]["stream"] is True


@pytest.mark.parametrize("text", ["", "one", " two  words\n", '{"a": [1, 2]}\n\n', "합계 25,440원"])
async def test_it_answers_exactly_the_text(standin: StandIn, text: str) -> None:
    standin.play(says(text))
    assert await ask(standin) == text


async def test_scripts_are_played_in_turn_and_the_last_one_stays(standin: StandIn) -> None:
    standin.play(refuses(500, "unexpected EOF"), says("a"), says("b"))
    with pytest.raises(EngineError, match="unexpected EOF"):
        await ask(standin)
    assert [await ask(standin) for _ in range(3)] == ["a", "b", "b"]
    standin.reset()
    assert await ask(standin) == SENTENCE
    assert standin.counts.chats == 5
    # It learns a moment later that the answer was read.
    await wait_until_async(lambda: standin.counts.running == 0)
    assert standin.counts.cancelled == 0


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
async def test_it_fails_as_told(standin: StandIn, script: tuple[Send], problem: type) -> None:
    standin.play(script)
    with pytest.raises(problem):
        await ask(standin)


def test_a_client_who_leaves_is_counted(standin: StandIn) -> None:
    standin.play(HANG, begins("one", Wait()))
    for _ in range(2):
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{standin.url}/api/chat", json={"model": "standin"}, timeout=0.2)
    wait_until(lambda: (standin.counts.cancelled, standin.counts.running) == (2, 0))


async def test_a_stopped_one_refuses_and_comes_back(standin: StandIn) -> None:
    standin.stop()
    with pytest.raises(EngineUnavailable):
        await ask(standin)
    standin.start()
    assert await ask(standin) == SENTENCE
