"""Messages between the server and a decoder process, in MessagePack.

The file of a job and the reply are passed as descriptors of shared memory. A reply is validated
against its type, because a malicious file may have taken over the decoder.
"""

from dataclasses import fields
from typing import Any, get_type_hints

import msgspec

from app.images.picture import Limits, Picture
from app.images.shared_file import SharedFile

# All fields of a `Picture` except its file.
_NAMES = [field.name for field in fields(Picture) if field.name != "data"]
_FIELDS = msgspec.defstruct(
    "Fields", [(name, get_type_hints(Picture)[name]) for name in _NAMES], array_like=True
)


# The byte that is sent with a reply: whether the worker takes another job.
GOES_ON, LAST = b"\1", b"\0"


class Probe(msgspec.Struct, tag=True):
    """The task to probe a file (`app.images.probe`)."""

    index: int
    limits: Limits
    pages: str | None


class Prepare(msgspec.Struct, tag=True):
    """The task to decode a picture of the file and to encode it for the model."""

    picture: msgspec.Raw
    size: tuple[int, int]
    pad: tuple[int, int] = (0, 0)


class Job(msgspec.Struct):
    """A task and its limits: seconds of CPU time, bytes of memory."""

    task: Probe | Prepare
    cpu_s: int
    memory_bytes: int


class Looked(msgspec.Struct, tag=True):
    """The reply to `Probe`: the pictures in the file."""

    pictures: list[msgspec.Raw]


class Ready(msgspec.Struct, tag=True):
    """The reply to `Prepare`, see `app.images.picture.Prepared`."""

    base64: bytes
    warnings: tuple[str, ...]


class Refused(msgspec.Struct, tag=True):
    """A `Problem` as the name of its class and its arguments."""

    problem: str
    detail: str
    extra: dict[str, Any]


class Bug(msgspec.Struct, tag=True):
    """The traceback of an exception that is not a `Problem`."""

    trace: str


Reply = Looked | Ready | Refused | Bug

encode = msgspec.msgpack.encode
decode_job = msgspec.msgpack.Decoder(Job).decode
decode_reply = msgspec.msgpack.Decoder(Reply).decode
_decode_fields = msgspec.msgpack.Decoder(_FIELDS).decode


def packed(picture: Picture) -> msgspec.Raw:
    """Encode a picture without its file."""
    return msgspec.Raw(encode(_FIELDS(*(getattr(picture, name) for name in _NAMES))))


def unpacked(raw: msgspec.Raw, data: bytes | SharedFile) -> Picture:
    """Decode a picture and attach its file.

    Raises:
        msgspec.MsgspecError: the message is invalid.
    """
    told = _decode_fields(raw)
    return Picture(data, *(getattr(told, name) for name in _NAMES))
