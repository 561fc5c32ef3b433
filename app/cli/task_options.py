"""Command options made from the fields of a task, which `app.schemas` defines."""

import json
from collections.abc import Mapping
from enum import Enum
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from app.schemas import (
    DescribeRequest,
    DetectRequest,
    ExtractRequest,
    OcrRequest,
    TaskRequest,
    VqaRequest,
)

TASKS: Mapping[str, type[BaseModel]] = {
    "describe": DescribeRequest,
    "ocr": OcrRequest,
    "vqa": VqaRequest,
    "extract": ExtractRequest,
    "detect": DetectRequest,
}
# Texts for the command line where the description of the field is for JSON.
FLAGS = {
    "question": ("--question", "-q"),
    "labels": ("--labels", "--label", "-l"),
    "think": ("--think/--no-think",),
    "prompt": ("--prompt", "-p"),
    "model": ("--model", "-m"),
}
HELP = {
    "style": "Style of the description; default: paragraph",
    "format": "Output format; default: text",
    "question": "A question; repeat for several",
    "labels": "Objects to find; separate several with commas, or repeat the option",
    "schema": "JSON Schema: a file, or the JSON itself",
    "temperature": "0 to 2, higher is more random; the default depends on the task",
    "seed": "The same seed and image give the same answer",
}


def parameters(task: str) -> tuple[list[Parameter], list[Parameter]]:
    """The options of the task, and the options that all tasks have.

    An option that is not given is None and is not sent; the server applies its default.
    """
    fields = {info.alias or name: info for name, info in TASKS[task].model_fields.items()}
    own = [name for name in fields if name not in TaskRequest.model_fields]
    common = [name for name in fields if name not in own and name != "stream"]
    return [_parameter(name, fields[name]) for name in own], [
        _parameter(name, fields[name]) for name in common
    ]


def _parameter(name: str, info: FieldInfo) -> Parameter:
    kind = _option_type(info)
    text = HELP.get(name) or (info.description or "").replace("`", "")
    option = typer.Option(
        *FLAGS.get(name, (f"--{name.replace('_', '-')}",)), help=text, show_default=False
    )
    required = info.is_required()
    return Parameter(
        name,
        Parameter.KEYWORD_ONLY,
        default=Parameter.empty if required else None,
        annotation=Annotated[kind if required else kind | None, option],
    )


def _option_type(info: FieldInfo) -> Any:
    """The type for typer: a list of strings, an enum, or a plain value."""
    kinds = [info.annotation, *get_args(info.annotation)]
    plain = [get_args(one)[0] if get_origin(one) is Annotated else one for one in kinds]
    if any(get_origin(one) is list for one in plain):
        return list[str]
    for one in plain:
        if one in (bool, int, float, str):
            return one
        if isinstance(one, type) and issubclass(one, Enum):
            return one
    return str  # an object, given as JSON


def request_fields(task: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The fields to send: the options that were given.

    Raises:
        typer.BadParameter: the schema cannot be read or is not a JSON object.
    """
    fields: dict[str, Any] = {}
    for name, value in options.items():
        match value:
            case None | []:
                continue
            case Enum():
                fields[name] = value.value
            case _ if name == "schema":
                fields[name] = _schema(value)
            case _ if name == "labels":
                fields[name] = [one.strip() for label in value for one in label.split(",") if one]
            case _:
                fields[name] = value
    return fields


def _schema(text: str) -> dict[str, Any]:
    """Parse a JSON Schema: the text itself if it starts with `{`, else the file of that name."""
    try:
        schema = json.loads(text if text.lstrip().startswith("{") else Path(text).read_text())
    except OSError as error:
        reason = f"{text} cannot be read: {error.strerror}."
        raise typer.BadParameter(reason, param_hint="--schema") from None
    except ValueError as error:
        raise typer.BadParameter(
            f"This is not valid JSON: {error}.", param_hint="--schema"
        ) from None
    if not isinstance(schema, dict):
        raise typer.BadParameter("A JSON Schema must be an object.", param_hint="--schema")
    return schema
