"""From an HTTP request, multipart or JSON, to the fields and files of a task."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from app.errors import BodyTooLarge, InvalidParameter, InvalidRequest, UploadTimeout
from app.images.fetch import Fetcher
from app.images.intake import from_bytes, from_text
from app.routes.multipart import MAX_PARTS, parts
from app.schemas import containers

FORM_TYPES = ("multipart/form-data", "application/x-www-form-urlencoded")

SILENCE_S = 10.0  # between two pieces of a body
LEAST_RATE = 16_384  # bytes a second, on the average: below the slowest links people have

Fields = TypeVar("Fields", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class _Form:
    """What was sent, before any of it is understood."""

    fields: dict[str, Any]
    images: list[bytes | str]


async def read_task(
    request: Request, model: type[Fields], max_body_mb: float, fetcher: Fetcher | None
) -> tuple[Fields, list[bytes]]:
    """The fields, checked, and the bytes of each image.

    Raises:
        UploadTimeout, BodyTooLarge: it comes too slowly, or is more than `max_body_mb` (10^6
            bytes each).
        InvalidRequest: the body is not what its type says, or a required field is missing.
        InvalidParameter: a field's value is not allowed.
        Problem: an image is none (see `images.intake`).
    """
    body = await _read(request, int(max_body_mb * 1e6))
    told = request.headers.get("content-type", "")
    content_type = told.partition(";")[0].strip().lower()
    if content_type in FORM_TYPES:
        form = _from_form(body, told, model)
    elif content_type == "application/json":
        form = _from_json(body, model)
    else:
        raise InvalidRequest(
            f"Content-Type is {content_type or 'missing'}; send multipart/form-data "
            "(curl -F image=@file) or application/json."
        )
    fields = checked(model, form.fields, is_text=content_type in FORM_TYPES)
    images = [
        await from_text(image, index, fetcher)
        if isinstance(image, str)
        else from_bytes(image, index)
        for index, image in enumerate(form.images)
    ]
    return fields, images


async def json_body(request: Request, max_body_mb: float) -> dict[str, Any]:
    """The JSON object that a body is.

    Raises:
        UploadTimeout, BodyTooLarge: it comes too slowly, or is more than `max_body_mb` (10^6
            bytes each).
        InvalidRequest: it is none.
    """
    return _object(await _read(request, int(max_body_mb * 1e6)))


async def _read(request: Request, limit: int) -> bytes:
    """The whole body; stops as soon as it is known to be too large, or comes too slowly."""
    announced = request.headers.get("content-length", "0")
    chunks: list[bytes] = []
    size = int(announced) if announced.isdigit() and int(announced) > limit else 0
    if not size:
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with asyncio.timeout(SILENCE_S) as clock:
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > limit:
                        break
                    chunks.append(chunk)
                    late = started + SILENCE_S + size / LEAST_RATE
                    clock.reschedule(min(late, loop.time() + SILENCE_S))
        except TimeoutError:
            raise UploadTimeout(
                f"The body came too slowly: {size} bytes in {loop.time() - started:.0f} s. Send "
                f"at least {LEAST_RATE // 1024} kB a second, without a pause of {SILENCE_S:g} s."
            ) from None
    request.state.body_bytes = size
    if size > limit:
        raise BodyTooLarge(
            f"The body is larger than {limit / 1e6:g} MB. Send smaller or fewer images."
        )
    return b"".join(chunks)


def _from_form(body: bytes, content_type: str, model: type[BaseModel]) -> _Form:
    fields: dict[str, Any] = {}
    images: list[bytes | str] = []
    for name, value in _form_items(body, content_type):
        if name == "image":
            images.append(value)
        elif isinstance(value, bytes):
            raise InvalidParameter(f"{name} is a file; only `image` takes files.", parameter=name)
        elif value == "":
            continue  # what a browser sends for a field left empty
        else:
            # Browsers send line breaks as CR LF (WHATWG HTML, 4.10.22.4); as JSON has them, all
            # clients ask the same.
            text = value.replace("\r\n", "\n").replace("\r", "\n")
            kind = containers(model).get(name)
            if kind is list:
                fields.setdefault(name, []).append(text)
            else:
                fields[name] = _json(text, name) if kind is dict else text
    return _Form(fields, images)


def _json(text: str, name: str) -> Any:
    """A form has no objects; it has their JSON."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidParameter(f"{name} is not JSON: {error}.", parameter=name) from None


def _form_items(body: bytes, content_type: str) -> list[tuple[str, bytes | str]]:
    """Names and values, files as bytes."""
    if content_type.lower().startswith("multipart/"):
        found = parts(body, content_type)
        return [(part.name, part.data if part.is_file else part.text) for part in found]
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_PARTS)
    except ValueError as error:
        raise InvalidRequest(f"The form cannot be read: {error}.") from None
    return list(pairs)


def _object(body: bytes) -> dict[str, Any]:
    try:
        fields = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"The body is not JSON: {error}.") from None
    if not isinstance(fields, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return fields


def _from_json(body: bytes, model: type[BaseModel]) -> _Form:
    """Null means absent, as typed clients send every field."""
    known = {info.alias or name for name, info in model.model_fields.items()} | {"image"}
    fields = {
        name: value
        for name, value in _object(body).items()
        if value is not None or name not in known
    }
    images = fields.pop("image", [])
    images = images if isinstance(images, list) else [images]
    if not all(isinstance(image, str) for image in images):
        raise InvalidParameter(
            "image must be a string or a list of strings, each base64 or a data URI.",
            parameter="image",
        )
    return _Form(fields, images)


def checked(model: type[Fields], fields: dict[str, Any], *, is_text: bool = False) -> Fields:
    """The fields as their model.

    Args:
        is_text: they are of a form, which has nothing else.

    Raises:
        InvalidRequest: a required one is missing.
        InvalidParameter: a value is not allowed, or there is no such field.
    """
    try:
        return model.model_validate(fields, strict=False if is_text else None)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
    # The deepest one: where a field may be this or that, it is about what was meant.
    worst = max(errors, key=lambda one: len(one["loc"]))
    parameter = str(worst["loc"][0]) if worst["loc"] else ""
    name = written_path(worst["loc"], fields)
    if worst["type"] == "missing":
        raise InvalidRequest(f"The field `{name}` is missing.", parameter=parameter)
    if worst["type"] in ("union_tag_invalid", "union_tag_not_found"):
        kinds = worst.get("ctx", {}).get("expected_tags") or "'text', 'image_url' or 'file'"
        raise InvalidParameter(f"{name}.type: must be one of {kinds}.", parameter=parameter)
    if worst["type"] == "extra_forbidden":
        known = ", ".join(["image", *(f.alias or n for n, f in model.model_fields.items())])
        raise InvalidParameter(f"`{name}` is no field here. Fields: {known}.", parameter=parameter)
    same = [one["msg"] for one in errors if written_path(one["loc"], fields) == name]
    raise InvalidParameter(f"{name}: {'; or: '.join(dict.fromkeys(same))}.", parameter=parameter)


def written_path(loc: Sequence[int | str], value: Any) -> str:
    """The place of an error as its sender writes it, such as `messages[0].content[1].text`.

    The validator puts the names of union members among the keys; what is no key or index of what
    was sent is one of them, except for the last, which may be a key that is missing.
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
