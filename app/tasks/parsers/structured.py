"""Validates answers that must be JSON, and requests one correction if they do not match.

The engine enforces the schema by `format` where it can. Ollama does not enforce it for a thinking
model that does not think, and reports no error (v0.13 to v0.33, server/routes.go: the grammar
starts where the thoughts end). Every answer is therefore validated.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any

import jsonschema_rs
import orjson

from app.errors import InvalidParameter, SchemaUnsatisfied
from app.tasks.parsers import schema_cost
from app.tasks.parsers.base import AnswerParser

FENCED = re.compile(r"```\w*\s(.*?)```", re.DOTALL)
OPENING = re.compile(r"[{\[]")
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"?|[{}\[\]]', re.DOTALL)  # a string, or a bracket
MAX_ERRORS = 5  # listed errors
MAX_ERROR_CHARACTERS = 300  # characters of an error, which quotes the invalid value
MAX_DEPTH = 100  # levels; JSON writers stop at 254, and the response nests the data
MAX_VALUES = 200_000  # in one answer; a list of so many takes about 50 ms to check
MAX_LOCATED_VALUES = 1000  # values of a schema; the error in a larger one is not located
MAX_CANDIDATES = 64  # JSON values checked in one answer
MAX_INDENTED_CHARACTERS = 100_000  # characters of an answer; indentation adds up to 200 a line

# Size of a compiled pattern. `^.{1,300}$` fits.
MAX_PATTERN_BYTES = 400_000
# Matching takes linear time. Lookaround and back-references are not supported.
PATTERN_OPTIONS = jsonschema_rs.RegexOptions(
    size_limit=MAX_PATTERN_BYTES, dfa_size_limit=MAX_PATTERN_BYTES
)
PATTERN_RULES = (
    "Patterns are matched in linear time: lookaround ((?=, (?!, (?<) and back-references are not "
    f"supported, and a compiled pattern has at most {MAX_PATTERN_BYTES // 1000} kB"
)

# Steps of a validation (`schema_cost.ValidationCost`), at most about 100 ns each.
UNCHECKED_STEPS = 200_000  # below this the exact count is skipped
MAX_STEPS = 1_000_000
MAX_COPIES = 150_000  # values copied into errors, about 600 ns each


class SchemaValidator:
    """A JSON Schema; any JSON object if it is None.

    The draft is 2020-12 unless `$schema` names another. Formats such as `date` are enforced. The
    validator (Rust) matches patterns in linear time and fetches nothing.

    Raises:
        InvalidParameter: the schema is invalid, or too expensive (`schema_cost.check_schema`).
    """

    def __init__(self, value: Mapping[str, Any] | None, parameter: str) -> None:
        self.format: Mapping[str, Any] | str = "json" if value is None else value
        self._schema = {"type": "object"} if value is None else dict(value)
        try:
            self._schema_cost = schema_cost.check_schema(self._schema)
            if self._schema_cost.values > MAX_LOCATED_VALUES and not jsonschema_rs.meta.is_valid(
                self._schema
            ):
                raise ValueError("a keyword has an invalid value")
            self._validator = jsonschema_rs.validator_for(
                self._schema,
                retriever=_refuse_reference,
                validate_formats=True,
                pattern_options=PATTERN_OPTIONS,
            )
        except jsonschema_rs.ValidationError as error:
            reason = _format_error(error)
            if reason.endswith('is not a "regex"'):
                reason += f". {PATTERN_RULES}"
        except (jsonschema_rs.ReferencingError, TypeError, ValueError) as error:
            reason = str(error)[:MAX_ERROR_CHARACTERS]
        else:
            return
        raise InvalidParameter(f"{parameter} is not a JSON Schema: {reason}.", parameter=parameter)

    def errors(self, data: Any) -> list[str]:
        """The errors of `data`, such as `$.total: "x" is not of type "number"`; empty if it is
        valid. At most `MAX_CANDIDATES` errors are listed. Takes at most 100 ms for any input."""
        size = _JsonSize()
        if not size.add(data, MAX_DEPTH):
            many = size.values > MAX_VALUES
            return [
                f"it has more than {MAX_VALUES} values"
                if many
                else f"it is nested deeper than {MAX_DEPTH} levels"
            ]
        cost = self._schema_cost
        exact_cost: schema_cost.ValidationCost | None = None
        steps = cost.values * size.values
        steps += cost.patterns * size.characters * schema_cost.STEPS_PER_CHARACTER
        if steps > UNCHECKED_STEPS:
            exact_cost = schema_cost.validation_cost(self._schema, data, MAX_STEPS)
            if exact_cost is None:
                return ["it is too much to be checked against this schema"]
        if self._validator.is_valid(data):
            return []
        exact_cost = exact_cost or schema_cost.validation_cost(self._schema, data, MAX_STEPS)
        if exact_cost is None or exact_cost.copies > MAX_COPIES:
            return ["it does not fit the schema"]
        errors = self._validator.iter_errors(data)
        return [_format_error(error) for error in islice(errors, MAX_CANDIDATES)]


class JsonParser(AnswerParser):
    """Buffers the answer until it is complete. `data` is the validated JSON."""

    def __init__(self, schema: SchemaValidator) -> None:
        self.data: Any = None
        self._schema = schema
        self._raw: list[str] = []
        self._corrected = False
        self._errors: list[str] | None = None  # of the output so far; None: not validated yet

    def feed(self, text: str) -> str:
        self._raw.append(text)
        self._errors = None
        return ""

    def retract(self, characters: int) -> int:
        return 0

    def correction(self) -> str | None:
        faults = self._errors_found()
        if not faults or self._corrected:
            return None
        self._corrected = True
        self._raw, self._errors = [], None
        listed = "\n".join(f"- {fault}" for fault in faults[:MAX_ERRORS])
        return f"That does not fit:\n{listed}\nWrite the whole JSON again, right, and nothing else."

    def finish(self) -> str:
        faults = self._errors_found()
        if faults:
            more = f" (and {len(faults) - MAX_ERRORS} more)" if len(faults) > MAX_ERRORS else ""
            raise SchemaUnsatisfied(
                f"The model's answer does not match the schema: {'; '.join(faults[:MAX_ERRORS])}"
                f"{more}. Raise max_tokens if the answer was cut off, or simplify the schema.",
                raw=self.raw_text(),
            )
        length = sum(map(len, self._raw))
        option = orjson.OPT_INDENT_2 if length <= MAX_INDENTED_CHARACTERS else None
        return orjson.dumps(self.data, option=option).decode()

    def raw_text(self) -> str:
        return "".join(self._raw)

    def warnings(self) -> list[str]:
        note = "The first answer did not match the schema; the model was asked again."
        return [note] * self._corrected

    def _errors_found(self) -> list[str]:
        if self._errors is None:
            self._errors = self._parse()
        return self._errors

    def _parse(self) -> list[str]:
        """Find the JSON in the model's output and store it in `data`. Returns its errors."""
        raw = self.raw_text().strip()
        try:
            values = [orjson.loads(raw)]
        except ValueError as error:
            values = list(islice(_json_values(raw.rpartition("</think>")[2]), MAX_CANDIDATES + 1))
            if len(values) > MAX_CANDIDATES:
                return [f"it holds more than {MAX_CANDIDATES} JSON values; write one"]
            if not values:
                some = OPENING.search(raw)
                return [f"it is no JSON ({error})" if some else "there is no JSON in it"]
        faults = [self._schema.errors(value) for value in values]
        right = [value for value, wrong in zip(values, faults, strict=True) if not wrong]
        if not right:
            return faults[-1]
        if any(value != right[0] for value in right):
            return [f"it holds {len(right)} JSON values; write one"]
        self.data = right[0]
        return []


def _json_values(text: str) -> Iterator[Any]:
    """The JSON values in fences, and all outermost objects and lists in other text. Parts of a
    malformed or truncated value are not used."""
    for part in (*(match[1] for match in FENCED.finditer(text)), *_bracketed(text)):
        with suppress(ValueError):
            yield orjson.loads(part)


def _bracketed(text: str) -> Iterator[str]:
    """The outermost bracketed texts. The search stops at a bracket that is never closed."""
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


def _format_error(error: jsonschema_rs.ValidationError) -> str:
    """An error as text, shortened in the middle: the quoted value comes first, the reason last."""
    message = f"{_path(error.instance_path)}: {error.message}"
    half = MAX_ERROR_CHARACTERS // 2
    return (
        message
        if len(message) <= MAX_ERROR_CHARACTERS
        else f"{message[:half]} ... {message[-half:]}"
    )


def _path(steps: list[str | int]) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


class _JsonSize:
    """The size of JSON data: values, and characters of strings and keys."""

    def __init__(self) -> None:
        self.values = self.characters = 0

    def add(self, data: Any, levels: int) -> bool:
        """Count a value and its contents. Returns False if they nest deeper than `levels`, or have
        more than `MAX_VALUES` values."""
        self.values += 1
        if self.values > MAX_VALUES:
            return False
        if isinstance(data, str):
            self.characters += len(data)
        elif isinstance(data, dict):
            self.characters += sum(map(len, data))
            return levels > 0 and all(self.add(one, levels - 1) for one in data.values())
        elif isinstance(data, list):
            return levels > 0 and all(self.add(one, levels - 1) for one in data)
        return True


def _refuse_reference(uri: str) -> Any:
    raise ValueError(f"{uri} is outside the schema; a schema must contain everything it references")


def schema_text(schema: Mapping[str, Any]) -> str:
    """A schema as it appears in the prompt."""
    return json.dumps(schema, ensure_ascii=False)
