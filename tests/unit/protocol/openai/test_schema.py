"""The body's fields: what is accepted, and how the first wrong one is named."""

import pytest

from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.jsontext import JSON
from kiro2api.protocol.openai.request import parse_chat_request
from kiro2api.protocol.openai.schema import ChatBody, parse_chat_body

USER: JSON = {"role": "user", "content": "hi"}


def parse(**fields: JSON) -> ChatBody:
    """The smallest body with ``fields`` added."""
    return parse_chat_body({"model": "m", "messages": [USER], **fields})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The request body is not valid JSON: Input data was truncated (line 1, column 1)."),
        (b"[]", "The request body must be a JSON object."),
        (b"null", "The request body must be a JSON object."),
        (b"5", "The request body must be a JSON object."),
        (
            b"[" * 100_000,
            "The request body is not valid JSON: nested too deep, more than 100 levels (line 1, column 101).",
        ),
        (b"{}", "model: Field required"),
        (b'{"model":"m"}', "messages: Field required"),
        (b'{"model":"","messages":[]}', "model: Input should not be empty"),
        (b'{"model":"m","messages":[]}', "messages: Input should have at least one member"),
        (b'{"model":"m","messages":"hi"}', "messages: Input should be an array"),
        (b'{"model":3,"messages":[]}', "model: Input should be a valid string"),
    ],
)
def test_body_that_is_no_request(body: bytes, message: str) -> None:
    """What is no request at all is refused with a sentence that says why."""
    with pytest.raises(InvalidRequestError) as caught:
        parse_chat_request(body)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("message", "path"),
    [
        ("hi", "messages[0]"),
        ({}, "messages[0].role"),
        ({"role": 5}, "messages[0].role"),
        ({"role": ["user"]}, "messages[0].role"),
        ({"role": "user"}, "messages[0].content"),
        ({"role": "user", "content": None}, "messages[0].content"),
        ({"role": "user", "content": 5}, "messages[0].content"),
        ({"role": "user", "content": {}}, "messages[0].content"),
        ({"role": "system"}, "messages[0].content"),
        ({"role": "user", "content": ["hi"]}, "messages[0].content[0]"),
        ({"role": "user", "content": [{}]}, "messages[0].content[0].type"),
        ({"role": "user", "content": [{"type": 1}]}, "messages[0].content[0].type"),
        ({"role": "user", "content": [{"function": {}}]}, "messages[0].content[0].type"),
        ({"role": "user", "content": [{"type": "text"}]}, "messages[0].content[0].text"),
        ({"role": "user", "content": [{"type": "image_url"}]}, "messages[0].content[0].image_url"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": "u"}]}, "messages[0].content[0].image_url"),
        (
            {"role": "user", "content": [{"type": "text", "text": ""}, {"type": "image_url", "image_url": {"url": 1}}]},
            "messages[0].content[1].image_url.url",
        ),
        ({"role": "assistant", "content": 1}, "messages[0].content"),
        ({"role": "assistant", "tool_calls": {}}, "messages[0].tool_calls"),
        ({"role": "assistant", "tool_calls": [1]}, "messages[0].tool_calls[0]"),
        ({"role": "assistant", "tool_calls": [{"type": "function"}]}, "messages[0].tool_calls[0].id"),
        (
            {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": {}}}]},
            "messages[0].tool_calls[0].function.arguments",
        ),
        ({"role": "tool", "content": "x"}, "messages[0].tool_call_id"),
        ({"role": "function", "name": ""}, "messages[0].name"),
    ],
)
def test_wrong_message_is_named(message: JSON, path: str) -> None:
    """The path of a wrong field in a message is in the client's words, without traces of the schema's unions."""
    with pytest.raises(InvalidRequestError) as caught:
        parse(messages=[message])
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("stream", "yes", "stream: Input should be a valid boolean"),
        ("stream", 1, "stream: Input should be a valid boolean"),
        ("stream_options", [], "stream_options: Input should be an object"),
        ("stream_options", {"include_usage": "x"}, "stream_options.include_usage: Input should be a valid boolean"),
        ("max_tokens", "5", "max_tokens: Input should be a valid integer"),
        ("max_tokens", -1, "max_tokens: Input should be greater than or equal to 1"),
        ("max_completion_tokens", 1.5, "max_completion_tokens: Input should be a valid integer"),
        ("temperature", "hot", "temperature: Input should be a valid number"),
        ("stop", 5, "stop: Input should be a string or an array"),
        ("stop", [5], "stop[0]: Input should be a valid string"),
        ("n", 0, "n: Input should be greater than or equal to 1"),
        ("messages", [{"role": "user", "content": None}], "messages[0].content: Input should be a string or an array"),
        ("tools", {}, "tools: Input should be an array"),
        ("tools", ["f"], "tools[0]: Input should be an object"),
        ("tools", [{"type": "function"}], "tools[0].function: Field required"),
        ("tools", [{"function": {"name": ""}}], "tools[0].function.name: Input should not be empty"),
        (
            "tools",
            [{"function": {"name": "f", "parameters": []}}],
            "tools[0].function.parameters: Input should be an object",
        ),
        ("tools", [{"type": "custom", "custom": {}}], "tools[0].custom.name: Field required"),
        ("functions", [{}], "functions[0].name: Field required"),
        ("tool_choice", "any", "tool_choice: Input should be 'none', 'auto' or 'required'"),
        ("tool_choice", 1, "tool_choice: Input should be an object"),
        ("tool_choice", {}, "tool_choice.type: Field required"),
        ("tool_choice", {"type": "function", "name": "f"}, "tool_choice.function: Field required"),
        ("function_call", "required", "function_call: Input should be 'none' or 'auto'"),
        ("function_call", {}, "function_call.name: Field required"),
        ("response_format", "json", "response_format: Input should be an object"),
    ],
)
def test_wrong_parameter_is_named(name: str, value: JSON, message: str) -> None:
    """A wrong parameter is refused with its path and what it must be, never coerced."""
    with pytest.raises(InvalidRequestError) as caught:
        parse(**{name: value})
    assert caught.value.message == message


def test_nulls_and_unknown_fields() -> None:
    """``null`` counts as absent wherever a field is optional, and unknown fields are skipped."""
    required = {"model", "messages"}
    nulls: dict[str, JSON] = {name: None for name in ChatBody.model_fields if name not in required}
    assert parse(**nulls, cache_control={"type": "ephemeral"}, service_tier="flex") == parse()
