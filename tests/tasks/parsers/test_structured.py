"""JSON is read from a model's output: the complete value, or the reason why there is none."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidParameter, SchemaUnsatisfied
from app.tasks.parsers.structured import MAX_ERROR_CHARACTERS, JsonParser, SchemaValidator

MOST_S = 2.0  # of CPU
TOTAL = {"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


def read(text: str, schema: dict[str, Any] | None = None) -> Any:
    """The data. Raises AssertionError if a correction is requested."""
    parser = JsonParser(SchemaValidator(TOTAL if schema is None else schema, "schema"))
    parser.feed(text)
    again = parser.correction()
    assert again is None, again
    assert json.loads(parser.finish()) == parser.data
    return parser.data


def fault(text: str, schema: dict[str, Any] | None = None) -> str:
    """The correction for the model."""
    parser = JsonParser(SchemaValidator(TOTAL if schema is None else schema, "schema"))
    parser.feed(text)
    again = parser.correction()
    assert again is not None, parser.data
    return again


def refusal(schema: dict[str, Any]) -> str:
    with pytest.raises(InvalidParameter) as caught:
        SchemaValidator(schema, "schema")
    assert caught.value.extra == {"parameter": "schema"}
    return caught.value.detail


@pytest.mark.parametrize(
    "text",
    [
        '{"total": 5}',
        '\n {"total":5}\n\n',
        '```json\n{"total": 5}\n```',
        '```JSON\n{"total": 5}\n```',
        '```\n{"total": 5}\n```',
        '```json {"total": 5} ```',
        '```json\n{"total": 5}',
        'Here it is: {"total": 5}. That is all!',
        'The 5" screen [see 1] costs: {"total": 5}',
        'So {total} is to be filled in. {"total": 5}',
        '<think>{"total": 4}? No.</think>\n\n{"total": 5}',
        '{"total": 5}\n{"total": 5}',
        '{"total": "x"} was wrong; {"total": 5}',
        '{"total": 4, "total": 5}',
    ],
)
def test_json_is_found_among_what_models_write_around_it(text: str) -> None:
    assert read(text) == {"total": 5}


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ('Two rows: [{"total": 1}, {"total": 2}]', [{"total": 1}, {"total": 2}]),
        ("```json\n[]\n```", []),
        ('```json\n"hello"\n```', "hello"),
        ("7", 7),
        ("null", None),
        ('"```json\\n{}\\n```"', "```json\n{}\n```"),
        ('{"code": "```x\\n{}```"}', {"code": "```x\n{}```"}),
        ('Yes: {"a": "} ] \\" {"}', {"a": '} ] " {'}),
    ],
)
def test_json_of_any_kind(text: str, data: object) -> None:
    assert read(text, {}) == data


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "there is no JSON in it"),
        ("The total is five.", "there is no JSON in it"),
        ('{"total": ', "it is no JSON"),
        ('{"items": [{"total": 1}, {"total": 2', "it is no JSON"),  # a part is not the whole
        ('{"items": [{"total": 1}, ...]}', "it is no JSON"),
        ('{"total": NaN}', "it is no JSON"),
        ('{"total": Infinity}', "it is no JSON"),
        ('{"total": 1e400}', "it is no JSON"),
        ('{"total": "\\ud800"}', "it is no JSON"),
        ("{'total': 5}", "it is no JSON"),
        ('{"total": "5"}', '$.total: "5" is not of type "number"'),
        ("{}", '$: "total" is a required property'),
        ("[1]", "$: [1] is not of type"),
        ('{"total": 1} or {"total": 2}', "it holds 2 JSON values; write one"),
        ("[" * 101 + "]" * 101, "nested deeper than 100 levels"),
        ("[" * 5000, "it is no JSON"),
        ('"' + '\\"' * 20_000, "there is no JSON in it"),
    ],
)
def test_what_does_not_fit_is_told_to_the_model(text: str, told: str) -> None:
    started = time.thread_time()
    assert told in fault(text)
    assert time.thread_time() - started < MOST_S


def test_what_does_not_fit_twice_is_refused_with_what_was_said_last() -> None:
    parser = JsonParser(SchemaValidator(TOTAL, "schema"))
    parser.feed('{"total": ')
    parser.feed('"a"}')
    assert "$.total" in (parser.correction() or "")
    assert parser.raw_text() == ""
    parser.feed('{"total": "b"}')
    assert parser.correction() is None
    with pytest.raises(SchemaUnsatisfied, match=r'\$\.total: "b" is not') as caught:
        parser.finish()
    assert caught.value.extra == {"raw": '{"total": "b"}'}


def test_a_number_beyond_64_bits_comes_out_as_json_writers_can_write_it() -> None:
    assert read('{"total": 123456789012345678901234567890}') == {"total": 1.2345678901234568e29}


def test_what_is_told_is_short() -> None:
    told = fault(json.dumps(["x" * 10_000] * 50), {"items": {"type": "integer"}})
    assert len(told) < 5 * (MAX_ERROR_CHARACTERS + 20) + 200


@pytest.mark.parametrize(
    ("text", "form"),
    [("2026/4/9", "date"), ("noon", "time"), ("me", "email"), ("1.2.3", "ipv4"), ("x", "uuid")],
)
def test_formats_are_held_to(text: str, form: str) -> None:
    assert f'is not a "{form}"' in fault(json.dumps(text), {"type": "string", "format": form})


def test_an_unknown_format_says_nothing() -> None:
    assert read('"x"', {"format": "won"}) == "x"


@given(JSON, st.sampled_from(["{}", "```json\n{}\n```", "It is:\n{}\nso."]))
def test_whatever_is_written_comes_back(data: Any, around: str) -> None:
    text = around.replace("{}", json.dumps({"all": data}, ensure_ascii=False))
    assert read(text, {"type": "object", "required": ["all"]}) == {"all": data}


@given(st.text(alphabet='{}[]",:\\ab1 `\n', max_size=60))
def test_any_text_is_read_without_harm(text: str) -> None:
    parser = JsonParser(SchemaValidator(TOTAL, "schema"))
    parser.feed(text)
    assert parser.correction() or "total" in parser.data


def deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"properties": {"a": schema}}
    return schema


BOMB = {
    "$ref": "#/$defs/0",
    "$defs": {
        **{str(n): {"allOf": [{"$ref": f"#/$defs/{n + 1}"}] * 10} for n in range(12)},
        "12": {"type": "string"},
    },
}
CHAIN = {
    "$ref": "#/$defs/0",
    "$defs": {str(n): {"$ref": f"#/$defs/{n + 1}"} for n in range(5000)} | {"5000": {}},
}


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "objekt"}, '$.type: "objekt" is not'),
        ({"properties": []}, "$.properties: [] is not"),
        ({"required": "total"}, "$.required"),
        ({"minimum": "1"}, "$.minimum"),
        ({"pattern": "("}, '$.pattern: "(" is not a "regex"'),
        ({"pattern": "((a{1000}){1000}){1000}"}, "regex"),
        ({"pattern": r"^(?=(a+)+$)(a+)\1"}, "lookaround"),
        ({"patternProperties": {"(?!x)": {}}}, "lookaround"),
        ({"allOf": [{"pattern": f"^a{n}$"} for n in range(51)]}, "more than 50 patterns"),
        ({"pattern": "a?" * 20_000}, "more than 16384 characters"),
        ({"pattern": r"\W" * 16_000}, "more than 16384 characters"),
        ({"pattern": r"\W" * 8000}, "too many class escapes"),
        ({"pattern": r"\s" * 71}, "too many class escapes"),
        ({"pattern": "(?i)" + r"\p{L}" * 3000}, "inline flags"),
        ({"pattern": "((((" * 4000}, "regex"),
        ({"type": ["a"] * 50_000}, "an invalid value"),
        ({"properties": {f"k{n}": {"type": "x"} for n in range(4000)}}, "an invalid value"),
        ({"enum": [f"{n:0100d}" for n in range(6000)]}, "larger than 512 kB"),
        ({"enum": list(range(60_000))}, "more than 60000 values"),
        (
            {"$ref": "http://127.0.0.1:1/schema.json"},
            "http://127.0.0.1:1/schema.json is outside",
        ),
        ({"items": {"$ref": "other.json#/a"}}, "other.json#/a is outside the schema"),
        ({"$ref": "#anchor"}, "#anchor is outside the schema"),
        ({"$ref": "#/$defs/none"}, "'/$defs/none' does not exist"),
        ({"$schema": "http://127.0.0.1:1/own"}, "Unknown meta-schema"),
        ({"const": "\ud800"}, "surrogates not allowed"),
        ({"maximum": 2**64}, "64-bit range"),
        ({"minimum": float("nan")}, "$.minimum: null"),
        (deep(101), "nested deeper than 200 levels"),
        (CHAIN, "nested deeper than 200 levels"),
        (BOMB, "more than 5000 parts"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_no_schema_is_refused_with_the_place(schema: dict[str, Any], told: str) -> None:
    started = time.thread_time()
    assert told in refusal(schema)
    assert time.thread_time() - started < MOST_S


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"$ref": "#"}, "b": {"type": "array", "items": {"$ref": "#"}}}},
        {"$ref": "#/prefixItems/0", "prefixItems": [{}]},
        {"$ref": "#/$defs/a~1b%20c", "$defs": {"a/b c": {}}},
        {"properties": {"definitions": {"type": "object"}, "$ref": {"type": "string"}}},
        {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"a": True}},
        {"enum": list(range(50_000))},
        deep(99),
    ],
    ids=lambda value: str(value)[:40],
)
def test_schemas_that_are_odd_and_right(schema: dict[str, Any]) -> None:
    assert isinstance(SchemaValidator(schema, "schema").errors({}), list)


def test_a_pattern_that_backtracks_takes_no_time() -> None:
    started = time.thread_time()
    assert "does not match" in fault(json.dumps("a" * 5000 + "b"), {"pattern": "^(a+)+$"})
    assert time.thread_time() - started < MOST_S


def tree(ways: int) -> dict[str, Any]:
    """A schema that references itself `ways` times in one place."""
    node = {"properties": {"a": {"$ref": "#/$defs/node"}}, "required": ["a"]}
    ways_in = [{**node, "title": str(way)} for way in range(ways)]
    return {"$ref": "#/$defs/node", "$defs": {"node": {"oneOf": [*ways_in, {"type": "null"}]}}}


def chain(depth: int, leaf: Any = None) -> Any:
    for _ in range(depth):
        leaf = {"a": leaf}
    return leaf


COSTLY: dict[str, tuple[dict[str, Any], Any]] = {
    "a recursive oneOf": (tree(3), chain(90)),
    "a recursive anyOf": (
        {
            "type": "object",
            "anyOf": [{"properties": {"a": {"$ref": "#"}}, "title": str(n)} for n in range(4)],
        },
        chain(60, 5),
    ),
    "thousands of errors, each with a copy": ({"allOf": [{"type": "string"}] * 2000}, [0] * 50_000),
    "a few hundred errors, each with a copy": (
        {"anyOf": [{"type": "string", "title": str(n)} for n in range(300)]},
        [0] * 90_000,
    ),
    "properties that are too much": (
        {"allOf": [{"unevaluatedProperties": False, "properties": {"a": {}}}] * 1500},
        {f"k{n}": 1 for n in range(90)},
    ),
    "an enum of objects": (
        {"items": {"enum": [{"a": n} for n in range(3000)]}},
        [{"a": -1}] * 30_000,
    ),
    "contains": (
        {"allOf": [{"contains": {"const": -n}, "minContains": 0} for n in range(1, 1000)]},
        list(range(50_000)),
    ),
    "an automaton that thrashes": (
        {"allOf": [{"pattern": f"[ab]*a[ab]{{500}}c{n}"} for n in range(50)]},
        "abbab" * 40_000,
    ),
    "patterns of keys": (
        {"patternProperties": {f"[ab]*a[ab]{{500}}c{n}": {} for n in range(50)}},
        {f"{n}abbab" * 100: 1 for n in range(500)},
    ),
    "items that are not unique, many times": (
        {"allOf": [{"uniqueItems": True, "title": str(n)} for n in range(500)]},
        list(range(50_000)),
    ),
}


@pytest.mark.parametrize(("schema", "data"), COSTLY.values(), ids=COSTLY)
def test_a_check_costs_little_whatever_schema_and_data_are(
    schema: dict[str, Any], data: Any
) -> None:
    """Uses CPU time of this thread, which does not depend on the load of the machine."""
    made = SchemaValidator(schema, "schema")
    started = time.thread_time()
    assert made.errors(data)
    assert time.thread_time() - started < MOST_S  # without the limits: up to 40 s, and gigabytes


def test_faults_of_a_recursive_schema_are_told() -> None:
    """They are listed if they are few."""
    items = {"type": "object", "properties": {"in": {"type": "array", "items": {"$ref": "#"}}}}
    assert SchemaValidator(items, "schema").errors({"in": [{"in": [7]}]}) == [
        '$.in[0].in[0]: 7 is not of type "object"'
    ]


def test_many_values_in_one_answer_are_not_all_checked() -> None:
    assert "more than 64 JSON values" in fault("{} " * 1000)


def test_a_long_answer_is_not_indented() -> None:
    """In nested lists indentation would put each bracket on its own line after 200 spaces."""
    parser = JsonParser(SchemaValidator({}, "schema"))
    written = "[" + ",".join(["[" * 90 + "]" * 90] * 1000) + "]"
    parser.feed(written)
    assert parser.correction() is None
    assert len(parser.finish()) == len(written)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"allOf": [{"anyOf": [{"$ref": "#"}] * 16}] * 16},
        {"properties": {"a": {"not": {"$ref": "#/properties/a"}}}},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
    ],
)
def test_a_schema_that_applies_itself_to_the_same_value_is_refused(schema: Any) -> None:
    """A validator takes 5 s for the second schema, which the schema fuzzer found."""
    with pytest.raises(InvalidParameter, match="leads back to itself"):
        SchemaValidator(schema, "schema")


def test_a_schema_that_refers_to_itself_inside_the_value_is_taken() -> None:
    tree = {
        "type": "object",
        "properties": {"left": {"$ref": "#"}, "all": {"type": "array", "items": {"$ref": "#"}}},
    }
    assert SchemaValidator(tree, "schema").errors({"left": {"all": [{"left": {}}]}}) == []
    assert SchemaValidator(tree, "schema").errors({"left": {"all": [{"left": 3}]}})
