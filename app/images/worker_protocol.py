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
_FIELD_NAMES = [field.name for field in fields(Picture) if field.name != "data"]
_PictureFields = msgspec.defstruct(
    "Fields", [(name, get_type_hints(Picture)[name]) for name in _FIELD_NAMES], array_like=True
)


# The byte that is sent with a reply: whether the worker takes another job.
WORKER_CONTINUES, WORKER_EXITS = b"\1", b"\0"


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


class WorkerJob(msgspec.Struct):
    """A task and its limits: seconds of CPU time, bytes of memory."""

    task: Probe | Prepare
    cpu_s: int
    memory_bytes: int


class ProbeReply(msgspec.Struct, tag=True):
    """The reply to `Probe`: the pictures in the file."""

    pictures: list[msgspec.Raw]


class PrepareReply(msgspec.Struct, tag=True):
    """The reply to `Prepare`, see `app.images.picture.PreparedImage`."""

    base64: bytes
    warnings: tuple[str, ...]


class ProblemReply(msgspec.Struct, tag=True):
    """A `Problem` as the name of its class and its arguments."""

    problem: str
    detail: str
    extra: dict[str, Any]


class ErrorReply(msgspec.Struct, tag=True):
    """The traceback of an exception that is not a `Problem`."""

    trace: str


Reply = ProbeReply | PrepareReply | ProblemReply | ErrorReply

encode = msgspec.msgpack.encode
decode_job = msgspec.msgpack.Decoder(WorkerJob).decode
decode_reply = msgspec.msgpack.Decoder(Reply).decode
_decode_fields = msgspec.msgpack.Decoder(_PictureFields).decode


def pack_picture(picture: Picture) -> msgspec.Raw:
    """Encode a picture without its file."""
    return msgspec.Raw(encode(_PictureFields(*(getattr(picture, name) for name in _FIELD_NAMES))))


def unpack_picture(raw: msgspec.Raw, data: bytes | SharedFile) -> Picture:
    """Decode a picture and attach its file.

    Raises:
        msgspec.MsgspecError: the message is invalid.
    """
    fields_read = _decode_fields(raw)
    return Picture(data, *(getattr(fields_read, name) for name in _FIELD_NAMES))
