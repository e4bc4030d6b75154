"""Schemas of what a model's requests may carry."""

import pytest

from kiro2api.protocol.jsontext import JSON, JSONObject
from kiro2api.protocol.kiro.modelfields import MAX_SCHEMA_DEPTH, admits, clamp, find_property

EFFORT: JSONObject = {"type": "object", "properties": {"effort": {"enum": ["low", "high"]}}}


@pytest.mark.parametrize(
    ("schema", "value", "is_admitted"),
    [
        (None, 1, False),
        (True, 1, True),
        (False, 1, False),
        ({}, {"a": 1}, True),
        ({"$ref": "#/$defs/x"}, 1, False),
        (EFFORT, {"effort": "low"}, True),
        (EFFORT, {}, True),
        (EFFORT, {"effort": "max"}, False),
        (EFFORT, {"effort": "low", "more": 1}, False),
        (EFFORT, "low", False),
        ({"properties": "?"}, {"effort": "low"}, False),
        ({"properties": {"effort": True}}, {"effort": 5}, True),
        ({"required": ["a"]}, {"a": 1}, True),
        ({"required": ["a"]}, {"b": 1}, False),
        ({"type": ["string", "null"]}, "a", True),
        ({"type": "number"}, "a", False),
        ({"type": "new"}, "a", False),
        ({"const": "a"}, "a", True),
        ({"const": "a"}, "b", False),
        ({"minimum": 5, "maximum": 6}, 5, True),
        ({"minimum": 5}, 4, False),
        ({"maximum": 5}, 6, False),
        ({"anyOf": [EFFORT, {"const": 1}]}, 1, True),
        ({"oneOf": [EFFORT, {"const": 1}]}, 2, False),
        ({"allOf": [{"minimum": 1}, {"maximum": 3}]}, 2, True),
        ({"allOf": [{"minimum": 1}, {"maximum": 3}]}, 4, False),
        ({"anyOf": "?"}, 4, True),
    ],
)
def test_what_is_admitted(schema: object, value: JSON, *, is_admitted: bool) -> None:
    """By type, value, bounds, names and alternatives; what the schema does not name is not."""
    assert admits(schema, value) is is_admitted


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        (None, None),
        ({}, None),
        ({"properties": {"a": True}}, None),
        ({"properties": {"a": {"const": 1}}}, {"const": 1}),
        ({"anyOf": [{}, {"properties": {"a": {"const": 2}}}]}, {"const": 2}),
        ({"anyOf": [{}, {"properties": {"b": {}}}]}, None),
    ],
)
def test_properties_are_found_in_alternatives(schema: object, found: JSONObject | None) -> None:
    """The first of the name; one without a schema of its own is none."""
    assert find_property(schema, "a") == found


def test_depth_is_bounded() -> None:
    """A schema that goes on for ever admits nothing, and nothing is found in it."""
    endless: dict[str, object] = {}
    endless["allOf"] = [endless]
    assert (admits(endless, 1), find_property(endless, "a")) == (False, None)
    deep: dict[str, object] = {"properties": {"a": {}}}
    for _ in range(MAX_SCHEMA_DEPTH - 1):
        deep = {"anyOf": [deep]}
    assert find_property(deep, "a") == {}
    assert find_property({"anyOf": [deep]}, "a") is None


@pytest.mark.parametrize(("number", "clamped"), [(4, 5), (5, 5), (7, 7), (9, 9), (10, 9)])
def test_bounds(number: int, clamped: int) -> None:
    """A number beyond one becomes the bound; bounds that are no whole numbers do not count."""
    assert clamp({"minimum": 5, "maximum": 9}, number) == clamped
    assert clamp({"minimum": "5", "maximum": None}, number) == number
