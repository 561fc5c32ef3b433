"""Every script is clean by shellcheck."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.scripts.conftest import ROOT

SHELLCHECK = Path(sys.executable).with_name("shellcheck")


@pytest.mark.parametrize(
    "script", sorted([*ROOT.glob("*.sh"), *ROOT.glob("deploy/*.sh")]), ids=lambda path: path.name
)
def test_shellcheck(script: Path) -> None:
    done = subprocess.run([SHELLCHECK, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert script.stat().st_mode & 0o111, f"{script.name} is not executable"
