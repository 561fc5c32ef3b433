"""Fixtures: the embedded engine as a process, and its loaded models."""

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from app.embedded import weights
from tests.ports import free_port

ROOT = Path(__file__).parents[2]

missing = weights.missing_packages()
if missing:
    collect_ignore_glob = ["*"]


def pytest_report_header() -> str | None:
    if missing:
        return f"embedded engine: not tested, not installed: {', '.join(missing)}"
    return None


@dataclass
class Program:
    """`python -m app.embedded` on a free port of loopback."""

    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app.embedded"],
            cwd=ROOT,
            env={**os.environ, "OLLAMA_HOST": f"127.0.0.1:{self.port}", **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait(self) -> None:
        """Waits for the first answer."""
        while self.process.poll() is None:
            try:
                httpx.get(f"{self.url}/api/version", trust_env=False)
            except httpx.TransportError:
                time.sleep(0.02)
            else:
                return
        raise AssertionError(self.process.communicate())

    def end(self) -> tuple[str, str]:
        """Sends SIGTERM and returns stdout and stderr."""
        self.process.terminate()
        return self.process.communicate(timeout=60)


@pytest.fixture(scope="session")
def program() -> Iterator[Program]:
    program = Program()
    program.wait()
    yield program
    program.end()


@pytest.fixture
async def client(program: Program) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=program.url, timeout=120, trust_env=False) as client:
        yield client


if not missing:
    from app.embedded import models as engine_models
    from app.embedded.models import Models
    from app.embedded.ocr.models import OcrModels
    from app.embedded.vision.image_facts import ImageFacts
    from tests.embedded.image_facts import PHOTOS, facts_of_file
    from tests.embedded.pictures import EXAMPLES

    @pytest.fixture(scope="session")
    def models() -> Models:
        """The loaded models."""
        return engine_models.load(2)

    @pytest.fixture(scope="session")
    def ocr_models(models: Models) -> OcrModels:
        """The OCR models."""
        return models.ocr

    @pytest.fixture(scope="session")
    def cat(models: Models) -> ImageFacts:
        return facts_of_file(models, PHOTOS / "cat.jpg")

    @pytest.fixture(scope="session")
    def person(models: Models) -> ImageFacts:
        return facts_of_file(models, PHOTOS / "person.jpg")

    @pytest.fixture(scope="session")
    def coffee(models: Models) -> ImageFacts:
        return facts_of_file(models, EXAMPLES / "photo.jpg")
