"""Holds the bytes of a file in shared memory, which another process reads without a copy."""

import contextlib
import io
import mmap
import os
import sys
import tempfile
from typing import IO, cast

Buffer = bytes | mmap.mmap


class SharedFile:
    """An anonymous file. Its descriptor `fd` is closed when the object is garbage-collected.

    Args:
        fd: descriptor of a file; the object takes ownership, and the bytes must not change.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._size = os.fstat(fd).st_size

    @classmethod
    def from_bytes(cls, data: bytes) -> "SharedFile":
        """Copy bytes into a new file; 5 MB take about 2 ms.

        Raises:
            OSError: no memory or no file descriptor is left.
        """
        fd = _create_unnamed()
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(fd, left) :]
        except BaseException:
            os.close(fd)
            raise
        return cls(fd)

    def __len__(self) -> int:
        return self._size

    def map(self) -> Buffer:
        """Map the bytes; only the pages that are read take memory."""
        # A private writable mapping lets C libraries use the buffer without a copy.
        return mmap.mmap(self.fd, 0, access=mmap.ACCESS_COPY) if self._size else b""

    def __del__(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            os.close(self.fd)


def _create_unnamed() -> int:
    if sys.platform == "linux":
        return os.memfd_create("image", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def as_buffer(data: bytes | SharedFile) -> Buffer:
    """Return the bytes of a file in shared memory or in the process."""
    return data.map() if isinstance(data, SharedFile) else data


def as_file(content: Buffer) -> IO[bytes]:
    """Return the content as a file object that is open for reading."""
    return cast(IO[bytes], content) if isinstance(content, mmap.mmap) else io.BytesIO(content)
