"""The form of the answer in Anthropic's words."""

import json

import pytest

from kiro2api.protocol.anthropic.request import parse_messages_request
from kiro2api.protocol.conversation import AnswerFormat, Conversation
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.jsontext import JSON, JSONObject

SCHEMA: JSONObject = {"type": "object", "properties": {"title": {"type": "string"}}}
FORMAT: JSONObject = {"type": "json_schema", "schema": SCHEMA}


def parse(**fields: JSON) -> Conversation:
    """The conversation of a plain body with ``fields``."""
    body: JSONObject = {"model": "m", "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}]}
    return parse_messages_request(json.dumps(body | fields).encode()).conversation


@pytest.mark.parametrize(
    ("fields", "schema", "repairs"),
    [
        ({"output_config": {"format": FORMAT}}, SCHEMA, ()),
        ({"output_config": {"format": FORMAT, "effort": "low"}}, SCHEMA, ()),
        ({"output_format": FORMAT}, SCHEMA, ()),
        ({"output_config": {"format": FORMAT}, "output_format": {"type": "json_schema", "schema": {}}}, SCHEMA, ()),
        (
            {"output_config": {"format": {"type": "x"}}, "output_format": FORMAT},
            SCHEMA,
            ("ignored:output_config.format",),
        ),
    ],
)
def test_a_schema_is_the_form_of_the_answer(fields: JSONObject, schema: JSONObject, repairs: tuple[str, ...]) -> None:
    """The newer field counts before the older one."""
    conversation = parse(**fields)
    assert (conversation.answer_format, conversation.repairs) == (AnswerFormat(schema=schema), repairs)


@pytest.mark.parametrize("fields", [{}, {"output_config": {"format": None}}, {"output_format": None}])
def test_without_one_the_model_answers_as_it_likes(fields: JSONObject) -> None:
    """``null`` is nothing."""
    assert parse(**fields) == parse()
    assert parse().answer_format is None


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
        ({"output_config": {"format": {"type": "json_schema", "schema": None}}}, "output_config.format.schema"),
        ({"output_format": {"type": "json_schema", "schema": {"type": 1}}}, "output_format.schema.type"),
    ],
)
def test_what_is_no_schema_is_refused(fields: JSONObject, path: str) -> None:
    """Where it stands."""
    with pytest.raises(InvalidRequestError) as refused:
        parse(**fields)
    assert refused.value.path == path
