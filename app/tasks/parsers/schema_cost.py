"""Limits the cost of validating JSON against a client's JSON Schema.

A schema of two kilobytes can nest ten references to ten references twelve levels deep. No
validator finishes that, and the event loop would block meanwhile.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import orjson

MAX_OBJECTS = 5_000  # objects, with references expanded; a validator takes up to 50 ms for them
MAX_BYTES = 524_288  # of the schema as JSON
MAX_VALUES = 60_000  # of all kinds in the schema, including those of an `enum`
MAX_PATTERNS = 50  # distinct; each compiles to at most `structured.MAX_PATTERN_BYTES`
MAX_PATTERN_CHARACTERS = 16_384  # characters of all patterns together
# The validator rewrites a pattern for each class escape (`\s`, `\d`, ...): 400 of them take
# 0.7 s. The limit is on the sum over all patterns of their number squared.
MAX_REWRITES = 5000
CLASS_ESCAPE = re.compile(r"\\[dDsSwWc]")
INLINE_FLAGS = re.compile(r"\(\?[a-zA-Z-]+[:)]")  # not in ECMA-262; one `(?i)\p{L}` takes 1 ms
MAX_DEPTH = 200  # nested objects and lists, through references; JSON writers stop at 254
REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})
DEFINITIONS = ("$defs", "definitions")  # of the root schema; counted where they are referenced

MAX_PAIRS = 40_000  # pairs of subschema and value that `validation_cost` visits: 100 ms of Python
# Keywords whose subschemas apply to the value itself; the next two apply to its contents.
IN_PLACE_KEYWORDS = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas")
ITEM_KEYWORDS = ("items", "prefixItems", "additionalItems", "contains", "unevaluatedItems")
PROPERTY_KEYWORDS = ("additionalProperties", "unevaluatedProperties", "patternProperties")
QUOTED_KEYWORDS = ("enum", "const", "required")  # an error quotes the keyword's value
STEPS_PER_CHARACTER = 10  # of a string that a pattern is matched against; measured worst case


@dataclass(frozen=True, slots=True)
class SchemaCost:
    """The size of a schema: `values` with references expanded, `recursive` if the schema refers to
    itself, the number of distinct `patterns`."""

    values: int
    recursive: bool
    patterns: int


@dataclass(frozen=True, slots=True)
class ValidationCost:
    """The cost of validating some data.

    `steps`: cost of deciding validity; the validator memoizes its results. `copies`: values copied
    when all errors are listed. That pass does not memoize, and each error copies its value.
    """

    steps: int
    copies: int


def check_schema(schema: Any) -> SchemaCost:
    """Check a schema against the limits of this module.

    Raises:
        ValueError: the schema exceeds a limit, or a reference is not `#` or `#/...` (engines
            accept no others). The message is the reason.
        TypeError: the schema cannot be serialized as JSON.
    """
    values, patterns = _count_values_and_patterns(schema)
    if values > MAX_VALUES:
        raise ValueError(f"it has more than {MAX_VALUES} values")
    _check_patterns(patterns)
    # orjson also serializes the request: it rejects lone surrogates and huge integers.
    if len(orjson.dumps(schema)) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES // 1024} kB")
    walk = _SchemaWalk(schema)
    try:
        objects = walk.objects(schema, 0)
    except RecursionError:  # the frames of the caller count as well
        raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels") from None
    if objects > MAX_OBJECTS:
        raise ValueError(f"it has more than {MAX_OBJECTS} parts with its references expanded")
    if walk.recursive and _circular(schema):
        raise ValueError("a reference leads back to itself for the same value")
    return SchemaCost(max(values, objects), walk.recursive, len(patterns))


def _check_patterns(patterns: Collection[str]) -> None:
    if len(patterns) > MAX_PATTERNS:
        raise ValueError(f"it has more than {MAX_PATTERNS} patterns")
    if sum(map(len, patterns)) > MAX_PATTERN_CHARACTERS:
        raise ValueError(f"its patterns have more than {MAX_PATTERN_CHARACTERS} characters")
    if sum(len(CLASS_ESCAPE.findall(pattern)) ** 2 for pattern in patterns) > MAX_REWRITES:
        raise ValueError(
            "its patterns have too many class escapes (\\d, \\s, \\w); write character classes"
        )
    if any(map(INLINE_FLAGS.search, patterns)):
        raise ValueError("inline flags such as (?i) are not supported in patterns")


def validation_cost(schema: Any, data: Any, max_steps: int) -> ValidationCost | None:
    """The cost of validating `data`. None if it exceeds `max_steps`, or 100 ms of counting.

    Args:
        schema: a schema that passed `check_schema`.
    """
    try:
        return _ValidationWalk(schema, max_steps).cost(data)
    except (OverflowError, RecursionError):
        return None


def count_values(data: Any) -> int:
    """The number of values in `data`, nested ones included. Counting stops above `MAX_VALUES`."""
    return _count_values_and_patterns(data)[0]


def _count_values_and_patterns(data: Any) -> tuple[int, set[str]]:
    """The number of values, and the distinct patterns (`pattern`, `patternProperties`)."""
    waiting, seen = [data], 0
    patterns: set[str] = set()
    while waiting and seen <= MAX_VALUES:
        node = waiting.pop()
        seen += 1
        if isinstance(node, dict):
            if isinstance(pattern := node.get("pattern"), str):
                patterns.add(pattern)
            if isinstance(named := node.get("patternProperties"), dict):
                patterns.update(named)
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
    return seen + len(waiting), patterns


class _SchemaWalk:
    """Counts the objects of one schema. Each part is walked once."""

    def __init__(self, root: Any) -> None:
        self.recursive = False
        self._root = root
        self._counts: dict[int, int] = {}  # by identity; 0 while it is walked (a cycle)

    def objects(self, node: Any, depth: int) -> int:
        """The number of objects in a part, with its references expanded."""
        if not isinstance(node, dict | list):
            return 0
        if depth > MAX_DEPTH:
            raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
        if id(node) not in self._counts:
            self._counts[id(node)] = 0
            inner = sum(self.objects(part, depth + 1) for part in self._parts(node))
            self._counts[id(node)] = inner + isinstance(node, dict)
        elif not self._counts[id(node)] and isinstance(node, dict):
            self.recursive = True
        return self._counts[id(node)]

    def _parts(self, node: dict[str, Any] | list[Any]) -> Iterator[Any]:
        if isinstance(node, list):
            yield from node
            return
        told = DEFINITIONS if node is self._root else ()
        yield from (part for name, part in node.items() if name not in told)
        if not REFERENCES.isdisjoint(node):
            yield from reference_targets(self._root, node)


class _ValidationWalk:
    """Counts the pairs of subschema and value that a validation visits. A pair whose value is a
    list or an object counts once, because the validator memoizes it."""

    def __init__(self, root: Any, max_steps: int) -> None:
        self._root = root
        self._max_steps = max_steps
        self._copies: dict[tuple[int, int], int] = {}
        self._weights: dict[int, int] = {}
        self._sizes: dict[int, int] = {}
        self._steps = self._pairs = 0

    def cost(self, data: Any) -> ValidationCost:
        """Raises OverflowError if there are too many pairs or steps."""
        copies = self._copies_of(self._root, data)
        return ValidationCost(self._steps, copies)

    def _copies_of(self, schema: Any, data: Any) -> int:
        self._pairs += 1
        if self._pairs > MAX_PAIRS or self._steps > self._max_steps:
            raise OverflowError
        if not isinstance(schema, dict):
            return 1
        pair = (id(schema), id(data))
        if pair in self._copies and isinstance(data, dict | list):
            return self._copies[pair]
        self._copies[pair] = 0  # ends a cycle
        self._steps += self._own_steps(schema, data)
        inner = sum(self._copies_of(part, data) for part in in_place_subschemas(self._root, schema))
        inner += sum(self._copies_of(part, value) for part, value in _inner_pairs(schema, data))
        keywords = len(schema) + sum(
            self._size(schema[name]) for name in QUOTED_KEYWORDS if name in schema
        )
        self._copies[pair] = keywords * self._weight(data) + inner
        return self._copies[pair]

    def _own_steps(self, schema: Mapping[str, Any], data: Any) -> int:
        """The steps that a schema's own keywords take on a value."""
        steps = 1 + len(schema)
        for name in QUOTED_KEYWORDS:
            if name in schema:
                steps += self._size(schema[name])
        if isinstance(data, str) and "pattern" in schema:
            steps += STEPS_PER_CHARACTER * len(data)
        elif isinstance(data, dict):
            patterns = len(schema.get("patternProperties", ()))
            patterns += "propertyNames" in schema
            if patterns:
                steps += patterns * STEPS_PER_CHARACTER * sum(map(len, data))
        elif isinstance(data, list) and "uniqueItems" in schema:
            steps += self._size(data)
        return steps

    def _weight(self, data: Any) -> int:
        """The cost of copying `data`, in values. 50 characters cost as much as one value."""
        if isinstance(data, str):
            return 1 + len(data) // 50
        if not isinstance(data, dict | list):
            return 1
        if id(data) not in self._weights:
            inner = data.values() if isinstance(data, dict) else data
            weight = 1 + sum(map(self._weight, inner))
            if isinstance(data, dict):
                weight += sum(map(len, data)) // 50
            self._weights[id(data)] = weight
        return self._weights[id(data)]

    def _size(self, data: Any) -> int:
        if id(data) not in self._sizes:
            self._sizes[id(data)] = count_values(data)
        return self._sizes[id(data)]


def in_place_subschemas(root: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
    """The subschemas that apply to the value itself, including those it references."""
    for name in IN_PLACE_KEYWORDS:
        if name in schema:
            yield from _subschemas(schema[name], name == "dependentSchemas")
    if isinstance(either := schema.get("dependencies"), dict):
        yield from either.values()
    if not REFERENCES.isdisjoint(schema):
        yield from reference_targets(root, schema)


def _circular(root: Any) -> bool:
    """Whether a subschema applies itself to the same value again. The behaviour of such a schema
    is undefined (JSON Schema 2020-12, 9.4.1), and a validator takes exponential time."""
    waiting, done, open_ = [root], set[int](), set[int]()
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict | list):
            waiting += node.values() if isinstance(node, dict) else node
        if not isinstance(node, dict) or id(node) in done:
            continue
        path = [(node, in_place_subschemas(root, node))]
        open_.add(id(node))
        while path:
            at, parts = path[-1]
            part = next(parts, None)
            if part is None:
                open_.discard(id(at))
                done.add(id(at))
                path.pop()
            elif id(part) in open_:
                return True
            elif isinstance(part, dict) and id(part) not in done:
                open_.add(id(part))
                path.append((part, in_place_subschemas(root, part)))
    return False


def _inner_pairs(schema: Mapping[str, Any], data: Any) -> Iterator[tuple[Any, Any]]:
    """The subschemas that apply to the contents of a value, each with its value."""
    if isinstance(data, list):
        for name in ITEM_KEYWORDS:
            for part in _subschemas(schema.get(name), False):
                yield from ((part, item) for item in data)
    elif isinstance(data, dict):
        properties = schema.get("properties")
        if isinstance(properties, dict):
            yield from ((properties[name], data[name]) for name in properties if name in data)
        for name in PROPERTY_KEYWORDS:
            for part in _subschemas(schema.get(name), name == "patternProperties"):
                yield from ((part, value) for value in data.values())


def _subschemas(given: Any, named: bool) -> Iterable[Any]:
    """The subschemas of a keyword: a list, a mapping (if `named`), or a single one."""
    if isinstance(given, list):
        return given
    if named and isinstance(given, dict):
        return given.values()
    return (given,) if isinstance(given, dict) else ()


def reference_targets(root: Any, node: Mapping[str, Any]) -> Iterator[Any]:
    """The subschemas that an object of a schema references.

    Raises:
        ValueError: a reference points outside the schema.
    """
    for name in REFERENCES:
        if isinstance(reference := node.get(name), str):
            yield _resolve_reference(root, reference)


def _resolve_reference(root: Any, reference: str) -> Any:
    if reference != "#" and not reference.startswith("#/"):
        raise ValueError(f"{reference[:80]} is outside the schema; write references as #/...")
    place = root
    for written in unquote(reference[1:]).split("/")[1:]:
        step = written.replace("~1", "/").replace("~0", "~")
        if isinstance(place, list):
            place = place[int(step)] if step.isdecimal() and int(step) < len(place) else None
        else:
            place = place.get(step) if isinstance(place, dict) else None
    return place
