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

MOST = 5_000  # objects, with references expanded; a validator takes up to 50 ms for them
MOST_BYTES = 524_288  # of the schema as JSON
MOST_VALUES = 60_000  # of all kinds in the schema, including those of an `enum`
MOST_PATTERNS = 50  # distinct; each compiles to at most `structured.PATTERN_BYTES`
MOST_PATTERN_TEXT = 16_384  # characters of all patterns together
# The validator rewrites a pattern for each class escape (`\s`, `\d`, ...): 400 of them take
# 0.7 s. The limit is on the sum over all patterns of their number squared.
MOST_REWRITES = 5000
REWRITTEN = re.compile(r"\\[dDsSwWc]")
FLAGS = re.compile(r"\(\?[a-zA-Z-]+[:)]")  # not in ECMA-262; one `(?i)\p{L}` takes 1 ms
DEEPEST = 200  # nested objects and lists, through references; JSON writers stop at 254
REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})
DEFINITIONS = ("$defs", "definitions")  # of the root schema; counted where they are referenced

MOST_PAIRS = 40_000  # pairs of subschema and value that `work` visits: 100 ms of Python
# Keywords whose subschemas apply to the value itself; the next two apply to its contents.
IN_PLACE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas")
OF_ITEMS = ("items", "prefixItems", "additionalItems", "contains", "unevaluatedItems")
OF_PROPERTIES = ("additionalProperties", "unevaluatedProperties", "patternProperties")
QUOTING = ("enum", "const", "required")  # an error quotes the keyword's value
STEPS_A_CHARACTER = 10  # of a string that a pattern is matched against; measured worst case


@dataclass(frozen=True, slots=True)
class Extent:
    """The size of a schema: `values` with references expanded, `recursive` if the schema refers to
    itself, the number of distinct `patterns`."""

    values: int
    recursive: bool
    patterns: int


@dataclass(frozen=True, slots=True)
class Work:
    """The cost of validating some data.

    `steps`: cost of deciding validity; the validator memoizes its results. `copies`: values copied
    when all errors are listed. That pass does not memoize, and each error copies its value.
    """

    steps: int
    copies: int


def check(schema: Any) -> Extent:
    """Check a schema against the limits of this module.

    Raises:
        ValueError: the schema exceeds a limit, or a reference is not `#` or `#/...` (engines
            accept no others). The message is the reason.
        TypeError: the schema cannot be serialized as JSON.
    """
    values, patterns = _counted(schema)
    if values > MOST_VALUES:
        raise ValueError(f"it has more than {MOST_VALUES} values")
    _check_patterns(patterns)
    # orjson also serializes the request: it rejects lone surrogates and huge integers.
    if len(orjson.dumps(schema)) > MOST_BYTES:
        raise ValueError(f"it is larger than {MOST_BYTES // 1024} kB")
    walk = _Walk(schema)
    try:
        objects = walk.objects(schema, 0)
    except RecursionError:  # the frames of the caller count as well
        raise ValueError(f"it is nested deeper than {DEEPEST} levels") from None
    if objects > MOST:
        raise ValueError(f"it has more than {MOST} parts with its references expanded")
    if walk.recursive and _circular(schema):
        raise ValueError("a reference leads back to itself for the same value")
    return Extent(max(values, objects), walk.recursive, len(patterns))


def _check_patterns(patterns: Collection[str]) -> None:
    if len(patterns) > MOST_PATTERNS:
        raise ValueError(f"it has more than {MOST_PATTERNS} patterns")
    if sum(map(len, patterns)) > MOST_PATTERN_TEXT:
        raise ValueError(f"its patterns have more than {MOST_PATTERN_TEXT} characters")
    if sum(len(REWRITTEN.findall(pattern)) ** 2 for pattern in patterns) > MOST_REWRITES:
        raise ValueError(
            "its patterns have too many class escapes (\\d, \\s, \\w); write character classes"
        )
    if any(map(FLAGS.search, patterns)):
        raise ValueError("inline flags such as (?i) are not supported in patterns")


def work(schema: Any, data: Any, most_steps: int) -> Work | None:
    """The cost of validating `data`. None if it exceeds `most_steps`, or 100 ms of counting.

    Args:
        schema: a schema that passed `check`.
    """
    try:
        return _Pairs(schema, most_steps).work(data)
    except (OverflowError, RecursionError):
        return None


def values(data: Any) -> int:
    """The number of values in `data`, nested ones included. Counting stops above `MOST_VALUES`."""
    return _counted(data)[0]


def _counted(data: Any) -> tuple[int, set[str]]:
    """The number of values, and the distinct patterns (`pattern`, `patternProperties`)."""
    waiting, seen = [data], 0
    patterns: set[str] = set()
    while waiting and seen <= MOST_VALUES:
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


class _Walk:
    """Counts the objects of one schema. Each part is walked once."""

    def __init__(self, root: Any) -> None:
        self.recursive = False
        self._root = root
        self._counts: dict[int, int] = {}  # by identity; 0 while it is walked (a cycle)

    def objects(self, node: Any, depth: int) -> int:
        """The number of objects in a part, with its references expanded."""
        if not isinstance(node, dict | list):
            return 0
        if depth > DEEPEST:
            raise ValueError(f"it is nested deeper than {DEEPEST} levels")
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
            yield from targets(self._root, node)


class _Pairs:
    """Counts the pairs of subschema and value that a validation visits. A pair whose value is a
    list or an object counts once, because the validator memoizes it."""

    def __init__(self, root: Any, most_steps: int) -> None:
        self._root = root
        self._most = most_steps
        self._copies: dict[tuple[int, int], int] = {}
        self._weights: dict[int, int] = {}
        self._sizes: dict[int, int] = {}
        self._steps = self._pairs = 0

    def work(self, data: Any) -> Work:
        """Raises OverflowError if there are too many pairs or steps."""
        copies = self._of(self._root, data)
        return Work(self._steps, copies)

    def _of(self, schema: Any, data: Any) -> int:
        self._pairs += 1
        if self._pairs > MOST_PAIRS or self._steps > self._most:
            raise OverflowError
        if not isinstance(schema, dict):
            return 1
        pair = (id(schema), id(data))
        if pair in self._copies and isinstance(data, dict | list):
            return self._copies[pair]
        self._copies[pair] = 0  # ends a cycle
        self._steps += self._own(schema, data)
        inner = sum(self._of(part, data) for part in in_place(self._root, schema))
        inner += sum(self._of(part, value) for part, value in _inside(schema, data))
        keywords = len(schema) + sum(self._size(schema[name]) for name in QUOTING if name in schema)
        self._copies[pair] = keywords * self._weight(data) + inner
        return self._copies[pair]

    def _own(self, schema: Mapping[str, Any], data: Any) -> int:
        """The steps that a schema's own keywords take on a value."""
        steps = 1 + len(schema)
        for name in QUOTING:
            if name in schema:
                steps += self._size(schema[name])
        if isinstance(data, str) and "pattern" in schema:
            steps += STEPS_A_CHARACTER * len(data)
        elif isinstance(data, dict):
            patterns = len(schema.get("patternProperties", ()))
            patterns += "propertyNames" in schema
            if patterns:
                steps += patterns * STEPS_A_CHARACTER * sum(map(len, data))
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
            self._sizes[id(data)] = values(data)
        return self._sizes[id(data)]


def in_place(root: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
    """The subschemas that apply to the value itself, including those it references."""
    for name in IN_PLACE:
        if name in schema:
            yield from _schemas(schema[name], name == "dependentSchemas")
    if isinstance(either := schema.get("dependencies"), dict):
        yield from either.values()
    if not REFERENCES.isdisjoint(schema):
        yield from targets(root, schema)


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
        path = [(node, in_place(root, node))]
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
                path.append((part, in_place(root, part)))
    return False


def _inside(schema: Mapping[str, Any], data: Any) -> Iterator[tuple[Any, Any]]:
    """The subschemas that apply to the contents of a value, each with its value."""
    if isinstance(data, list):
        for name in OF_ITEMS:
            for part in _schemas(schema.get(name), False):
                yield from ((part, item) for item in data)
    elif isinstance(data, dict):
        properties = schema.get("properties")
        if isinstance(properties, dict):
            yield from ((properties[name], data[name]) for name in properties if name in data)
        for name in OF_PROPERTIES:
            for part in _schemas(schema.get(name), name == "patternProperties"):
                yield from ((part, value) for value in data.values())


def _schemas(given: Any, named: bool) -> Iterable[Any]:
    """The subschemas of a keyword: a list, a mapping (if `named`), or a single one."""
    if isinstance(given, list):
        return given
    if named and isinstance(given, dict):
        return given.values()
    return (given,) if isinstance(given, dict) else ()


def targets(root: Any, node: Mapping[str, Any]) -> Iterator[Any]:
    """The subschemas that an object of a schema references.

    Raises:
        ValueError: a reference points outside the schema.
    """
    for name in REFERENCES:
        if isinstance(reference := node.get(name), str):
            yield _target(root, reference)


def _target(root: Any, reference: str) -> Any:
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
