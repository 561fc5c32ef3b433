"""Parses a request body, form or JSON, into the fields and images of a task."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes

import msgspec
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from app.context import context_of
from app.errors import BodyTooLarge, InvalidParameter, InvalidRequest, UploadTimeout
from app.images.fetch import Fetcher
from app.images.sources import check_image_count, image_from_bytes, image_from_text
from app.routes.multipart import MAX_PARTS, parse_multipart
from app.schemas import container_fields
from app.server.upload_memory import UploadReservation
from app.settings import Settings

FORM_TYPES = ("multipart/form-data", "application/x-www-form-urlencoded")

STALL_TIMEOUT_S = 10.0  # longest pause between two pieces of a body
TIMER_SLACK_S = 0.25  # by which the timer may fire early
MIN_BYTES_PER_S = 16_384  # bytes per second on average: below the slowest links in use

# Limits on JSON, so that parsing takes at most 50 ms.
MAX_JSON_VALUES = 60_000  # counted as commas and opening brackets
UNCOUNTED_JSON_BYTES = 500_000  # bytes of JSON that are parsed without counting
MAX_FIELDS = 100
MAX_ERRORS = 50  # validation errors of a body that are compared
MAX_QUOTED_CHARACTERS = 200  # characters of a name or a message that an error quotes

INLINE_UNQUOTE_BYTES = (
    65_536  # bytes of a form that are unquoted on the event loop; more in a thread
)

Fields = TypeVar("Fields", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class _ParsedBody:
    """Fields and images as sent, before validation."""

    fields: dict[str, Any]
    images: list[bytes | str]


async def read_task_request(
    request: Request,
    upload: UploadReservation,
    model: type[Fields],
    settings: Settings,
    fetcher: Fetcher | None,
) -> tuple[Fields, list[bytes]]:
    """The validated fields, and the bytes of each image.

    Raises:
        UploadTimeout, BodyTooLarge: the body arrives too slowly, or exceeds `max_body_mb` (10^6
            bytes each).
        ServerBusy: the upload budget has no room for it.
        InvalidRequest: the body does not match its content type, or a required field is missing.
        InvalidParameter: a value is not allowed, or there are too many images.
        Problem: an image cannot be used (see `images.sources`).
    """
    body = await _read_body(request, upload, int(settings.max_body_mb * 1e6))
    header = request.headers.get("content-type", "")
    content_type = header.partition(";")[0].strip().lower()
    if content_type in FORM_TYPES:
        parsed = _parse_form_items(await _decode_form(body, header), model)
    elif content_type == "application/json":
        parsed = _parse_json(body)
        parsed = replace(parsed, fields=_drop_nulls(parsed.fields, model))
    else:
        raise InvalidRequest(
            f"Content-Type is {content_type or 'missing'}; send multipart/form-data "
            "(curl -F image=@file) or application/json."
        )
    fields = validate_fields(model, parsed.fields, from_form=content_type in FORM_TYPES)
    check_image_count(len(parsed.images), settings.max_images)
    images = [
        await image_from_text(image, index, fetcher)
        if isinstance(image, str)
        else image_from_bytes(image, index)
        for index, image in enumerate(parsed.images)
    ]
    return fields, images


async def read_json_body(
    request: Request, upload: UploadReservation, max_body_mb: float
) -> dict[str, Any]:
    """The body as a JSON object.

    Raises:
        UploadTimeout, BodyTooLarge: the body arrives too slowly, or exceeds `max_body_mb` (10^6
            bytes each).
        ServerBusy: the upload budget has no room for it.
        InvalidRequest: the body is not a JSON object.
    """
    return _decode_object(await _read_body(request, upload, int(max_body_mb * 1e6)))


async def _read_body(request: Request, upload: UploadReservation, limit: int) -> bytes:
    """Read the whole body; stop as soon as it is too large, too slow, or over the upload budget."""
    announced = request.headers.get("content-length", "0")
    expected = int(announced) if announced.isdigit() else 0
    size = expected if expected > limit else 0
    first, whole = b"", BytesIO()  # most bodies arrive in one piece; a list of tiny ones is large
    if not size:
        upload.check(expected)
        loop = asyncio.get_running_loop()
        started = loop.time()
        late = started + STALL_TIMEOUT_S
        try:
            async with asyncio.timeout_at(late) as clock:
                async for chunk in request.stream():
                    if not chunk:
                        continue  # the last message
                    size += len(chunk)
                    if size > limit:
                        break
                    upload.grow(len(chunk))
                    if not first:
                        first = chunk
                    else:
                        if not whole.tell():
                            whole.write(first)
                        whole.write(chunk)
                    due = min(started + size / MIN_BYTES_PER_S, loop.time()) + STALL_TIMEOUT_S
                    if due > late + TIMER_SLACK_S:  # rescheduling costs more than reading a piece
                        late = due
                        clock.reschedule(late)
        except TimeoutError:
            raise UploadTimeout(
                f"The body arrived too slowly: {size} bytes in {loop.time() - started:.0f} s. Send "
                f"at least {MIN_BYTES_PER_S // 1024} kB per second, without a pause of "
                f"{STALL_TIMEOUT_S:g} s."
            ) from None
    context_of(request.scope).body_bytes = size
    if size > limit:
        raise BodyTooLarge(
            f"The body is larger than {limit / 1e6:g} MB. Send smaller or fewer images."
        )
    return whole.getvalue() or first


def _parse_form_items(
    items: Iterable[tuple[str, bytes | str]], model: type[BaseModel]
) -> _ParsedBody:
    """Sort the items of a form into images and fields. `model` tells which are lists or objects."""
    fields: dict[str, Any] = {}
    images: list[bytes | str] = []
    for name, value in items:
        if name == "image":
            images.append(value)
        elif isinstance(value, bytes):
            raise InvalidParameter(
                f"{_truncate(name)} is a file; only `image` takes files.", parameter=_truncate(name)
            )
        elif value == "":
            continue  # browsers send empty fields
        else:
            # Browsers send line breaks as CR LF (WHATWG HTML, 4.10.22.4). They become LF, as in
            # JSON, so that all clients send the same prompt.
            text = value.replace("\r\n", "\n").replace("\r", "\n")
            kind = container_fields(model).get(name)
            if kind is list:
                fields.setdefault(name, []).append(text)
            else:
                fields[name] = _parse_json_field(text, name) if kind is dict else text
    return _ParsedBody(fields, images)


def _parse_json_field(text: str, name: str) -> Any:
    """Parse an object field of a form, which is sent as JSON text."""
    try:
        return _decode_json(text.encode())
    except ValueError as error:
        raise InvalidParameter(f"{name} is not JSON: {error}.", parameter=name) from None


def _decode_json(data: bytes) -> Any:
    """Decode JSON.

    Raises:
        ValueError: it is malformed, or has more than `MAX_JSON_VALUES` values.
    """
    if (
        len(data) > UNCOUNTED_JSON_BYTES
        and sum(map(data.count, (b",", b"[", b"{"))) > MAX_JSON_VALUES
    ):
        raise ValueError(f"it has more than {MAX_JSON_VALUES} values")
    try:
        return msgspec.json.decode(data)
    except RecursionError as error:
        raise ValueError(str(error)) from None


async def _decode_form(body: bytes, content_type: str) -> list[tuple[str, bytes | str]]:
    """Names and values; a file is bytes."""
    if content_type.lower().startswith("multipart/"):
        found = parse_multipart(body, content_type)
        return [(part.name, part.data if part.is_file else part.text) for part in found]
    if len(body) <= INLINE_UNQUOTE_BYTES:
        return _parse_urlencoded(body)
    return await asyncio.to_thread(_parse_urlencoded, body)


def _parse_urlencoded(body: bytes) -> list[tuple[str, bytes | str]]:
    """Parse `application/x-www-form-urlencoded` (WHATWG URL, 5.1)."""
    if body.count(b"&") >= MAX_PARTS:
        raise InvalidRequest(f"The form cannot be read: it has more than {MAX_PARTS} fields.")
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"The form cannot be read: {error}.") from None
    halves = [field.partition(b"=") for field in body.split(b"&") if field]
    return [(_unquote(name), _unquote(value)) for name, _, value in halves]


def _unquote(text: bytes) -> str:
    """Unquote in pieces: the library creates an object for each escape, 70 times the memory."""
    text = text.replace(b"+", b" ")
    pieces = []
    start = 0
    while start < len(text):
        end = start + INLINE_UNQUOTE_BYTES
        cut = text.rfind(b"%", end - 2, end)  # an escape stays whole
        end = cut if cut >= 0 else end
        pieces.append(unquote_to_bytes(text[start:end]))
        start = end
    return b"".join(pieces).decode(errors="replace")


def _decode_object(body: bytes) -> dict[str, Any]:
    try:
        fields = _decode_json(body)
    except ValueError as error:
        raise InvalidRequest(f"The body is not JSON: {error}.") from None
    if not isinstance(fields, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return fields


def _parse_json(body: bytes) -> _ParsedBody:
    fields = _decode_object(body)
    images = fields.pop("image", None)
    images = [] if images is None else images
    images = images if isinstance(images, list) else [images]
    if not all(isinstance(image, str) for image in images):
        raise InvalidParameter(
            "image must be a string or a list of strings, each base64 or a data URI.",
            parameter="image",
        )
    return _ParsedBody(fields, images)


def _drop_nulls(fields: dict[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Drop null fields: null means absent, and typed clients send every field."""
    known = {info.alias or name for name, info in model.model_fields.items()}
    return {name: one for name, one in fields.items() if one is not None or name not in known}


def validate_fields(
    model: type[Fields], fields: dict[str, Any], *, from_form: bool = False
) -> Fields:
    """Validate the fields.

    Args:
        from_form: they come from a form, whose values are all text.

    Raises:
        InvalidRequest: a required field is missing.
        InvalidParameter: a value is not allowed, or a field is unknown.
    """
    if len(fields) > MAX_FIELDS:
        raise InvalidRequest(f"The body has more than {MAX_FIELDS} fields.")
    try:
        return model.model_validate(fields, strict=False if from_form else None)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
    # The deepest error: in a union it belongs to the member that was meant.
    worst = max(errors, key=lambda one: len(one["loc"]))
    parameter = _truncate(str(worst["loc"][0])) if worst["loc"] else ""
    name = _truncate(format_location(worst["loc"], fields))
    if worst["type"] == "missing":
        raise InvalidRequest(f"The field `{name}` is missing.", parameter=parameter)
    if worst["type"] in ("union_tag_invalid", "union_tag_not_found"):
        kinds = worst.get("ctx", {}).get("expected_tags") or "'text', 'image_url' or 'file'"
        raise InvalidParameter(f"{name}.type: must be one of {kinds}.", parameter=parameter)
    if worst["type"] == "extra_forbidden":
        known = ", ".join(["image", *(f.alias or n for n, f in model.model_fields.items())])
        raise InvalidParameter(
            f"Unknown field `{name}`. Known fields: {known}.", parameter=parameter
        )
    depth = len(worst["loc"])
    near = (one for one in errors[:MAX_ERRORS] if len(one["loc"]) == depth)
    same = [one["msg"] for one in near if format_location(one["loc"], fields) == name]
    reason = "; or: ".join(dict.fromkeys([worst["msg"], *same]))
    raise InvalidParameter(f"{name}: {_truncate(reason)}.", parameter=parameter)


def format_location(loc: Sequence[int | str], value: Any) -> str:
    """The location of an error as a client writes it, such as `messages[0].content[1].text`.

    pydantic adds the names of union members to `loc`. A step that is no key or index of the value
    is such a name, except for the last one, which may be a missing key.
    """
    path = ""
    for at, step in enumerate(loc):
        if isinstance(step, int) and isinstance(value, list):
            path += f"[{step}]"
            value = value[step] if step < len(value) else None
        elif isinstance(value, dict) and (step in value or at == len(loc) - 1):
            path += f".{step}" if path else f"{step}"
            value = value.get(step)
    return path


def _truncate(text: str) -> str:
    """Shorten text of a client that an error quotes."""
    return text if len(text) <= MAX_QUOTED_CHARACTERS else f"{text[:MAX_QUOTED_CHARACTERS]} ..."
