"""How often a client may ask, and which web pages may."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import app.middleware.rate_limit
from app.errors import RateLimited
from app.middleware.rate_limit import RateLimiter
from tests.inference_server import Server
from tests.test_server import start


def test_one_too_many() -> None:
    rate_limiter = RateLimiter("3/minute")
    for _ in range(3):
        rate_limiter.check("a")
    rate_limiter.check("b")
    with pytest.raises(RateLimited, match="limit of 3 per 1 minute per client") as refused:
        rate_limiter.check("a")
    assert refused.value.retry_after_s is not None
    assert 50 < refused.value.retry_after_s <= 60


def test_the_window_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    rate_limiter = RateLimiter("3/minute")
    for _ in range(3):
        rate_limiter.check("a")
        now += 10
    now = 1059.0
    with pytest.raises(RateLimited) as refused:
        rate_limiter.check("a")
    assert refused.value.retry_after_s == 1.0
    now = 1060.0
    rate_limiter.check("a")
    now = 1061.0
    with pytest.raises(RateLimited) as refused:
        rate_limiter.check("a")
    assert refused.value.retry_after_s == 9.0, "until the second one is a minute ago"


def test_who_is_silent_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.middleware.rate_limit, "MAX_CLIENTS", 10)
    rate_limiter = RateLimiter("1/minute")
    for number in range(1000):
        rate_limiter.check(f"client {number}")
    assert len(rate_limiter._request_times) == 10
    with pytest.raises(RateLimited):
        rate_limiter.check("client 999")


def test_no_rule_no_limit() -> None:
    rate_limiter = RateLimiter("")
    for _ in range(1000):
        rate_limiter.check("a")


@pytest.mark.parametrize("rule", ["often", "0/minute"])
def test_a_rule_that_cannot_be_is_one_sentence(rule: str) -> None:
    ended = start(RATE_LIMIT=rule)
    assert ended.returncode == 1
    assert ended.stderr.startswith("The setting RATE_LIMIT is invalid: ")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("rates") / "log"
    settings = {"RATE_LIMIT": "2/hour", "API_KEYS": "k1,k2", "CORS_ORIGINS": "https://a.test"}
    with Server(log, OLLAMA_HOST="127.0.0.1:9", **settings) as server:
        yield server


def test_each_key_has_its_own(server: Server) -> None:
    def ask(key: str) -> httpx.Response:
        headers = {"X-API-Key": key}
        return httpx.post(f"{server.url}/v1/ocr", headers=headers, trust_env=False)

    assert [ask("k1").status_code for _ in range(3)] == [400, 400, 429]
    refused = ask("k1")
    assert refused.json()["code"] == "rate_limited"
    assert 3000 < int(refused.headers["retry-after"]) <= 3600
    assert ask("k2").status_code == 400


def test_only_named_origins(server: Server) -> None:
    for origin, allowed in (("https://a.test", True), ("https://b.test", False)):
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        response = httpx.options(f"{server.url}/v1/ocr", headers=headers, trust_env=False)
        assert (response.headers.get("access-control-allow-origin") == origin) is allowed


def test_every_answer_says_how_it_may_be_used(server: Server) -> None:
    headers = httpx.get(f"{server.url}/health", trust_env=False).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"


def statuses(folder: Path, claims: list[str], **settings: str) -> list[int]:
    """Of requests that claim to come from these addresses, at two an hour."""
    known = {"OLLAMA_HOST": "127.0.0.1:9", "RATE_LIMIT": "2/hour"}
    with Server(folder / "log", **known, **settings) as server:
        return [
            httpx.post(
                f"{server.url}/v1/ocr", headers={"X-Forwarded-For": claim}, trust_env=False
            ).status_code
            for claim in claims
        ]


CLAIMS = [f"198.51.100.{number}" for number in range(4)]


def test_a_claimed_address_does_not_count(tmp_path: Path) -> None:
    """Not even from loopback, which uvicorn trusts by itself."""
    assert statuses(tmp_path, CLAIMS) == [400, 400, 429, 429]


@pytest.mark.parametrize("trusted", ["127.0.0.1", "10.0.0.0/8, 127.0.0.0/8", "*"])
def test_a_trusted_proxy_tells_the_address(tmp_path: Path, trusted: str) -> None:
    assert statuses(tmp_path, CLAIMS, FORWARDED_ALLOW_IPS=trusted) == [400] * 4


def test_another_proxy_is_not_trusted(tmp_path: Path) -> None:
    told = statuses(tmp_path, CLAIMS, FORWARDED_ALLOW_IPS="10.0.0.1")
    assert told == [400, 400, 429, 429]


def test_a_proxy_that_is_no_address_is_one_sentence() -> None:
    ended = start(FORWARDED_ALLOW_IPS="10.0.0.0/99")
    assert ended.returncode == 1
    assert ended.stderr.startswith("The setting FORWARDED_ALLOW_IPS is invalid: ")
