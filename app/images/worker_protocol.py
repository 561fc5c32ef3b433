"""What the server and a decoder process send each other, as MessagePack.

The file itself goes beside a job, and a reply comes back, as descriptors of shared memory. A reply
is checked against its type: what a damaged file makes of a decoder is not trusted.
"""

from dataclasses import fields
from typing import Any, get_type_hints

import msgspec

from app.images.picture import Limits, Picture
from app.images.shared_file import SharedFile

# All of a `Picture` but its file.
_NAMES = [field.name for field in fields(Picture) if field.name != "data"]
_FIELDS = msgspec.defstruct(
    "Fields", [(name, get_type_hints(Picture)[name]) for name in _NAMES], array_like=True
)


# Beside a reply: whether the worker takes another job.
GOES_ON, LAST = b"\1", b"\0"


class Probe(msgspec.Struct, tag=True):
    """Look what the file holds."""

    index: int
    limits: Limits
    pages: str | None


class Prepare(msgspec.Struct, tag=True):
    """Make a picture of the file what the model gets."""

    picture: msgspec.Raw
    size: tuple[int, int]


class Job(msgspec.Struct):
    """A task and what it may take: seconds of CPU time, bytes of memory."""

    task: Probe | Prepare
    cpu_s: int
    memory_bytes: int


class Looked(msgspec.Struct, tag=True):
    """The pictures in the file."""

    pictures: list[msgspec.Raw]


class Ready(msgspec.Struct, tag=True):
    """See `app.images.picture.Prepared`."""

    base64: bytes
    warnings: tuple[str, ...]


class Refused(msgspec.Struct, tag=True):
    """A `Problem`: the name of its class, and what it says."""

    problem: str
    detail: str
    extra: dict[str, Any]


class Bug(msgspec.Struct, tag=True):
    """An exception that is no refusal, as its traceback."""

    trace: str


Reply = Looked | Ready | Refused | Bug

encode = msgspec.msgpack.encode
decode_job = msgspec.msgpack.Decoder(Job).decode
decode_reply = msgspec.msgpack.Decoder(Reply).decode
_decode_fields = msgspec.msgpack.Decoder(_FIELDS).decode


def packed(picture: Picture) -> msgspec.Raw:
    """All of a picture but its file."""
    return msgspec.Raw(encode(_FIELDS(*(getattr(picture, name) for name in _NAMES))))


def unpacked(raw: msgspec.Raw, data: bytes | SharedFile) -> Picture:
    """The picture, of this file.

    Raises:
        msgspec.MsgspecError: it is none.
    """
    told = _decode_fields(raw)
    return Picture(data, *(getattr(told, name) for name in _NAMES))
