"""Put llama.cpp's libmtmd of two days, for the CPU, into `.cache`, from PyPI wheels.

    python -m tests.mtmd.install

12 MB to download; needs no root, no compiler. The wheels are built against glibc 2.38 for no more
than four C23 names of old functions (`__isoc23_strtol`): renamed, they run on 2.34.
"""

import contextlib
import shutil
import struct
import sys
import tempfile
import zipfile
from pathlib import Path

from tests.ollama_daemon.install import CACHE, InstallError, download, unsupported

# Of llama.cpp: 8 August 2026, which fuses equal neighbours, and 24 August 2026, which fuses only
# frames of a video.
WHEELS = {
    "b10330": "llama-cpp-py-sync==0.10330.2 "
    "--hash=sha256:3bf32096827752170f1bd0e3439f0bfcfb04b44f8c45654e26bfe61d3317aed8",
    "b10603": "llama-cpp-py-sync==0.10603 "
    "--hash=sha256:b8cdedcd5248b4f867199a296ac49e3b178cb2e2dca280c2fd18e72cd6448e94",
}
C23 = b"__isoc23_"
NEWER = b"GLIBC_2.38"
DYNSYM, VERSYM, VERNEED = 11, 0x6FFFFFFF, 0x6FFFFFFE  # types of ELF sections
WEAK, GLOBAL = 2, 1


def install(build: str) -> Path:
    """The folder to import `llama_cpp_py_sync` from, installed on the first call.

    Raises InstallError where this machine cannot run it or the wheel cannot be fetched.
    """
    home = CACHE / f"mtmd-{build}"
    if home.exists():
        return home
    if reason := unsupported():
        raise InstallError(reason.replace("The test daemon", "libmtmd"))
    CACHE.mkdir(exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="mtmd-install-", dir=CACHE))
    try:
        download(work, WHEELS[build], ("manylinux2014_x86_64",), "libmtmd's wheel")
        with zipfile.ZipFile(next(work.glob("*.whl"))) as archive:
            archive.extractall(work / "library")
        for library in work.glob("library/*/*.so*"):
            library.write_bytes(older(library.read_bytes()))
        with contextlib.suppress(OSError):  # another process was first
            (work / "library").rename(home)
    finally:
        shutil.rmtree(work)
    return home


def older(library: bytes) -> bytes:
    """The same library without a need of glibc 2.38: a name loses its prefix by pointing behind
    it, and the version that it came from need not be there."""
    data = bytearray(library)
    (headers,) = struct.unpack_from("<Q", data, 40)
    (count,) = struct.unpack_from("<H", data, 60)
    # name, type, flags, address, offset, size, link, info, alignment, entry size
    found = [struct.unpack_from("<IIQQQQIIQQ", data, headers + 64 * at) for at in range(count)]
    sections = {section[1]: section for section in found}
    symbols, versions, needs = (sections[kind] for kind in (DYNSYM, VERSYM, VERNEED))
    strings = found[symbols[6]][4]

    def name(at: int) -> bytes:
        return bytes(data[strings + at : data.index(0, strings + at)])

    for index in range(symbols[5] // 24):
        at = symbols[4] + 24 * index
        (place,) = struct.unpack_from("<I", data, at)
        if name(place).startswith(C23):
            struct.pack_into("<I", data, at, place + len(C23))
            struct.pack_into("<H", data, versions[4] + 2 * index, GLOBAL)
    need = needs[4]
    while True:
        _, several, _, first, following = struct.unpack_from("<HHIII", data, need)
        at = need + first
        for _ in range(several):
            _, flags, _, place, step = struct.unpack_from("<IHHII", data, at)
            if name(place) == NEWER:
                struct.pack_into("<H", data, at + 4, flags | WEAK)
            at += step
        if not following:
            return bytes(data)
        need += following


if __name__ == "__main__":
    try:
        for each in WHEELS:
            print(install(each))
    except InstallError as error:
        sys.exit(str(error))
