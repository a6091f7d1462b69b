from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from llguidance import LLMatcher, LLTokenizer
from openai.lib._pydantic import to_strict_json_schema
from pydantic import BaseModel, Field

from core.errors import InvalidRequest
from core.response_format import MAX_SCHEMA_BYTES, ResponseFormat, parse, parsed_json

Json = dict[str, Any]
OBJECT: Json = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}


def chat(schema: Any, **fields: Any) -> Json:
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema, **fields}}


def admits(wanted: ResponseFormat, text: str) -> bool:
    """Whether this text is a whole completion of the format."""
    matcher = LLMatcher(LLTokenizer("byte"), wanted.grammar)
    raw = list(text.encode())
    return matcher.try_consume_tokens(raw) == len(raw) and matcher.is_accepting()


def accepted(value: Any) -> ResponseFormat:
    wanted = parse(value, "response_format")
    assert wanted is not None
    return wanted


@pytest.mark.parametrize("value", [None, {"type": "text"}])
def test_text_is_no_format(value: Json | None) -> None:
    assert parse(value, "response_format") is None


def test_both_shapes_of_a_schema_mean_the_same() -> None:
    flat = {"type": "json_schema", "name": "answer", "strict": True, "schema": OBJECT}
    assert accepted(flat) == accepted(chat(OBJECT))


def test_a_json_object_is_any_object() -> None:
    wanted = accepted({"type": "json_object"})
    assert admits(wanted, '{"x": [1, {"y": null}]}')
    assert not admits(wanted, "[1]")


@pytest.mark.parametrize("text", ['{"a":1}', '{"a": 1}', '{\n  "a": 1\n}'])
def test_json_may_be_compact_or_indented(text: str) -> None:
    assert admits(accepted(chat(OBJECT)), text)


@pytest.mark.parametrize("text", ['{"a":"x"}', '{"a":1,"b":2}', "{}", '{ \n\n\n\n"a":1}', '{"a":1} and more', '{"a":1'])
def test_what_the_schema_does_not_admit_is_ruled_out(text: str) -> None:
    assert not admits(accepted(chat(OBJECT)), text)


class _Node(BaseModel):
    label: str = Field(description="A name")
    weight: float = Field(ge=0, le=1)
    children: list[_Node]


def test_schemas_of_pydantic_models_are_understood() -> None:
    wanted = accepted(chat(to_strict_json_schema(_Node)))
    assert admits(wanted, '{"label": "a", "weight": 0.5, "children": [{"label": "b", "weight": 1, "children": []}]}')
    assert not admits(wanted, '{"label": "a", "weight": 2, "children": []}')


@pytest.mark.parametrize(
    ("value", "param", "code"),
    [
        ("json", "response_format", "invalid_type"),
        ({}, "response_format.type", "missing_required_parameter"),
        ({"type": "yaml"}, "response_format.type", "invalid_value"),
        ({"type": "json_schema"}, "response_format.json_schema", "missing_required_parameter"),
        ({"type": "json_schema", "json_schema": 5}, "response_format.json_schema", "invalid_type"),
        (chat(OBJECT, name=None), "response_format.json_schema.name", "missing_required_parameter"),
        (chat(OBJECT, name="a b"), "response_format.json_schema.name", "invalid_value"),
        (chat(None), "response_format.json_schema.schema", "missing_required_parameter"),
        (chat([]), "response_format.json_schema.schema", "invalid_type"),
        ({"type": "json_schema", "name": "x", "schema": {"type": "objekt"}}, "response_format.schema", "invalid_json_schema"),
    ],
)
def test_a_wrong_format_is_refused_by_name(value: Any, param: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(value, "response_format")
    assert (caught.value.param, caught.value.code) == (param, code)


HOSTILE: dict[str, Json] = {
    "unknown type": {"type": "objekt"},
    "unsupported keyword": {"type": "object", "not": {"type": "string"}},
    "look-around": {"type": "string", "pattern": "(?=a)b"},
    "broken pattern": {"type": "string", "pattern": "("},
    "nothing admitted": {"type": "object", "properties": {"a": False}, "required": ["a"]},
    "empty enum": {"enum": []},
    "nothing but itself": {"$ref": "#"},
    "reference outwards": {"$ref": "http://127.0.0.1:9/schema.json"},
    "reference to a file": {"$ref": "file:///etc/passwd"},
    "too many bytes": {"enum": ["x" * 100] * 1000},
    "product of choices": {
        "allOf": [{"anyOf": [{"properties": {f"{k}{i}": {"type": "string"}}} for k in "ab"]} for i in range(20)]
    },
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_schema_that_cannot_be_enforced_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(chat(HOSTILE[name]), "response_format")
    assert caught.value.param == "response_format.json_schema.schema"
    assert caught.value.code == "invalid_json_schema"
    assert len(caught.value.message) < 600


def _doubling(depth: int, how: str) -> Json:
    """A schema of few bytes that is huge when written out."""
    defs: Json = {f"d{i}": {how: [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(depth)}
    return {"$defs": {**defs, f"d{depth}": {"type": "object"}}, "$ref": "#/$defs/d0"}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "^(((a{1,1000}){1,1000}){1,1000})$"},
        {"type": "string", "pattern": "^(a+)+$"},
        {"type": "string", "pattern": "^.*(a|b|c|d).{30}x.{30}y.*$"},
        {"type": "string", "minLength": 10**6, "maxLength": 10**9},
        {"type": "array", "items": {"type": "integer"}, "minItems": 10**6},
        {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(1500)}},
        {"$defs": {"n": {"type": "object", "properties": {"c": {"$ref": "#/$defs/n"}}, "required": ["c"]}}, "$ref": "#/$defs/n"},
        _doubling(24, "allOf"),
        _doubling(24, "anyOf"),
    ],
    ids=range(9),
)
def test_a_bomb_is_taken_or_refused_and_never_hangs(schema: Json) -> None:
    with suppress(InvalidRequest):
        parse(chat(schema), "response_format")


def test_a_schema_cannot_steer_the_compiler() -> None:
    with pytest.raises(InvalidRequest):
        parse(chat({**HOSTILE["unsupported keyword"], "x-guidance": {"lenient": True}}), "response_format")


def test_a_schema_may_be_as_long_as_its_limit() -> None:
    long = {"type": "object", "description": "x" * (MAX_SCHEMA_BYTES - 100)}
    assert json.loads(accepted(chat(long)).schema) == long


@pytest.mark.parametrize(
    ("text", "value"),
    [('{"a": 1}', {"a": 1}), (' "x" ', "x"), ('{"a": 1', None), ("", None), ("NaN", None), ("[" * 100_000, None)],
)
def test_a_completion_is_json_or_nothing(text: str, value: Any) -> None:
    assert parsed_json(text) == value
