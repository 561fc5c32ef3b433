"""The units for one machine, by systemd's own checks; and the server inside what they allow.

There is no running systemd in a test. What its sandbox would refuse is found another way: the
server's system calls are traced and compared with the filter, under MemoryDenyWriteExecute's own
kernel switch.
"""

import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from tempfile import gettempdir

import httpx
import pytest

from app.server.shutdown import HARD_EXIT_S
from app.settings import Settings
from tests.background_server import BackgroundServer, answers
from tests.deploy.environment import debian
from tests.fake_ollama.server import FakeOllama
from tests.inference_server import REPO
from tests.pictures import encoded, scene
from tests.ports import free_port

UNITS = REPO / "deploy" / "systemd"
SERVER = UNITS / "qwen3-vl.service"
# As Ollama's installer writes it.
OLLAMA = """\
[Unit]
Description=Ollama Service
After=network-online.target

[Service]
ExecStart=/usr/local/bin/ollama serve
User=ollama
Group=ollama
Restart=always
RestartSec=3

[Install]
WantedBy=default.target
"""
# PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN (Linux 6.3); older kernels say no, and go without.
DENY = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(65, 1, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def analyze() -> str:
    if (found := shutil.which("systemd-analyze")) is None:
        pytest.skip("systemd-analyze is not installed (apt-get install systemd)")
    return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine's tree, as far as the units name it."""
    units = tmp_path / "etc" / "systemd" / "system"
    shutil.copytree(UNITS, units)
    (units / "ollama.service").write_text(OLLAMA)
    shutil.copytree(
        "/usr/lib/systemd/system", tmp_path / "usr" / "lib" / "systemd" / "system", symlinks=True
    )
    for program in ("opt/qwen3-vl/.venv/bin/python", "usr/local/bin/ollama"):
        (tmp_path / program).parent.mkdir(parents=True)
        shutil.copy("/bin/true", tmp_path / program)
    return tmp_path


def verify(analyze: str, root: Path, unit: str) -> tuple[int, str]:
    command = [analyze, "verify", "--man=no", f"--root={root}", unit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize("unit", ["qwen3-vl.service", "ollama.service"])
def test_verify_says_nothing(analyze: str, root: Path, unit: str) -> None:
    assert verify(analyze, root, unit) == (0, "")


@pytest.mark.parametrize(
    ("unit", "file", "word"),
    [
        ("qwen3-vl.service", "qwen3-vl.service", "PrivateTmp"),
        ("ollama.service", "ollama.service.d/qwen3-vl.conf", "Environment"),
    ],
)
def test_verify_reads_them(analyze: str, root: Path, unit: str, file: str, word: str) -> None:
    path = root / "etc" / "systemd" / "system" / file
    path.write_text(path.read_text().replace(f"{word}=", f"{word}s=", 1))
    assert f"'{word}s'" in verify(analyze, root, unit)[1]


def test_exposure_is_low(analyze: str, root: Path) -> None:
    """0 is none, 10 is all; what `systemd-analyze security` calls OK is below 4."""
    command = [analyze, "security", "--offline=true", f"--root={root}", SERVER.name]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    overall = re.search(r"Overall exposure level for \S+: ([\d.]+)", told)
    assert overall is not None, told
    print(overall[0])
    assert float(overall[1]) <= 1.5


def test_both_say_the_same() -> None:
    daemon, server = variables(UNITS / "ollama.service.d" / "qwen3-vl.conf"), variables(SERVER)
    assert daemon["OLLAMA_NUM_PARALLEL"] == server["NUM_PARALLEL"]
    assert daemon["OLLAMA_KV_CACHE_TYPE"] == server["KV_CACHE_TYPE"]
    assert daemon["OLLAMA_HOST"] in Settings().ollama_host


def test_there_is_time_to_drain() -> None:
    stop_s = float(re.findall(r"^TimeoutStopSec=(\d+)$", SERVER.read_text(), re.M)[0])
    assert stop_s > Settings.model_fields["drain_timeout_s"].default + HARD_EXIT_S


def test_the_server_writes_nothing_and_makes_no_call_that_is_filtered(
    analyze: str, tmp_path: Path
) -> None:
    tracer = debian("strace")
    trace, port = tmp_path / "trace", free_port()
    python = [sys.executable, "-c", DENY, sys.executable, "server.py"]
    url = f"http://127.0.0.1:{port}"
    with (
        FakeOllama() as fake_ollama,
        BackgroundServer(
            [tracer.path, "-D", "-f", "-qq", "-o", trace, *python],  # -D: our child is the server
            tmp_path / "log",
            ready=answers(f"{url}/health"),
            environment=variables(SERVER)
            | {"PATH": "/usr/bin:/bin", "PORT": str(port), "MODEL_NAME": "fake-vlm"}
            | {"PYTHONDONTWRITEBYTECODE": "1"}  # a fresh checkout has none yet
            | {"OLLAMA_HOST": fake_ollama.url, **tracer.environment},
        ),
    ):
        files = {"image": encoded(scene(400, 300))}
        described = httpx.post(f"{url}/v1/describe", files=files, trust_env=False).status_code
    assert described == 200
    traced = trace.read_text()
    written = set(re.findall(r'openat\([^"]*"([^"]+)", [^)]*O_(?:WRONLY|RDWR|CREAT)', traced))
    assert {path for path in written if not path.startswith(("/dev/", gettempdir()))} == set()
    calls = set(re.findall(r"^\d+ +([a-z_0-9]+)\(", traced, re.M))
    print(f"{len(calls)} different system calls")
    assert len(calls) > 30
    assert calls - allowed(analyze) == set()


def variables(unit: Path) -> dict[str, str]:
    """Of its Environment= lines."""
    lines = re.findall(r"^Environment=(.*)$", unit.read_text(), re.M)
    return dict(word.split("=", 1) for line in lines for word in line.split())


def allowed(analyze: str) -> set[str]:
    """The calls that the unit's filters leave, by this systemd's own lists."""
    listing = subprocess.run(
        [analyze, "syscall-filter"], capture_output=True, text=True, check=True
    ).stdout
    sets: dict[str, set[str]] = defaultdict(set)
    name = ""
    for line in listing.splitlines():
        if line.startswith("@"):
            name = line.strip()
        elif line.startswith("    ") and not line.strip().startswith("#"):
            sets[name].add(line.strip())

    def calls(name: str) -> set[str]:
        inner = sets[name]
        return set().union(*(calls(one) if one.startswith("@") else {one} for one in inner))

    left: set[str] = set()
    for filter in re.findall(r"^SystemCallFilter=(.*)$", SERVER.read_text(), re.M):
        words = filter.strip("~").split()
        named = set().union(*(calls(one) if one in sets else {one} for one in words))
        left = left - named if filter.startswith("~") else left | named
    return left | calls("@default")
