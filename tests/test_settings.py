"""What the environment means."""

from contextlib import nullcontext
from typing import Any

import pytest

from app.settings import Settings, SettingsError, is_loopback, load, require_safe_bind


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


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("localhost", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.0.7", False),
        ("example.test", False),
    ],
)
def test_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("settings", "safe"),
    [
        ({"host": "127.0.0.1"}, True),
        ({"host": "0.0.0.0"}, False),
        ({"host": "0.0.0.0", "api_keys": " , "}, False),
        ({"host": "0.0.0.0", "api_keys": "secret"}, True),
        ({"host": "0.0.0.0", "allow_anonymous": True}, True),
    ],
)
def test_other_machines_need_a_key(settings: dict[str, Any], safe: bool) -> None:
    with nullcontext() if safe else pytest.raises(SettingsError, match=r"^HOST=0\.0\.0\.0 is"):
        require_safe_bind(Settings(_env_file=None, **settings))


def test_an_invalid_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "many")
    with pytest.raises(SettingsError, match=r"^The setting PORT is invalid: [^\n]+\.$"):
        load(Settings)
