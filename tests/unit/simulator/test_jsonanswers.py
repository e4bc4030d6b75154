"""What the small model answers where nothing but JSON is asked for."""

import json

import pytest

from kiro2api.protocol.answerformat import check_answer
from kiro2api.protocol.conversation import AnswerFormat
from kiro2api.protocol.jsontext import JSON, JSONObject
from kiro2api.protocol.kiro.instructions import build_format_instruction
from kiro2api.simulator.jsonanswers import build_json_answer
from tests.unit.simulator.bodies import request, tool, user
from tests.unit.simulator.test_model import text_of


def demand(schema: JSONObject | None) -> str:
    """A question, and the demand for an answer with this schema."""
    return f"Hi\n\n{build_format_instruction(AnswerFormat(schema=schema), set())}"


@pytest.mark.parametrize(
    ("schema", "example"),
    [
        ({}, "example"),
        ({"type": "object"}, {}),
        ({"properties": {"a": {"type": "string"}, "b": {"type": "null"}}, "required": ["a"]}, {"a": "example"}),
        ({"type": "object", "required": ["x"]}, {"x": "example"}),
        ({"type": ["null", "string"]}, None),
        ({"type": "array", "items": {"type": "boolean"}}, [True]),
        ({"type": "array", "minItems": 2, "items": {"type": "integer", "minimum": 5}}, [5, 5]),
        ({"type": "array", "minItems": 1.0}, ["example"]),
        ({"type": "number", "minimum": "x"}, 1),
        ({"type": "string", "format": "uuid"}, "00000000-0000-4000-8000-000000000000"),
        ({"enum": ["b", "a"]}, "b"),
        ({"const": 7}, 7),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 1),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "boolean"}}}, True),
        ({"$ref": "#/$defs/none"}, "example"),
    ],
)
def test_the_answer_is_the_smallest_that_fits(schema: JSONObject, example: JSON) -> None:
    """Of several choices the first, and nothing that is not required."""
    assert json.loads(build_json_answer(demand(schema)) or "") == example


def test_any_object_will_do() -> None:
    """Where no schema says which."""
    answer = build_json_answer(demand(None)) or ""
    assert check_answer(answer, AnswerFormat()).text == answer


@pytest.mark.parametrize("content", ["Hi", demand({}).replace("{}", "{"), ""])
def test_without_a_demand_there_is_none(content: str) -> None:
    """Nor where the schema cannot be read."""
    assert build_json_answer(content) is None


def test_a_schema_that_requires_itself_has_an_end() -> None:
    """Though no answer fits it."""
    assert "example" in (build_json_answer(demand({"required": ["a"], "properties": {"a": {"$ref": "#"}}})) or "")


def test_the_model_answers_in_json_unless_it_uses_tools() -> None:
    """The last demand counts, and a tool that is asked for comes first."""
    content = demand({"const": 1}) + demand({"const": 2})
    assert text_of(request(user(content))) == "2"
    assert text_of(request(user(f"use get_time {{}}\n{content}", context={"tools": [tool()]}))).startswith("You said")
