"""Image URLs: which ones are fetched, and which are rejected (SSRF protection)."""

import ipaddress
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from app.errors import BodyTooLarge, ForbiddenUrl, Problem, UnreadableImage
from app.images.fetch import Fetcher, is_public

PUBLIC = "93.184.215.14"
INSIDE = [
    "0.0.0.0", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254",
    "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.168.0.1", "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "fc00::1",
    "fd00:ec2::254", "fe80::1", "ff02::1", "2001:db8::1", "2002:7f00:1::", "2002:a9fe:a9fe::",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "fec0::1",
    "::127.0.0.1", "::169.254.169.254", "::ffff:0:127.0.0.1",
]  # fmt: skip
OUTSIDE = [PUBLIC, "8.8.8.8", "2606:4700:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]


@pytest.mark.parametrize("address", INSIDE)
def test_inside(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", OUTSIDE)
def test_outside(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


class World:
    """A fake network: names with their addresses, and the responses of URLs."""

    def __init__(self, names: dict[str, list[str]], pages: dict[str, httpx.Response]) -> None:
        self.names = names
        self.pages = pages
        self.asked: list[httpx.Request] = []
        transport = httpx.MockTransport(self._answer)
        self.fetcher = Fetcher(1000, resolve=self._resolve, transport=transport)

    async def _resolve(self, host: str, port: int) -> list[str]:
        return self.names.get(host, [host])

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return self.pages[request.headers["host"] + request.url.path]


async def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    world = World(
        {"pictures.test": [PUBLIC]}, {"pictures.test:8443/a.png": httpx.Response(200, content=b"x")}
    )
    assert await world.fetcher.fetch("https://user:pw@pictures.test:8443/a.png", 0) == b"x"
    (request,) = world.asked
    assert request.url == f"https://{PUBLIC}:8443/a.png"
    assert request.headers["host"] == "pictures.test:8443"
    assert request.extensions["sni_hostname"] == "pictures.test"
    assert "authorization" not in request.headers


@pytest.mark.parametrize("address", INSIDE)
async def test_a_name_for_an_address_inside(address: str) -> None:
    world = World({"evil.test": [PUBLIC, address]}, {})
    with pytest.raises(ForbiddenUrl):
        await world.fetcher.fetch("http://evil.test/", 0)
    assert world.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://[::1]:8000/",
        "http://[::ffff:169.254.169.254]/latest/meta-data/",
        "ftp://pictures.test/a.png",
        "file:///etc/passwd",
        "gopher://pictures.test/",
        "http:///a",
    ],
)
async def test_addresses_that_are_never_asked(url: str) -> None:
    world = World({}, {})
    with pytest.raises((ForbiddenUrl, UnreadableImage)):
        await world.fetcher.fetch(url, 0)
    assert world.asked == []


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost"])
async def test_odd_spellings_of_loopback(host: str) -> None:
    """The real resolver parses these spellings, and its results are checked."""
    fetcher = Fetcher(1000)
    with pytest.raises((ForbiddenUrl, UnreadableImage)):
        await fetcher.fetch(f"http://{host}:9/", 0)
    await fetcher.aclose()


async def test_a_redirect_is_checked_anew() -> None:
    inside = httpx.Response(302, headers={"location": "http://169.254.169.254/latest/"})
    world = World({"a.test": [PUBLIC]}, {"a.test/": inside})
    with pytest.raises(ForbiddenUrl):
        await world.fetcher.fetch("http://a.test/", 0)
    assert len(world.asked) == 1


async def test_a_name_that_changes_its_address() -> None:
    """DNS rebinding: each hop is resolved once, and that address is used."""
    answers = [[PUBLIC], ["127.0.0.1"]]
    world = World({}, {"a.test/": httpx.Response(302, headers={"location": "/b"})})

    async def resolve(host: str, port: int) -> list[str]:
        return answers.pop(0)

    fetcher = Fetcher(1000, resolve=resolve, transport=httpx.MockTransport(world._answer))
    with pytest.raises(ForbiddenUrl):
        await fetcher.fetch("http://a.test/", 0)
    assert [str(request.url) for request in world.asked] == [f"http://{PUBLIC}/"]


@pytest.mark.parametrize(
    ("response", "problem"),
    [
        (httpx.Response(404), UnreadableImage),
        (httpx.Response(200, content=b"x" * 1001), BodyTooLarge),
        (httpx.Response(302, headers={"location": "/"}), UnreadableImage),
    ],
)
async def test_what_cannot_be_had(response: httpx.Response, problem: type[Problem]) -> None:
    world = World({"a.test": [PUBLIC]}, {"a.test/": response})
    with pytest.raises(problem) as raised:
        await world.fetcher.fetch("http://a.test/", 4)
    assert "image[4]" in raised.value.detail


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"picture")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def web() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}/a.png"
    server.shutdown()
    server.server_close()


async def test_over_a_real_connection(web: str) -> None:
    fetcher = Fetcher(1000, is_allowed=lambda address: address.is_loopback)
    assert await fetcher.fetch(web.replace("localhost", "127.0.0.1"), 0) == b"picture"
    await fetcher.aclose()
    refusing = Fetcher(1000)
    with pytest.raises(ForbiddenUrl):
        await refusing.fetch(web, 0)
    await refusing.aclose()
