"""The fields of a task as options of a command: told once, in `app.schemas`."""

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
# What the field's own description does not say, or says for those who write JSON.
FLAGS = {
    "question": ("--question", "-q"),
    "labels": ("--labels", "--label", "-l"),
    "think": ("--think/--no-think",),
    "prompt": ("--prompt", "-p"),
    "model": ("--model", "-m"),
}
HELP = {
    "style": "How it speaks; default: paragraph",
    "format": "What it writes; default: text",
    "question": "One question; several by repeating it",
    "labels": "What to find; several with commas, or by repeating it",
    "schema": "A JSON Schema: a file, or the JSON itself",
    "temperature": "0 is exact, 2 is wild; the task has its own default",
    "seed": "The same seed and picture give the same answer",
}


def parameters(task: str) -> tuple[list[Parameter], list[Parameter]]:
    """The task's own options, and those that every task has. None stands for what was not said:
    then the server's own default holds."""
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
    """What typer reads it as: a list of texts, a choice, or a plain value."""
    kinds = [info.annotation, *get_args(info.annotation)]
    plain = [get_args(one)[0] if get_origin(one) is Annotated else one for one in kinds]
    if any(get_origin(one) is list for one in plain):
        return list[str]
    for one in plain:
        if one in (bool, int, float, str):
            return one
        if isinstance(one, type) and issubclass(one, Enum):
            return one
    return str  # an object, as its JSON


def request_fields(task: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The fields to send, as their JSON: those that were said.

    Raises:
        typer.BadParameter: a schema cannot be read.
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
    """A JSON Schema: the text itself where it begins as an object, else the file of that name."""
    try:
        schema = json.loads(text if text.lstrip().startswith("{") else Path(text).read_text())
    except OSError as error:
        reason = f"{text} cannot be read: {error.strerror}."
        raise typer.BadParameter(reason, param_hint="--schema") from None
    except ValueError as error:
        raise typer.BadParameter(f"It is no JSON: {error}.", param_hint="--schema") from None
    if not isinstance(schema, dict):
        raise typer.BadParameter("A JSON Schema is an object.", param_hint="--schema")
    return schema
