"""Who is let in."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.client.client import Client
from tests.inference_server import Server
from tests.polling import wait_until
from tests.test_server import start

KEYS = {"one-secret", "another"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("auth") / "log"
    with Server(log, OLLAMA_HOST="127.0.0.1:9", API_KEYS=" one-secret , another,") as server:
        yield server


def get(server: Server, path: str = "/v1/status", **headers: str) -> httpx.Response:
    return httpx.get(f"{server.url}{path}", headers=headers, trust_env=False)


@pytest.mark.parametrize("key", sorted(KEYS))
def test_a_key_lets_in(server: Server, key: str) -> None:
    assert get(server, Authorization=f"Bearer {key}").status_code == 200
    assert get(server, Authorization=f"bearer  {key}").status_code == 200
    assert get(server, **{"X-API-Key": key}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer one-secret2"},
        {"Authorization": "Bearer one-secret,another"},
        {"Authorization": "Basic one-secret"},
        {"X-API-Key": ""},
    ],
)
@pytest.mark.parametrize("path", ["/v1/status", "/v1/ocr", "/nowhere"])
def test_without_one_nothing(server: Server, headers: dict[str, str], path: str) -> None:
    response = get(server, path, **headers)
    assert response.status_code == 401
    assert response.json()["code"] == "unauthorized"
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.headers["x-request-id"] == response.json()["request_id"]


@pytest.mark.parametrize("path", ["/health", "/docs", "/openapi.json"])
def test_what_is_open(server: Server, path: str) -> None:
    assert get(server, path).status_code == 200


def test_metrics_are_open_only_where_that_is_said(server: Server, tmp_path: Path) -> None:
    assert get(server, "/metrics").status_code == 401
    settings = {"API_KEY": "one-secret", "ALLOW_ANONYMOUS_METRICS": "true"}
    with Server(tmp_path / "log", OLLAMA_HOST="127.0.0.1:9", **settings) as other:
        assert "vlm_queue_depth" in get(other, "/metrics").text
        assert get(other).status_code == 401


def test_the_log_has_a_hash_and_no_key(server: Server) -> None:
    get(server, Authorization="Bearer one-secret")
    wait_until(lambda: "client=" in server.log())  # written when the answer is already here
    assert not [key for key in KEYS if key in server.log()]


def test_no_public_address_without_a_key(tmp_path: Path) -> None:
    ended = start(HOST="0.0.0.0", PORT="0")
    assert ended.returncode == 1
    assert ended.stderr.startswith("HOST=0.0.0.0 is reachable from other machines and no API key")
    assert ended.stderr.count("\n") == 1


NON_ASCII = "schlüssel-열쇠"


@pytest.mark.parametrize("field", ["X-API-Key: ", "Authorization: Bearer "])
@pytest.mark.parametrize(
    ("key", "sent"),
    [(NON_ASCII, NON_ASCII.encode()), ("clé", "clé".encode()), ("clé", "clé".encode("latin-1"))],
    ids=["UTF-8", "UTF-8 of Latin-1", "Latin-1"],
)
def test_a_key_that_is_not_ascii(tmp_path: Path, field: str, key: str, sent: bytes) -> None:
    """Header fields are bytes: most clients send UTF-8, some Latin-1 where it has the letters."""
    with Server(tmp_path / "log", OLLAMA_HOST="127.0.0.1:9", API_KEYS=key) as other:
        for value, status in ((sent, 200), (sent + b"x", 401), (sent[:-1], 401)):
            raw = [(b"Host", b"x")]
            name, _, scheme = field.partition(": ")
            raw.append((name.encode(), scheme.encode() + value))
            response = httpx.get(f"{other.url}/v1/status", headers=raw, trust_env=False)
            assert response.status_code == status, value


async def test_our_client_sends_such_a_key(tmp_path: Path) -> None:
    with Server(tmp_path / "log", OLLAMA_HOST="127.0.0.1:9", API_KEYS=NON_ASCII) as other:
        async with Client(other.url, NON_ASCII) as client:
            assert (await client._http.get("/v1/status")).status_code == 200
