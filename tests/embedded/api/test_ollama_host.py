"""`OLLAMA_HOST`, as Ollama reads it."""

import pytest

from app.embedded.api.ollama_host import Address, parse_ollama_host


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("", ("127.0.0.1", 11434)),
        ("0.0.0.0", ("0.0.0.0", 11434)),
        ("127.0.0.1:5000", ("127.0.0.1", 5000)),
        (":5000", ("127.0.0.1", 5000)),
        ("http://localhost:5000/", ("localhost", 5000)),
        ("http://localhost", ("localhost", 80)),
        ("https://example", ("example", 443)),
        ("[::1]:5000", ("::1", 5000)),
        ("::1", ("::1", 11434)),
        ("host:port", ("host", 11434)),
        ('"127.0.0.1:5000"', ("127.0.0.1", 5000)),
    ],
)
def test_address(setting: str, expected: tuple[str, int]) -> None:
    assert parse_ollama_host(setting) == Address(*expected)
