"""Bytes in shared memory."""

import os

import pytest

from app.images.shared_file import SharedFile, mapped, readable


def test_the_bytes_and_their_number() -> None:
    file = SharedFile.of(b"hello")
    assert len(file) == 5
    assert bytes(file.map()) == b"hello"
    assert readable(mapped(file)).read() == b"hello"
    assert readable(mapped(b"hello")).read() == b"hello"


def test_an_empty_file() -> None:
    assert bytes(SharedFile.of(b"").map()) == b""


def test_its_descriptor_is_closed_with_it() -> None:
    file = SharedFile.of(b"hello")
    fd = file.fd
    view = file.map()
    del file
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(fd)
    assert bytes(view) == b"hello"  # the mapping outlives the descriptor
