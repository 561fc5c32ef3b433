"""Which `Host` and `Origin` fields are allowed."""

import socket

import pytest

from app.embedded.api.origins import OriginPolicy

ALLOWED_HOSTS = [
    "",
    "localhost",
    "LOCALHOST:11434",
    "127.0.0.1:11434",
    "127.1.2.3",
    "[::1]:11434",
    "0.0.0.0:11434",
    "10.0.0.5:11434",
    "app.localhost",
    "printer.local:80",
    "host.docker.internal:11434",
    socket.gethostname(),
]


REFUSED_HOSTS = [
    "evil.example",
    "evil.example:11434",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evillocalhost",
    "localhost@evil.example",
    "evil.example#.localhost",
    "evil.example/.localhost",
    "[::1",
    "localhost:x",
]


ALLOWED_ORIGINS = [
    "http://localhost",
    "http://localhost:3000",
    "https://127.0.0.1:8000",
    "http://[::1]:5173",
    "http://app.localhost:1",
]


REFUSED_ORIGINS = [
    "null",
    "",
    "http://evil.example",
    "https://localhost.evil.example",
    "http://localhost@evil.example",
    "http://evil.example#localhost",
    "http://10.0.0.5",  # another machine of the same network
    "http://printer.local",
    "file://localhost",
    "chrome-extension://abcdef",
    "http://127.0.0.1:x",
    "localhost",
]


@pytest.mark.parametrize("host", ALLOWED_HOSTS)
def test_allowed_host(host: str) -> None:
    assert OriginPolicy("127.0.0.1").rejection([host], []) == ""


@pytest.mark.parametrize("host", REFUSED_HOSTS)
def test_refused_host(host: str) -> None:
    assert "is not allowed" in OriginPolicy("127.0.0.1").rejection([host], [])
    assert "is not allowed" in OriginPolicy("::1").rejection(["localhost", host], [])
    # As in Ollama: in a container or a network the engine has names that it does not know.
    assert OriginPolicy("0.0.0.0").rejection([host], []) == ""


@pytest.mark.parametrize("origin", ALLOWED_ORIGINS)
def test_allowed_origin(origin: str) -> None:
    assert OriginPolicy("127.0.0.1").rejection(["localhost"], [origin]) == ""


@pytest.mark.parametrize("bound", ["127.0.0.1", "0.0.0.0", "::", "fe80::1%eth0"])
@pytest.mark.parametrize("origin", REFUSED_ORIGINS)
def test_refused_origin(bound: str, origin: str) -> None:
    assert "is not allowed" in OriginPolicy(bound).rejection(["localhost"], [origin])
    assert "is not allowed" in OriginPolicy(bound).rejection(
        ["localhost"], ["http://localhost", origin]
    )


def test_configured_origins() -> None:
    origins = OriginPolicy("127.0.0.1", "https://app.example, http://*.lan.example:*")
    for allowed in ("https://app.example", "http://a.lan.example:80", "http://localhost"):
        assert origins.rejection(["localhost"], [allowed]) == ""
    for refused in ("http://app.example", "https://app.example.org", "http://lan.example:80"):
        assert origins.rejection(["localhost"], [refused])
    assert origins.rejection(["app.example"], []) == ""
    assert origins.rejection(["b.lan.example:9"], []) == ""
    assert origins.rejection(["other.example"], [])
    assert OriginPolicy("127.0.0.1", "*").rejection(["any.example"], ["http://any.example"]) == ""
