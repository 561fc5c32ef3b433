"""A bare machine to deploy on: the files of the repository, and a PATH with few commands."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.background_server import BackgroundServer
from tests.deploy.environment import CACHE
from tests.inference_server import REPO
from tests.polling import HANG_S
from tests.scripts.conftest import TOOLS, ends

# Downloads are kept, and the settings that reach a registry here apply there.
KEPT = ("PIP_", "UV_", "SSL_CERT", "REQUESTS_CA", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


@dataclass
class Machine:
    """A folder in place of a container's disk, with a checkout, a home and a folder for models."""

    root: Path
    settings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("bin", "home", "models"):
            (self.root / name).mkdir(parents=True)
        for tool in (*TOOLS.split(), "curl", "zstd", "touch"):
            if found := shutil.which(tool):
                (self.root / "bin" / tool).symlink_to(found)
        (self.root / "bin" / "python3").symlink_to(Path(sys.executable).resolve())
        self.clone()

    @property
    def app(self) -> Path:
        return self.root / "app"

    def clone(self) -> None:
        """Make a fresh checkout, as `git clone` does; the last one is removed."""
        shutil.rmtree(self.app, ignore_errors=True)
        listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listing, cwd=REPO, capture_output=True, text=True, check=True)
        for name in filter(None, names.stdout.split("\0")):
            if (REPO / name).is_file():
                (self.app / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(REPO / name, self.app / name)

    def command(self, name: str, script: str) -> None:
        """Put a command on PATH."""
        path = self.root / "bin" / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def environment(self, **settings: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name.startswith(KEPT)}
        return {
            "UV_CACHE_DIR": str(CACHE / "uv"),
            "PIP_CACHE_DIR": str(CACHE / "pip"),
            **kept,
            "PATH": str(self.root / "bin"),
            "HOME": str(self.root / "home"),
            **self.settings,
            **settings,
        }

    def start(self, command: str, **settings: str) -> "Running":
        """Start `sh -c COMMAND` in the checkout."""
        log = self.root / "log"
        log.unlink(missing_ok=True)
        running = Running(
            ["sh", "-c", command],
            log,
            ready=lambda _: True,
            environment=self.environment(**settings),
            cwd=self.app,
            group=True,
        )
        running.start()
        return running

    def run(self, command: str, **settings: str) -> tuple[int, str]:
        """Run a command to its end; its status and output."""
        running = self.start(command, **settings)
        return running.process.wait(HANG_S), running.log()


class Running(BackgroundServer):
    """A command in a session of its own."""

    def stop(self) -> None:
        """Send SIGTERM to the group; fails when a process of it is left."""
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(HANG_S)
        assert ends(self.process.pid)
