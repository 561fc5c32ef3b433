"""What the environment means."""

import pytest

from app.settings import Settings


def test_ollama_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "0.0.0.0:9000")
    assert Settings(_env_file=None).ollama_host == "http://127.0.0.1:9000"


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OLLAMA_HOST", "MODEL_NAME", "HOST", "PORT", "NUM_PARALLEL", "KEEP_ALIVE"):
        monkeypatch.delenv(name, raising=False)
    settings = Settings(_env_file=None)
    assert settings.model_name == "qwen3-vl:32b"
    assert settings.ollama_host == "http://127.0.0.1:11434"
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.keep_alive_value == -1
    assert settings.num_parallel == 1


def test_the_daemons_own_slots_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_NUM_PARALLEL", "4")
    assert Settings(_env_file=None).num_parallel == 4
    monkeypatch.setenv("NUM_PARALLEL", "2")
    assert Settings(_env_file=None).num_parallel == 2


def test_keep_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEP_ALIVE", "10m")
    assert Settings(_env_file=None).keep_alive_value == "10m"
