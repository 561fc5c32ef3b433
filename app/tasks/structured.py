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
from app.tasks import extent
from app.tasks.reader import Reader

FENCED = re.compile(r"```\w*\s(.*?)```", re.DOTALL)
OPENING = re.compile(r"[{\[]")
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"?|[{}\[\]]', re.DOTALL)  # a string, or a bracket
MOST_ERRORS = 5  # listed errors
MOST_TOLD = 300  # characters of an error, which quotes the invalid value
DEEPEST = 100  # levels; JSON writers stop at 254, and the response nests the data
MOST_VALUES = 200_000  # in one answer; a list of so many takes about 50 ms to check
MOST_LOCATED = 1000  # values of a schema; the error in a larger one is not located
MOST_FOUND = 64  # JSON values checked in one answer
LONGEST_INDENTED = 100_000  # characters of an answer; indentation adds up to 200 a line

# Size of a compiled pattern. `^.{1,300}$` fits.
PATTERN_BYTES = 400_000
# Matching takes linear time. Lookaround and back-references are not supported.
PATTERNS = jsonschema_rs.RegexOptions(size_limit=PATTERN_BYTES, dfa_size_limit=PATTERN_BYTES)
PATTERN_RULES = (
    "Patterns are matched in linear time: lookaround ((?=, (?!, (?<) and back-references are not "
    f"supported, and a compiled pattern has at most {PATTERN_BYTES // 1000} kB"
)

# Steps of a validation (`extent.Work`), at most about 100 ns each.
FEW_STEPS = 200_000  # below this the exact count is skipped
MOST_STEPS = 1_000_000
MOST_COPIES = 150_000  # values copied into errors, about 600 ns each


class Schema:
    """A JSON Schema; any JSON object if it is None.

    The draft is 2020-12 unless `$schema` names another. Formats such as `date` are enforced. The
    validator (Rust) matches patterns in linear time and fetches nothing.

    Raises:
        InvalidParameter: the schema is invalid, or too expensive (`extent.check`).
    """

    def __init__(self, value: Mapping[str, Any] | None, parameter: str) -> None:
        self.format: Mapping[str, Any] | str = "json" if value is None else value
        self._schema = {"type": "object"} if value is None else dict(value)
        try:
            self._extent = extent.check(self._schema)
            if self._extent.values > MOST_LOCATED and not jsonschema_rs.meta.is_valid(self._schema):
                raise ValueError("a keyword has an invalid value")
            self._validator = jsonschema_rs.validator_for(
                self._schema, retriever=_refuse, validate_formats=True, pattern_options=PATTERNS
            )
        except jsonschema_rs.ValidationError as error:
            reason = _told(error)
            if reason.endswith('is not a "regex"'):
                reason += f". {PATTERN_RULES}"
        except (jsonschema_rs.ReferencingError, TypeError, ValueError) as error:
            reason = str(error)[:MOST_TOLD]
        else:
            return
        raise InvalidParameter(f"{parameter} is not a JSON Schema: {reason}.", parameter=parameter)

    def faults(self, data: Any) -> list[str]:
        """The errors of `data`, such as `$.total: "x" is not of type "number"`; empty if it is
        valid. At most `MOST_FOUND` errors are listed. Takes at most 100 ms for any input."""
        size = _Size()
        if not size.add(data, DEEPEST):
            many = size.values > MOST_VALUES
            return [
                f"it has more than {MOST_VALUES} values"
                if many
                else f"it is nested deeper than {DEEPEST} levels"
            ]
        known = self._extent
        work: extent.Work | None = None
        steps = known.values * size.values
        steps += known.patterns * size.characters * extent.STEPS_A_CHARACTER
        if steps > FEW_STEPS:
            work = extent.work(self._schema, data, MOST_STEPS)
            if work is None:
                return ["it is too much to be checked against this schema"]
        if self._validator.is_valid(data):
            return []
        work = work or extent.work(self._schema, data, MOST_STEPS)
        if work is None or work.copies > MOST_COPIES:
            return ["it does not fit the schema"]
        errors = self._validator.iter_errors(data)
        return [_told(error) for error in islice(errors, MOST_FOUND)]


class JsonReader(Reader):
    """Buffers the answer until it is complete. `data` is the validated JSON."""

    def __init__(self, schema: Schema) -> None:
        self.data: Any = None
        self._schema = schema
        self._raw: list[str] = []
        self._corrected = False
        self._faults: list[str] | None = None  # of the output so far; None: not validated yet

    def feed(self, text: str) -> str:
        self._raw.append(text)
        self._faults = None
        return ""

    def cut(self, characters: int) -> int:
        return 0

    def again(self) -> str | None:
        faults = self._found()
        if not faults or self._corrected:
            return None
        self._corrected = True
        self._raw, self._faults = [], None
        listed = "\n".join(f"- {fault}" for fault in faults[:MOST_ERRORS])
        return f"That does not fit:\n{listed}\nWrite the whole JSON again, right, and nothing else."

    def end(self) -> str:
        faults = self._found()
        if faults:
            more = f" (and {len(faults) - MOST_ERRORS} more)" if len(faults) > MOST_ERRORS else ""
            raise SchemaUnsatisfied(
                f"The model's answer does not match the schema: {'; '.join(faults[:MOST_ERRORS])}"
                f"{more}. Raise max_tokens if the answer was cut off, or simplify the schema.",
                raw=self.raw(),
            )
        length = sum(map(len, self._raw))
        option = orjson.OPT_INDENT_2 if length <= LONGEST_INDENTED else None
        return orjson.dumps(self.data, option=option).decode()

    def raw(self) -> str:
        return "".join(self._raw)

    def warnings(self) -> list[str]:
        note = "The first answer did not match the schema; the model was asked again."
        return [note] * self._corrected

    def _found(self) -> list[str]:
        if self._faults is None:
            self._faults = self._read()
        return self._faults

    def _read(self) -> list[str]:
        """Find the JSON in the model's output and store it in `data`. Returns its errors."""
        raw = self.raw().strip()
        try:
            values = [orjson.loads(raw)]
        except ValueError as error:
            values = list(islice(_values(raw.rpartition("</think>")[2]), MOST_FOUND + 1))
            if len(values) > MOST_FOUND:
                return [f"it holds more than {MOST_FOUND} JSON values; write one"]
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


def _told(error: jsonschema_rs.ValidationError) -> str:
    """An error as text, shortened in the middle: the quoted value comes first, the reason last."""
    told = f"{_path(error.instance_path)}: {error.message}"
    half = MOST_TOLD // 2
    return told if len(told) <= MOST_TOLD else f"{told[:half]} ... {told[-half:]}"


def _path(steps: list[str | int]) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


class _Size:
    """The size of JSON data: values, and characters of strings and keys."""

    def __init__(self) -> None:
        self.values = self.characters = 0

    def add(self, data: Any, levels: int) -> bool:
        """Count a value and its contents. Returns False if they nest deeper than `levels`, or have
        more than `MOST_VALUES` values."""
        self.values += 1
        if self.values > MOST_VALUES:
            return False
        if isinstance(data, str):
            self.characters += len(data)
        elif isinstance(data, dict):
            self.characters += sum(map(len, data))
            return levels > 0 and all(self.add(one, levels - 1) for one in data.values())
        elif isinstance(data, list):
            return levels > 0 and all(self.add(one, levels - 1) for one in data)
        return True


def _refuse(uri: str) -> Any:
    raise ValueError(f"{uri} is outside the schema; a schema must contain everything it references")


def told(schema: Mapping[str, Any]) -> str:
    """A schema as it appears in the prompt."""
    return json.dumps(schema, ensure_ascii=False)
