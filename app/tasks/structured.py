"""Answers that are JSON of a given shape: checked, and asked for once more where they are not.

The engine is held to the schema by its `format` where it can. Ollama lets a thinking model that
does not think go unheld, without a word (v0.13 to v0.33, server/routes.go: the grammar begins
where the thoughts end), so nothing is believed unchecked.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import jsonschema_rs
import orjson

from app.errors import InvalidParameter, SchemaUnsatisfied
from app.tasks.reader import Reader

FENCED = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL)
MOST_ERRORS = 5  # that are told


class Schema:
    """A JSON Schema, or any object where it is None.

    Draft 2020-12 unless `$schema` says otherwise. The validator (Rust) matches patterns in bounded
    time, and fetches nothing.

    Raises:
        InvalidParameter: it is no JSON Schema.
    """

    def __init__(self, value: Mapping[str, Any] | None, parameter: str) -> None:
        self.format: Mapping[str, Any] | str = "json" if value is None else value
        try:
            self._validator = jsonschema_rs.validator_for(
                {"type": "object"} if value is None else dict(value), retriever=_refuse
            )
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
            reason = getattr(error, "message", str(error))
            raise InvalidParameter(
                f"{parameter} is no JSON Schema: {reason}.", parameter=parameter
            ) from None

    def faults(self, data: Any) -> list[str]:
        """What is wrong with it, such as `$.total: "x" is not of type "number"`."""
        return [
            f"{_path(error.instance_path)}: {error.message}"
            for error in self._validator.iter_errors(data)
        ]


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
        fenced = FENCED.search(raw)
        bare = raw[raw.find("{") : raw.rfind("}") + 1]
        fault = "there is no JSON in it"
        for text in filter(None, (raw, fenced and fenced[1].strip(), bare)):
            try:
                self.data = orjson.loads(text)
            except ValueError as error:
                fault = f"it is no JSON ({error})"
            else:
                return self._schema.faults(self.data)
        return [fault]


def _path(steps: list[str | int]) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


def _refuse(uri: str) -> Any:
    raise ValueError(f"{uri} is elsewhere; a schema must hold all that it refers to")


def told(schema: Mapping[str, Any]) -> str:
    """A schema as the model reads it."""
    return json.dumps(schema, ensure_ascii=False)
