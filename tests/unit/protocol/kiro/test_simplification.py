"""Tests of the simplest schemas, for the second attempt."""

import json
from dataclasses import replace
from typing import Any

import pytest

from kiro2api.protocol.conversation import Conversation, Tool
from kiro2api.protocol.jsontext import JSON, JSONObject
from kiro2api.protocol.kiro.request import build_request
from kiro2api.protocol.kiro.simplification import simplify_schema, simplify_schemas
from kiro2api.simulator.validation import validate_request
from tests.support.conversations import assistant, picture, result, use, user

TEXT: JSONObject = {"type": "string"}
NUMBER: JSONObject = {"type": "number"}


def hold(**properties: JSON) -> JSONObject:
    """A schema with these properties."""
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("given", "simple"),
    [
        ({}, {}),
        (hold(a=TEXT, b={"type": "array", "items": TEXT}), hold(a=TEXT, b={"type": "array", "items": TEXT})),
        ({"type": "string", "format": "uri", "pattern": "x", "minLength": 1, "title": "T", "default": "x"}, TEXT),
        (
            {"type": "integer", "minimum": 1, "description": "D", "examples": [1]},
            {"type": "integer", "description": "D"},
        ),
        ({"type": ["null", "string"]}, TEXT),
        ({"type": ["null", 7]}, {}),
        ({"const": "a"}, {"enum": ["a"]}),
        ({"enum": ["a", None]}, {"enum": ["a"]}),
        ({"properties": {"a": True, "b": TEXT}, "additionalProperties": False}, hold(a={}, b=TEXT)),
        ({"items": [TEXT, NUMBER], "prefixItems": [NUMBER]}, {"type": "array", "items": TEXT}),
        ({"type": "array"}, {"type": "array", "items": {}}),
        (hold(a=TEXT) | {"required": ["a", "b"]}, hold(a=TEXT) | {"required": ["a"]}),
        (hold(a=TEXT) | {"required": ["b"], "not": {}, "if": {}, "then": {}}, hold(a=TEXT)),
        ({"anyOf": [TEXT, {"type": "null"}], "description": "D"}, TEXT | {"description": "D"}),
        ({"anyOf": [{"const": "a"}, {"enum": ["b", "c"]}], "type": "string"}, TEXT | {"enum": ["a", "b", "c"]}),
        ({"oneOf": [TEXT, NUMBER]}, {}),
        ({"oneOf": [TEXT, {"type": "string", "format": "uri"}]}, TEXT),
        ({"anyOf": "x", "allOf": [True]}, {}),
    ],
)
def test_schema(given: JSONObject, simple: JSONObject) -> None:
    """Types, descriptions, names and choices stay; conditions and bounds go."""
    assert simplify_schema(given) == simple


def test_parts_of_a_whole_are_joined() -> None:
    """All properties of all parts, and all that any requires."""
    parts: list[JSON] = [hold(b=NUMBER) | {"required": ["b"]}, {"anyOf": [hold(c=TEXT) | {"required": ["c"]}]}]
    given = hold(a=TEXT) | {"required": ["a"], "allOf": parts}
    assert simplify_schema(given) == hold(a=TEXT, b=NUMBER, c=TEXT) | {"required": ["a", "b", "c"]}


def test_alternatives_become_one_that_allows_each() -> None:
    """The properties of any alternative, of which none is required; the first of one name counts."""
    alternatives: list[JSON] = [hold(a=TEXT) | {"required": ["a"]}, hold(a=NUMBER, b=NUMBER)]
    given: JSONObject = {"anyOf": alternatives, "required": ["x"], "properties": {"x": TEXT}}
    assert simplify_schema(given) == hold(a=TEXT, b=NUMBER, x=TEXT) | {"required": ["x"]}


DATE = Tool(name="date", description="D.", input_schema=hold(a={"type": "string", "format": "date"}))
PLAIN = Tool(name="plain", description="P.", input_schema=hold(a=TEXT))
CONVERSATION = Conversation(
    model="m",
    turns=(
        user("hi", picture()),
        assistant(use("t", "date", {"tools": [{"toolSpecification": {"name": "date"}}]})),
        user(result("t", '"tools":[{"toolSpecification"')),
    ),
    tools=(DATE, PLAIN, Tool(name="odd", description="O.", input_schema={"oneOf": [TEXT, NUMBER]})),
)


def build(conversation: Conversation) -> tuple[dict[str, Any], dict[str, Any]]:
    """The conversation state with the simplest schemas, and the one before."""
    request = build_request(
        conversation, model_id="claude-sonnet-4", conversation_id="c", max_tool_description_length=99
    )
    simple = simplify_schemas(request)
    assert simple is not None
    assert validate_request(simple.encode(profile_arn=None), strict=True) is None
    assert simple.repairs == (*request.repairs, "simplified_schemas")
    assert simplify_schemas(simple) is None
    return json.loads(simple.conversation_state), json.loads(request.conversation_state)


def test_only_the_schemas_of_a_request_change() -> None:
    """The conversation stays, also where it looks like a declaration of tools."""
    simple, before = build(CONVERSATION)
    context = before["currentMessage"]["userInputMessage"]["userInputMessageContext"]
    schemas = [hold(a=TEXT), hold(a=TEXT), hold()]
    for tool, schema in zip(context["tools"], schemas, strict=True):
        tool["toolSpecification"]["inputSchema"]["json"] = schema
    assert simple == before


@pytest.mark.parametrize("tools", [(), (PLAIN,)])
def test_what_is_simple_already_is_not_tried_again(tools: tuple[Tool, ...]) -> None:
    """There is nothing that another attempt could be better at."""
    conversation = replace(CONVERSATION, turns=(user("hi"),), tools=tools)
    request = build_request(conversation, model_id="m", conversation_id="c", max_tool_description_length=99)
    assert simplify_schemas(request) is None
