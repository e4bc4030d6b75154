"""Tests of the inputs of tool uses."""

import json

import pytest

from kiro2api.protocol.jsontext import JSON, JSONObject
from kiro2api.protocol.kiro.repairs import Repair
from kiro2api.protocol.kiro.tooljson import MAX_DEPTH, clean_tool_input
from tests.support.conversations import nest


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
