"""The Dockerfile: by hadolint, and its steps done one by one in a clean folder.

No image is built: that takes a daemon and a registry of images. What the base image has is not
tested but for its Python's version.
"""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

import httpx
import pytest

from tests.deploy import environment
from tests.deploy.machine import Machine
from tests.fake_ollama.server import FakeOllama
from tests.inference_server import REPO
from tests.pictures import encoded, scene
from tests.ports import free_port

DOCKERFILE = REPO / "Dockerfile"
KEY = "a-secret"


@dataclass
class Build:
    """What the steps have left: the folder /app stands for, and the configuration."""

    machine: Machine
    variables: dict[str, str] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.machine.root / "image"

    def step(self, word: str, rest: str) -> None:
        match word:
            case "ENV" | "ARG":
                self.variables |= dict(one.split("=", 1) for one in shlex.split(rest))
            case "COPY":
                self._copy(*rest.split())
            case "RUN":
                status, output = self.machine.run(f"cd '{self.folder}' && {rest}", **self.variables)
                assert status == 0, output
            case _:
                self.told[word] = rest

    def _copy(self, pattern: str, target: str) -> None:
        for path in sorted(self.machine.app.glob(pattern)):
            for file in path.rglob("*") if path.is_dir() else [path]:
                name = file.relative_to(self.machine.app)
                if file.is_dir() or not self._sent(name):
                    continue
                inside = file.relative_to(path) if path.is_dir() else Path(file.name)
                (to := self.folder / target / inside).parent.mkdir(parents=True, exist_ok=True)
                to.write_bytes(file.read_bytes())

    def _sent(self, name: Path) -> bool:
        """By .dockerignore: the last pattern that is true of the file or a folder above counts."""
        sent = True
        for pattern in self.ignored:
            bare = pattern.removeprefix("!").removeprefix("**/")
            ways = [str(one) for one in (name, *name.parents)]
            ways += list(name.parts) if "**/" in pattern else []
            if any(fnmatch(way, bare) for way in ways if way != "."):
                sent = pattern.startswith("!")
        return sent


def instructions() -> Iterator[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.M).replace("\\\n", " ")
    for line in filter(None, text.splitlines()):
        word, _, rest = line.partition(" ")
        yield word, rest


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    build = Build(Machine(tmp_path_factory.mktemp("docker") / "disk"))
    build.folder.mkdir()
    lines = (REPO / ".dockerignore").read_text().splitlines()
    build.ignored = [line for line in lines if line and not line.startswith("#")]
    (build.machine.app / ".env").write_text("API_KEY=secret")
    (build.machine.app / "app" / "__pycache__").mkdir()
    (build.machine.app / "app" / "__pycache__" / "old.pyc").touch()
    uv, home = f'"{sys.executable}" -m uv', build.machine.root / "python"
    subprocess.run([sys.executable, "-m", "uv", "venv", "--quiet", home], check=True)
    # pip's part is uv's here, which keeps what it has fetched between runs
    build.machine.command("pip", f'{uv} pip "$@" --quiet --python "{home}"')
    build.machine.command("python", f'exec "{home}/bin/python" "$@"')
    build.machine.command("useradd", "exit 0")
    for word, rest in instructions():
        build.step(word, rest)
    return build


def test_hadolint_says_nothing() -> None:
    hadolint = environment.linters().with_name("hadolint")
    done = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_hadolint_reads_it(tmp_path: Path) -> None:
    hadolint = environment.linters().with_name("hadolint")
    worse = tmp_path / "Dockerfile"
    worse.write_text(DOCKERFILE.read_text().replace("3.12-slim-bookworm", "latest"))
    done = subprocess.run([hadolint, worse], capture_output=True, text=True, check=False)
    assert "DL3007" in done.stdout


def test_only_what_is_needed_is_copied(build: Build) -> None:
    names = {path.name for path in build.folder.iterdir()}
    requirements = {path.name for path in REPO.glob("requirements*.txt")}
    assert names == {"app", "server.py"} | requirements
    assert not list(build.folder.rglob("__pycache__"))
    assert (build.folder / "app" / "main.py").exists()


def test_it_is_no_root(build: Build) -> None:
    assert int(build.told["USER"]) >= 10000
    version = re.match(r"python:3\.(\d+)-slim", build.told["FROM"])
    assert version and int(version[1]) >= 11


def test_its_command_serves_and_its_check_says_so(build: Build) -> None:
    health = json.loads(build.told["HEALTHCHECK"].partition("CMD ")[2])
    command = shlex.join(json.loads(build.told["CMD"]))
    # The address to listen on is the image's own, so a key is wanted.
    here = {**build.variables, "PORT": str(free_port()), "API_KEY": KEY, "MODEL_NAME": "fake-vlm"}
    check = f"cd '{build.folder}' && {shlex.join(health)}"
    assert build.machine.run(check, **here)[0] != 0
    with FakeOllama() as fake_ollama:
        here |= {"OLLAMA_HOST": fake_ollama.url}
        running = build.machine.start(f"cd '{build.folder}' && exec {command}", **here)
        try:
            running.wait_for_log("serving")
            transport = httpx.HTTPTransport(retries=5)
            url = f"http://127.0.0.1:{here['PORT']}"
            with httpx.Client(base_url=url, transport=transport, timeout=120) as client:
                assert client.get("/ready").status_code == 200
                picture = {"image": encoded(scene(160, 120))}
                assert client.post("/v1/describe", files=picture).status_code == 401
                keyed = {"X-API-Key": KEY}
                assert client.post("/v1/describe", files=picture, headers=keyed).status_code == 200
            checking = build.machine.environment(**here)
            assert subprocess.run(["sh", "-c", check], env=checking, check=False).returncode == 0
        finally:
            running.stop()
