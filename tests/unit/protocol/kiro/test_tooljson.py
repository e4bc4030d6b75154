"""Tests of the JSON in tools: inputs and schemas."""

import json
from collections.abc import Callable

import pytest

from kiro2api.protocol.jsontext import JSON, JSONObject
from kiro2api.protocol.kiro.repairs import Repair
from kiro2api.protocol.kiro.tooljson import MAX_DEPTH, clean_tool_input, clean_tool_schema
from tests.support.conversations import nest

EMPTY: JSONObject = {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("given", "cleaned", "repairs"),
    [
        ({}, {}, set()),
        ({"a": [1, {"b": None}], "c": "x"}, {"a": [1, {"b": None}], "c": "x"}, set()),
        ({"": 1}, {"_": 1}, {Repair.RENAMED_INPUT_KEY}),
        ({"": 1, "_": 2, "__": 3}, {"___": 1, "_": 2, "__": 3}, {Repair.RENAMED_INPUT_KEY}),
        ({"a": [{"": [{"": 1}]}]}, {"a": [{"_": [{"_": 1}]}]}, {Repair.RENAMED_INPUT_KEY}),
    ],
)
def test_input_has_no_empty_keys(given: JSONObject, cleaned: JSONObject, repairs: set[Repair]) -> None:
    """Empty keys are renamed at any depth; all else stays."""
    found: set[Repair] = set()
    assert (clean_tool_input(given, found), found) == (cleaned, repairs)


def test_input_at_the_bound_stays() -> None:
    """As many levels as the bound says are not touched."""
    found: set[Repair] = set()
    assert clean_tool_input(nest(MAX_DEPTH), found) == nest(MAX_DEPTH)
    assert found == set()


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 3000])
def test_what_is_deeper_in_an_input_becomes_text(levels: int) -> None:
    """Nothing of the input is lost: the deep part is there as JSON text."""
    found: set[Repair] = set()
    cleaned: JSON = clean_tool_input(nest(levels), found)
    for _ in range(MAX_DEPTH):
        assert isinstance(cleaned, dict)
        cleaned = cleaned["items"]
    assert cleaned == json.dumps(nest(levels - MAX_DEPTH), separators=(",", ":"))
    assert found == {Repair.FLATTENED_NESTING}


GOOD: JSONObject = {
    "type": "object",
    "properties": {
        "required": {"type": "array", "items": {"type": "string"}},
        "$schema": {"anyOf": [{"type": "string"}, {"const": {"required": []}}]},
    },
    "required": ["required"],
    "additionalProperties": False,
    "$defs": {"a": {"enum": [[], {"properties": None}], "default": {"$schema": ""}}},
}


@pytest.mark.parametrize("given", [GOOD, GOOD | {"$schema": "https://json-schema.org/draft/2020-12/schema"}])
def test_good_schema_stays(given: JSONObject) -> None:
    """Properties and data that look like keywords are left alone; ``$schema`` goes without a word."""
    found: set[Repair] = set()
    assert (clean_tool_schema(given, found), found) == (GOOD, set())


@pytest.mark.parametrize(
    ("given", "cleaned"),
    [
        ({}, EMPTY),
        ({"type": "string"}, EMPTY),
        ({"type": ["object", "null"]}, EMPTY),
        ({"type": "object", "properties": None, "required": None}, EMPTY),
        ({"type": "object", "properties": ["a"], "required": "a"}, EMPTY),
        ({"type": "object", "properties": {}, "required": []}, EMPTY),
        ({"type": "object", "properties": {}, "required": [1]}, EMPTY),
        (
            {"type": "object", "properties": {"a": {"required": [], "properties": None, "$schema": "x"}}},
            {"type": "object", "properties": {"a": {}}},
        ),
        (
            {"anyOf": [{"required": None}, True], "items": {"properties": {}}},
            {"anyOf": [{}, True], "items": {}} | EMPTY,
        ),
    ],
)
def test_schema_gets_an_object_root_without_empty_keywords(given: JSONObject, cleaned: JSONObject) -> None:
    """What the upstream refuses is put right, at the root and below."""
    found: set[Repair] = set()
    assert (clean_tool_schema(given, found), found) == (cleaned, {Repair.REPAIRED_SCHEMA})


def measure_depth(value: JSON) -> int:
    """How many objects and lists stand inside one another."""
    match value:
        case dict():
            return 1 + max(map(measure_depth, value.values()), default=0)
        case list():
            return 1 + max(map(measure_depth, value), default=0)
        case _:
            return 0


@pytest.mark.parametrize(
    "wrap",
    [
        lambda inner: {"items": inner},
        lambda inner: {"anyOf": [inner]},
        lambda inner: {"default": [inner]},
        lambda inner: {"properties": {"a": inner}},
    ],
)
def test_schema_is_cut_where_it_is_too_deep(wrap: Callable[[JSON], JSONObject]) -> None:
    """Deep parts of a schema become empty ones of their kind, at most a map's level below the bound."""
    deep: JSON = {"required": [1]}
    for _ in range(3 * MAX_DEPTH):
        deep = wrap(deep)
    found: set[Repair] = set()
    cleaned = clean_tool_schema({"type": "object", "properties": {"a": deep}}, found)
    assert MAX_DEPTH <= measure_depth(cleaned) <= MAX_DEPTH + 2
    assert found == {Repair.FLATTENED_NESTING, Repair.REPAIRED_SCHEMA}


def test_schema_at_the_bound_stays() -> None:
    """As many levels as the bound says are not touched."""
    found: set[Repair] = set()
    schema = nest(MAX_DEPTH) | EMPTY
    assert (clean_tool_schema(schema, found), found) == (schema, set())
