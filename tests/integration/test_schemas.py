"""`/v1/extract` with thirty schemas: data that fits, or a clear 422; never anything else."""

import json
from typing import Any

import httpx
import jsonschema_rs
import pytest

from tests.fake_ollama.script import refuses, says
from tests.fake_ollama.server import FakeOllama
from tests.inference_server import Server
from tests.ollama_daemon.process import Daemon
from tests.pictures import encoded, scene

Schema = dict[str, Any]
PICTURE = encoded(scene(64, 64))


def record(required: list[str] | None = None, **properties: Any) -> Schema:
    """An object that has these and nothing else."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
        "additionalProperties": False,
    }


TEXT, NUMBER, WHOLE, TRUTH = ({"type": kind} for kind in ("string", "number", "integer", "boolean"))
ITEM = record(name=TEXT, price=NUMBER, count={"type": "integer", "minimum": 1})
PLACE = record(street=TEXT, city=TEXT)
TREE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": record(name=TEXT, inner={"type": "array", "items": {"$ref": "#/$defs/node"}})
    },
}

# name: the schema, data that fits, data that does not
SCHEMAS: dict[str, tuple[Schema, Any, Any]] = {
    "text": (record(title=TEXT), {"title": "a"}, {"title": 1}),
    "number": (record(total=NUMBER), {"total": 25440.5}, {"total": "25,440"}),
    "whole": (record(count=WHOLE), {"count": 3}, {"count": 3.5}),
    "truth": (record(paid=TRUTH), {"paid": True}, {"paid": "yes"}),
    "null": (record(fax={"type": "null"}), {"fax": None}, {"fax": "none"}),
    "text or null": (record(fax={"type": ["string", "null"]}), {"fax": None}, {"fax": 0}),
    "enum": (record(colour={"enum": ["red", "blue"]}), {"colour": "red"}, {"colour": "green"}),
    "enum of kinds": (record(x={"enum": [1, "one", None]}), {"x": None}, {"x": 2}),
    "const": (record(kind={"const": "receipt"}), {"kind": "receipt"}, {"kind": "letter"}),
    "list": ({"type": "array", "items": TEXT}, ["a", "b"], ["a", 2]),
    "list of objects": ({"type": "array", "items": ITEM},
                        [{"name": "ramen", "price": 4100, "count": 5}], [{"name": "ramen"}]),
    "list with bounds": (record(x={"type": "array", "items": WHOLE, "minItems": 2, "maxItems": 3}),
                         {"x": [1, 2]}, {"x": [1]}),
    "list of unlike": (record(x={"type": "array", "uniqueItems": True}), {"x": [1, 2]},
                       {"x": [1, 1]}),
    "tuple": (record(x={"type": "array", "prefixItems": [TEXT, NUMBER], "items": False}),
              {"x": ["a", 1]}, {"x": ["a", 1, 2]}),
    "levels": (record(shop=record(place=PLACE, lines={"type": "array", "items": ITEM})),
               {"shop": {"place": {"street": "a", "city": "b"}, "lines": []}},
               {"shop": {"place": {"street": "a"}, "lines": []}}),
    "five levels": (record(a=record(b=record(c=record(d=record(e=TRUTH))))),
                    {"a": {"b": {"c": {"d": {"e": False}}}}}, {"a": {"b": {"c": {"d": {}}}}}),
    "Korean keys": (record(상호=TEXT, 합계=WHOLE), {"상호": "행복마트", "합계": 25440},
                    {"상호": "행복마트"}),
    "Korean enum": (record(결제={"enum": ["카드", "현금"]}), {"결제": "카드"}, {"결제": "수표"}),
    "keys with marks": (record(None, **{"a b/c~d": TEXT, '"': WHOLE}), {"a b/c~d": "x", '"': 1},
                        {"a b/c~d": "x"}),
    "left out": (record([], note=TEXT), {}, {"note": None}),
    "nothing else": (record(a=TEXT), {"a": "x"}, {"a": "x", "b": "y"}),
    "any keys": ({"type": "object", "additionalProperties": WHOLE}, {"one": 1}, {"one": "1"}),
    "key patterns": ({"type": "object", "patternProperties": {"^n_": WHOLE},
                      "additionalProperties": False}, {"n_a": 1}, {"a": 1}),
    "pattern": (record(no={"type": "string", "pattern": r"^\d{3}-\d{2}-\d{5}$"}),
                {"no": "123-45-67890"}, {"no": "123-4567890"}),
    "date": (record(day={"type": "string", "format": "date"}), {"day": "2026-03-17"},
             {"day": "17.03.2026"}),
    "bounds": (record(x={"type": "number", "minimum": 0, "exclusiveMaximum": 1}), {"x": 0.5},
               {"x": 1}),
    "lengths": (record(x={"type": "string", "minLength": 2, "maxLength": 3}), {"x": "ab"},
                {"x": "a"}),
    "one of": (record(x={"oneOf": [TEXT, {"type": "array", "items": TEXT}]}), {"x": ["a"]},
               {"x": [1]}),
    "all of": (record(x={"allOf": [WHOLE, {"multipleOf": 5}]}), {"x": 10}, {"x": 7}),
    "if then": ({**record(["kind"], kind={"enum": ["a", "b"]}, size=WHOLE),
                 "if": {"properties": {"kind": {"const": "b"}}}, "then": {"required": ["size"]}},
                {"kind": "b", "size": 1}, {"kind": "b"}),
    "definitions": ({**record(a={"$ref": "#/$defs/item"}), "$defs": {"item": ITEM}},
                    {"a": {"name": "x", "price": 1, "count": 1}}, {"a": {}}),
    "a tree": (TREE, {"name": "a", "inner": [{"name": "b", "inner": []}]},
               {"name": "a", "inner": [{"name": "b"}]}),
    "a number": ({"type": "integer", "minimum": 10}, 12, 5),
    "true for all": ({}, {"whatever": [1, None]}, None),
}  # fmt: skip
NAMES = [name for name, (_, _, wrong) in SCHEMAS.items() if wrong is not None]


def fits(schema: Schema, data: Any) -> bool:
    return bool(jsonschema_rs.validator_for(schema, validate_formats=True).is_valid(data))


def extract(client: httpx.Client, schema: Schema, **fields: Any) -> httpx.Response:
    data = {"schema": json.dumps(schema, ensure_ascii=False), **fields}
    return client.post("/v1/extract", files={"image": PICTURE}, data=data)


def written(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False)


def test_there_are_thirty() -> None:
    assert len(SCHEMAS) >= 30
    for schema, right, wrong in SCHEMAS.values():
        assert fits(schema, right)
        assert wrong is None or not fits(schema, wrong)


@pytest.mark.parametrize("name", SCHEMAS)
def test_right_data(engine: FakeOllama, scripted: httpx.Client, name: str) -> None:
    schema, right, _ = SCHEMAS[name]
    engine.play(says(f"Here it is:\n```json\n{written(right)}\n```"))
    answer = extract(scripted, schema)
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"] == right
    assert engine.asked[-1]["format"] == schema


@pytest.mark.parametrize("name", NAMES)
def test_wrong_data_is_asked_for_once_more(
    engine: FakeOllama, scripted: httpx.Client, name: str
) -> None:
    """With the errors named; over OpenAI's API as well."""
    schema, right, wrong = SCHEMAS[name]
    engine.play(says(written(wrong)), says(written(right)))
    answer = extract(scripted, schema)
    assert (answer.status_code, answer.json()["data"]) == (200, right)
    assert len(answer.json()["warnings"]) == 1
    said, fault = engine.asked[-1]["messages"][-2:]
    assert said["content"] == written(wrong)
    assert "$" in fault["content"], "the place is named"

    engine.play(says(written(wrong)), says(written(right)))
    held = {"type": "json_schema", "json_schema": {"name": "it", "schema": schema, "strict": True}}
    body = {"messages": [{"role": "user", "content": "Go."}], "response_format": held}
    answer = scripted.post("/v1/chat/completions", json=body)
    assert json.loads(answer.json()["choices"][0]["message"]["content"]) == right


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("stream", ["false", "true"])
def test_what_stays_wrong_is_refused(
    engine: FakeOllama, scripted: httpx.Client, name: str, stream: str
) -> None:
    schema, _, wrong = SCHEMAS[name]
    engine.play(says(written(wrong)))
    answer = extract(scripted, schema, stream=stream)
    if stream == "true":
        last = answer.text.rstrip().split("\n\n")[-1]
        assert last.startswith("event: error\n")
        assert "event: delta" not in answer.text, "wrong data went out"
        told = json.loads(last.partition("data: ")[2])
    else:
        assert answer.status_code == 422
        told = answer.json()
    assert (told["code"], told["raw"]) == ("schema_unsatisfied", written(wrong))


@pytest.mark.parametrize("thoughts", ["", "Let me see. {} or []?"])
def test_models_that_think(engine: FakeOllama, scripted: httpx.Client, thoughts: str) -> None:
    schema, right, _ = SCHEMAS["levels"]
    engine.play(says(written(right), thoughts=thoughts))
    for think in ("false", "true"):
        answer = extract(scripted, schema, model="fake-think", think=think)
        assert (answer.status_code, answer.json()["data"]) == (200, right)


def test_an_engine_without_a_grammar_for_it(engine: FakeOllama, scripted: httpx.Client) -> None:
    """It is asked without one, and its answer is checked all the same."""
    schema, right, wrong = SCHEMAS["pattern"]
    refused = refuses(500, "failed to load model vocabulary required for format")
    engine.play(refused, says(written(wrong)), says(written(right)))
    answer = extract(scripted, schema)
    assert (answer.status_code, answer.json()["data"]) == (200, right)
    assert "only validated" in answer.json()["warnings"][0]
    assert "format" not in engine.asked[-1]
    assert sum(written(schema) in one["content"] for one in engine.asked[-1]["messages"]) == 1
    held = {"type": "json_schema", "json_schema": {"name": "it", "schema": schema}}
    body = {"messages": [{"role": "user", "content": "Go."}], "response_format": held}
    engine.play(refused, says(written(right)))
    answer = scripted.post("/v1/chat/completions", json=body)
    assert json.loads(answer.json()["choices"][0]["message"]["content"]) == right
    assert sum(written(schema) in one["content"] for one in engine.asked[-1]["messages"]) == 1


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_real_daemon(daemon: Daemon, on_daemon: Server, name: str) -> None:
    """A tiny model that knows nothing, held by the daemon's own grammar where it has one."""
    schema = SCHEMAS[name][0]
    with httpx.Client(base_url=on_daemon.url, trust_env=False, timeout=120) as client:
        answer = extract(client, schema, max_tokens="200")
    told = answer.json()
    print(name, answer.status_code, told.get("detail", told.get("data")))
    if answer.status_code == 200:
        assert fits(schema, told["data"])
    else:
        assert (answer.status_code, told["code"]) == (422, "schema_unsatisfied")
        assert "match" in told["detail"] and "raw" in told
