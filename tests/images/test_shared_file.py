"""Bytes in shared memory."""

import os

import pytest

from app.images.shared_file import SharedFile, as_buffer, as_file


def test_the_bytes_and_their_number() -> None:
    file = SharedFile.from_bytes(b"hello")
    assert len(file) == 5
    assert bytes(file.map()) == b"hello"
    assert as_file(as_buffer(file)).read() == b"hello"
    assert as_file(as_buffer(b"hello")).read() == b"hello"


def test_an_empty_file() -> None:
    assert bytes(SharedFile.from_bytes(b"").map()) == b""


def test_its_descriptor_is_closed_with_it() -> None:
    file = SharedFile.from_bytes(b"hello")
    fd = file.fd
    view = file.map()
    del file
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(fd)
    assert bytes(view) == b"hello"  # the mapping outlives the descriptor
