"""OLLAMA_HOST is read as Ollama reads it."""

import subprocess
import sys

import pytest

from app.ollama_host import parse
from tests.inference_server import REPO

URLS = {
    "": "http://127.0.0.1:11434",
    "127.0.0.1:11434": "http://127.0.0.1:11434",
    "localhost": "http://localhost:11434",
    "box": "http://box:11434",
    ":5000": "http://127.0.0.1:5000",
    "0.0.0.0": "http://127.0.0.1:11434",
    "0.0.0.0:9000": "http://127.0.0.1:9000",
    "[::]": "http://127.0.0.1:11434",
    "http://gpu.local": "http://gpu.local:80",
    "https://gpu.local": "https://gpu.local:443",
    "https://gpu.local/": "https://gpu.local:443",
    "[::1]": "http://[::1]:11434",
    "[::1]:9000": "http://[::1]:9000",
    "http://[::1]/": "http://[::1]:80",
    "::1": "http://[::1]:11434",
    "  '127.0.0.1:1234' ": "http://127.0.0.1:1234",
    "box:port": "http://box:11434",
    "box:99999": "http://box:11434",
    "https://box:port": "https://box:443",
}


@pytest.mark.parametrize(("setting", "url"), URLS.items())
def test_the_url_for_a_client(setting: str, url: str) -> None:
    assert parse(setting).url == url


@pytest.mark.parametrize(
    ("setting", "url"),
    [
        ("https://gpu.local:8443/ollama/", "https://gpu.local:8443/ollama"),
        ("http://user:secret@box:8080", "http://box:8080"),
    ],
)
def test_a_path_is_kept_and_credentials_are_not(setting: str, url: str) -> None:
    assert parse(setting).url == url


def test_a_wildcard_is_where_a_daemon_listens() -> None:
    assert (parse("0.0.0.0").host, parse("[::]:5").host) == ("0.0.0.0", "::")


def test_the_shell_scripts_get_the_url_without_any_package() -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-E", "-m", "app.ollama_host", "box:5"],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "http://box:5\n"
