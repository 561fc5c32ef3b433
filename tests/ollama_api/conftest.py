"""Two servers that speak Ollama's API, and one set of questions to both."""

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from PIL import Image, ImageDraw

from tests.ollama_daemon.process import Daemon


@dataclass(frozen=True)
class Server:
    """A server and its model that sees. `long` is a request whose answer takes seconds."""

    name: str
    client: httpx.Client
    model: str
    slow_model: str
    long_picture: str


@pytest.fixture(params=["daemon", "embedded"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Each test runs twice: against the real daemon and against the embedded engine."""
    if request.param == "daemon":
        daemon: Daemon = request.getfixturevalue("daemon")
        url, model, slow = daemon.url, "tiny-vlm", "slow-vlm"
    else:
        url, model, slow = request.getfixturevalue("embedded"), "embedded", "embedded"
    with httpx.Client(base_url=url, trust_env=False, timeout=120) as client:
        yield Server(request.param, client, model, slow, page())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The fixture is asked for by name only, so that pytest does not see it in half the tests."""
    here = Path(__file__).parent
    for item in items:
        call = getattr(item, "callspec", None)
        if here in item.path.parents and call and call.params.get("server") == "daemon":
            item.add_marker("daemon")


def picture(image_format: str = "PNG", side: int = 224) -> str:
    """A picture without text, base64."""
    data = io.BytesIO()
    Image.radial_gradient("L").resize((side, side)).convert("RGB").save(data, image_format)
    return base64.b64encode(data.getvalue()).decode()


def page() -> str:
    """A page of text that takes the embedded engine seconds to read, base64."""
    image = Image.new("RGB", (1600, 1600), "white")
    draw = ImageDraw.Draw(image)
    for row in range(60):
        draw.text((20, 20 + 26 * row), f"{row:02} the quick brown fox " * 8, fill="black")
    data = io.BytesIO()
    image.save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode()
