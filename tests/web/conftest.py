"""One browser, and the server on each engine, for all tests of the page."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from tests.browser import FLAGS, program
from tests.fake_ollama.server import FakeOllama
from tests.inference_server import Server
from tests.web.visit import SHOTS, Visit, visit

Open = Callable[..., Awaitable[Visit]]


@pytest.fixture
def server(on_embedded: Server) -> Server:
    """Where nothing else is said."""
    return on_embedded


@pytest.fixture(scope="package")
def _fake_ollama_process() -> Iterator[FakeOllama]:
    with FakeOllama() as fake_ollama:
        yield fake_ollama


@pytest.fixture(scope="package")
def on_fake_ollama(
    _fake_ollama_process: FakeOllama, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("page") / "log"
    with Server(log, OLLAMA_HOST=_fake_ollama_process.url, MODEL_NAME="fake-vlm") as server:
        yield server


@pytest.fixture
def fake_ollama(_fake_ollama_process: FakeOllama) -> FakeOllama:
    """The engine behind `on_fake_ollama`, healthy."""
    _fake_ollama_process.reset()
    return _fake_ollama_process


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    path = program()
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        print(f"Chromium {launched.version}; screenshots in {SHOTS}")
        yield launched
        await launched.close()


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(browser: Browser) -> AsyncIterator[Open]:
    """Opens the page of a server (see `visit`). In the end no tab has a complaint left."""
    contexts, visits = [], []

    async def open_one(server: Server, **how: object) -> Visit:
        context, made = await visit(browser, server.url, **how)  # type: ignore[arg-type]
        contexts.append(context)
        visits.append(made)
        return made

    yield open_one
    for context in contexts:
        await context.close()
    assert [one.problems for one in visits if one.problems] == []
