"""Put a real Ollama 0.9.3, for the CPU, into `.cache/ollama-0.9.3`, from PyPI wheels alone.

    python -m tests.ollama_daemon.install

58.8 MB to download, 95 MB on disk; needs no root and no compiler. The binary is the one of
Intel's IPEX-LLM (wheel bigdl-core-cpp). It insists on an Intel GPU, whose libraries are 600 MB of
wheels and abort where there is none, so two stub libraries make its "GPU" the CPU backend.
"""

import contextlib
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from tests.ollama_daemon.elf_stub import stub

CACHE = Path(__file__).parents[2] / ".cache"
HOME = CACHE / "ollama-0.9.3"

REQUIREMENTS = """\
bigdl-core-cpp==2.7.0b20260110 \
--hash=sha256:0e99cb840d69c53add9a9500feba14b68f45c51ca2544845788de7a110653d73
icc-rt==2020.0.133 \
--hash=sha256:17a173e65cee0c516358172b9cc96fe297dd54f4d6b23d57f79c62d9e105e3cf
intel-openmp==2020.0.133 \
--hash=sha256:cb9a12b0a1cb3f9c44a75959f687e548dc642a9470be3c63f73bccf291b8dcc8
"""

PLATFORMS = ("manylinux1_x86_64", "manylinux2010_x86_64")

WANTED = {  # wheel: the files to take from it
    "bigdl_core_cpp": (
        "ollama-lib libggml.so libggml-base.so libllama.so libllava_shared.so libmtmd_shared.so "
        "libsample.so libggml-cpu-haswell.so libggml-cpu-alderlake.so libggml-cpu-skylakex.so "
        "libggml-cpu-icelake.so libggml-cpu-sapphirerapids.so"
    ),
    "icc_rt": "libsvml.so libimf.so libirng.so libintlc.so.5",
    "intel_openmp": "libiomp5.so",
}

STUBS: dict[str, dict[str, str | None]] = {
    "libggml-sycl.so": {
        "ggml_backend_sycl_get_device_count": None,
        "ggml_backend_sycl_init": "ggml_backend_init_by_type",  # of (0, 0): the CPU
        "ggml_backend_sycl_buffer_type": "ggml_backend_cpu_buffer_type",
    },
    "libsycl.so.8": {  # what libllama.so asks for at load time
        "_ZTIN4sycl3_V19exceptionE": None,
        "_ZN4sycl3_V19exceptionD1Ev": None,
    },
}

LAUNCHER = """\
#!/bin/sh
# exec keeps the pid: a signal to this process reaches the daemon
dir=$(cd "$(dirname "$0")" && pwd)
LD_LIBRARY_PATH="$dir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" exec "$dir/ollama-lib" "$@"
"""


class InstallError(RuntimeError):
    """The wheels could not be fetched; the message says why."""


def unsupported() -> str | None:
    """Why this machine cannot run the daemon, in one sentence; None where it can."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return (
            "The test daemon is built for x86-64 Linux; "
            f"this is {platform.system()} on {platform.machine()}."
        )
    if platform.libc_ver()[0] != "glibc":
        return "The test daemon needs glibc; this system's C library is another one."
    if "avx2" not in Path("/proc/cpuinfo").read_text().split():
        return "The test daemon needs a CPU with AVX2; this one does not report it."
    return None


def install() -> Path:
    """The folder with the `ollama` command, installed on the first call (some 3 s).

    Several processes may call this at once: each unpacks into a folder of its own, the first to
    finish gives it its name, the others throw theirs away.

    Raises InstallError where this machine cannot run it or the wheels cannot be fetched.
    """
    if HOME.exists():
        return HOME
    if reason := unsupported():
        raise InstallError(reason)
    CACHE.mkdir(exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="ollama-install-", dir=CACHE))
    try:
        download(work, REQUIREMENTS, PLATFORMS, "the test daemon's wheels")
        _unpack(work, work / "ollama")
        with contextlib.suppress(OSError):  # another process was first
            (work / "ollama").rename(HOME)
    finally:
        shutil.rmtree(work)
    if not HOME.exists():
        raise InstallError(f"Could not move the unpacked Ollama to {HOME}.")
    return HOME


def download(folder: Path, requirements: str, platforms: Sequence[str], what: str) -> None:
    """Wheels into a folder, each checked against its hash.

    Raises:
        InstallError: pip could not fetch them.
    """
    listing = folder / "requirements.txt"
    listing.write_text(requirements)
    # The wheels are for any Python (they hold no Python code we use): name one they know.
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--no-deps", "--only-binary", ":all:", "--require-hashes", "--python-version", "3.11"),
        *(word for name in platforms for word in ("--platform", name)),
        *("-r", str(listing), "-d", str(folder)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise InstallError(f"pip could not fetch {what}: {last}")


def _unpack(wheels: Path, folder: Path) -> None:
    folder.mkdir()
    for wheel, names in WANTED.items():
        wanted = set(names.split())
        with zipfile.ZipFile(next(wheels.glob(f"{wheel}-*.whl"))) as archive:
            for info in archive.infolist():
                name = Path(info.filename).name
                # bigdl has a second, unrelated copy of some libraries under libs/llama_cpp
                if name in wanted and "/llama_cpp/" not in info.filename:
                    (folder / name).write_bytes(archive.read(info))
                    (folder / name).chmod(0o755)
                    wanted.discard(name)
        if wanted:
            raise InstallError(f"The wheel {wheel} lacks {', '.join(sorted(wanted))}.")
    for name, functions in STUBS.items():
        (folder / name).write_bytes(stub(functions))
    (folder / "ollama").write_text(LAUNCHER)
    (folder / "ollama").chmod(0o755)


if __name__ == "__main__":
    try:
        print(install() / "ollama")
    except InstallError as error:
        sys.exit(str(error))
