"""Answers that are JSON of a given shape: checked, and asked for once more where they are not.

The engine is held to the schema by its `format` where it can. Ollama lets a thinking model that
does not think go unheld, without a word (v0.13 to v0.33, server/routes.go: the grammar begins
where the thoughts end), so nothing is believed unchecked.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import jsonschema_rs
import orjson

from app.errors import InvalidParameter, SchemaUnsatisfied
from app.tasks import extent
from app.tasks.reader import Reader

FENCED = re.compile(r"```\w*\s(.*?)```", re.DOTALL)
OPENING = re.compile(r"[{\[]")
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"?|[{}\[\]]', re.DOTALL)  # a string, or a bracket
MOST_ERRORS = 5  # that are told
MOST_TOLD = 300  # characters of one: it quotes what it is about
DEEPEST = 100  # levels; JSON writers end at 254, and the data stands inside the answer


class Schema:
    """A JSON Schema, or any object where it is None.

    Draft 2020-12 unless `$schema` says otherwise. Formats such as `date` are held to, as those who
    write them expect. The validator (Rust) matches patterns in bounded time, and fetches nothing.

    Raises:
        InvalidParameter: it is no JSON Schema.
    """

    def __init__(self, value: Mapping[str, Any] | None, parameter: str) -> None:
        self.format: Mapping[str, Any] | str = "json" if value is None else value
        schema = {"type": "object"} if value is None else dict(value)
        try:
            extent.check(schema)
            orjson.dumps(schema)  # as it goes to the engine: no lone surrogates, no huge integers
            self._validator = jsonschema_rs.validator_for(
                schema, retriever=_refuse, validate_formats=True
            )
        except jsonschema_rs.ValidationError as error:
            reason = _told(error)
        except (jsonschema_rs.ReferencingError, TypeError, ValueError) as error:
            reason = str(error)
        else:
            return
        raise InvalidParameter(f"{parameter} is no JSON Schema: {reason}.", parameter=parameter)

    def faults(self, data: Any) -> list[str]:
        """What is wrong with it, such as `$.total: "x" is not of type "number"`."""
        if _deeper(data, DEEPEST):
            return [f"it is nested deeper than {DEEPEST} levels"]
        return [_told(error) for error in self._validator.iter_errors(data)]


class JsonReader(Reader):
    """Holds the answer back until it is known to be right. Once it is, `data` is it."""

    def __init__(self, schema: Schema) -> None:
        self.data: Any = None
        self._schema = schema
        self._raw: list[str] = []
        self._corrected = False

    def feed(self, text: str) -> str:
        self._raw.append(text)
        return ""

    def cut(self, characters: int) -> int:
        return 0

    def again(self) -> str | None:
        faults = self._read()
        if not faults or self._corrected:
            return None
        self._corrected = True
        self._raw = []
        listed = "\n".join(f"- {fault}" for fault in faults[:MOST_ERRORS])
        return f"That does not fit:\n{listed}\nWrite the whole JSON again, right, and nothing else."

    def end(self) -> str:
        faults = self._read()
        if faults:
            more = f" (and {len(faults) - MOST_ERRORS} more)" if len(faults) > MOST_ERRORS else ""
            raise SchemaUnsatisfied(
                f"The model's answer does not fit the schema: {'; '.join(faults[:MOST_ERRORS])}"
                f"{more}. Raise max_tokens if it was cut, or make the schema simpler.",
                raw=self.raw(),
            )
        return orjson.dumps(self.data, option=orjson.OPT_INDENT_2).decode()

    def raw(self) -> str:
        return "".join(self._raw)

    def warnings(self) -> list[str]:
        return ["The first answer did not fit the schema; it was asked again."] * self._corrected

    def _read(self) -> list[str]:
        """Find the JSON in what the model wrote; what is wrong with it."""
        raw = self.raw().strip()
        try:
            values = [orjson.loads(raw)]
        except ValueError as error:
            values = list(_values(raw.rpartition("</think>")[2]))
            if not values:
                some = OPENING.search(raw)
                return [f"it is no JSON ({error})" if some else "there is no JSON in it"]
        faults = [self._schema.faults(value) for value in values]
        right = [value for value, wrong in zip(values, faults, strict=True) if not wrong]
        if not right:
            return faults[-1]
        if any(value != right[0] for value in right):
            return [f"it holds {len(right)} JSON values; write one"]
        self.data = right[0]
        return []


def _values(text: str) -> Iterator[Any]:
    """The JSON in a fence, and every outermost object or list between other words. Nothing is
    taken out of one that is damaged or cut: a part is not the whole."""
    for part in (*(match[1] for match in FENCED.finditer(text)), *_bracketed(text)):
        with suppress(ValueError):
            yield orjson.loads(part)


def _bracketed(text: str) -> Iterator[str]:
    """What stands between an outermost bracket and its counterpart; none behind one that is never
    closed."""
    end = 0
    while opening := OPENING.search(text, end):
        depth = 0
        for token in TOKEN.finditer(text, opening.start()):
            depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token[0], 0)
            if not depth:
                end = token.end()
                break
        else:
            return
        yield text[opening.start() : end]


def _told(error: jsonschema_rs.ValidationError) -> str:
    """Cut in the middle, where the value is quoted; what is wrong with it stands at the end."""
    told = f"{_path(error.instance_path)}: {error.message}"
    half = MOST_TOLD // 2
    return told if len(told) <= MOST_TOLD else f"{told[:half]} ... {told[-half:]}"


def _path(steps: list[str | int]) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


def _deeper(data: Any, levels: int) -> bool:
    """Whether lists and objects stand in one another more than so many times."""
    if not isinstance(data, dict | list):
        return False
    inner = data.values() if isinstance(data, dict) else data
    return levels <= 0 or any(_deeper(one, levels - 1) for one in inner)


def _refuse(uri: str) -> Any:
    raise ValueError(f"{uri} is elsewhere; a schema must hold all that it refers to")


def told(schema: Mapping[str, Any]) -> str:
    """A schema as the model reads it."""
    return json.dumps(schema, ensure_ascii=False)
