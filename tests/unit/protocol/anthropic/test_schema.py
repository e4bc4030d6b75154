"""Wrong bodies, and where the error says they are wrong."""

import json

import pytest

from kiro2api.protocol.anthropic.request import parse_count_tokens_request, parse_messages_request
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.jsontext import JSON

OBJECT = "Input should be an object"
ARRAY = "Input should be an array"
STRING = "Input should be a valid string"
CONTENT = "Input should be a string or an array of content blocks"
FIELD = "Field required"


def body(**fields: JSON) -> bytes:
    """A body that is right but for ``fields``."""
    right: dict[str, JSON] = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 64,
        "messages": [{"role": "user", "content": "hi"}],
    }
    return json.dumps(right | fields).encode()


def user(*blocks: JSON) -> bytes:
    """A body whose only message has these blocks."""
    return body(messages=[{"role": "user", "content": list(blocks)}])


def result(content: JSON) -> JSON:
    """A tool result with this content."""
    return {"type": "tool_result", "tool_use_id": "t1", "content": content}


def tool_message(**fields: JSON) -> bytes:
    """A body with an assistant's tool use, right but for ``fields``."""
    right: dict[str, JSON] = {"type": "tool_use", "id": "t1", "name": "f", "input": {}}
    return body(messages=[{"role": "assistant", "content": [right | fields]}])


WRONG: list[tuple[bytes, str, str]] = [
    (body(model=""), "model", "Input should not be empty"),
    (body(model=None), "model", STRING),
    (body(max_tokens="9"), "max_tokens", "Input should be a valid integer"),
    (body(max_tokens=True), "max_tokens", "Input should be a valid integer"),
    (body(max_tokens=-1), "max_tokens", "Input should be greater than or equal to 0"),
    (body(stream="yes"), "stream", "Input should be a valid boolean"),
    (body(stop_sequences="x"), "stop_sequences", ARRAY),
    (body(stop_sequences=["x", 1]), "stop_sequences[1]", STRING),
    (body(metadata={"user_id": 7}), "metadata.user_id", STRING),
    (body(system=7), "system", CONTENT),
    (body(system=[{"type": "text"}]), "system[0].text", FIELD),
    (body(messages=[]), "messages", "Input should have at least one member"),
    (body(messages="hi"), "messages", ARRAY),
    (body(messages=["hi"]), "messages[0]", OBJECT),
    (body(messages=[{"role": "user"}]), "messages[0].content", FIELD),
    (body(messages=[{"content": ""}]), "messages[0].role", FIELD),
    (
        body(messages=[{"role": 1, "content": ""}]),
        "messages[0].role",
        "Input should be 'user', 'assistant', 'system' or 'developer'",
    ),
    (
        body(messages=[{"role": "user", "content": "a"}, {"role": "user", "content": 3}]),
        "messages[1].content",
        CONTENT,
    ),
    (body(messages=[{"role": "user", "content": None}]), "messages[0].content", CONTENT),
    (user("hi"), "messages[0].content[0]", OBJECT),
    (user({"text": "a"}), "messages[0].content[0].type", FIELD),
    (user({"type": 1}), "messages[0].content[0].type", STRING),
    (user({"type": "text", "text": "a"}, {"type": "text"}), "messages[0].content[1].text", FIELD),
    (user({"type": "image"}), "messages[0].content[0].source", FIELD),
    (user({"type": "image", "source": "x"}), "messages[0].content[0].source", OBJECT),
    (
        user({"type": "image", "source": {"type": "base64", "data": 1}}),
        "messages[0].content[0].source.data",
        STRING,
    ),
    (
        user({"type": "document", "source": {"type": "content", "content": [{"type": "text"}]}}),
        "messages[0].content[0].source.content[0].text",
        FIELD,
    ),
    (user({"type": "tool_result"}), "messages[0].content[0].tool_use_id", FIELD),
    (user(result(1)), "messages[0].content[0].content", CONTENT),
    (user(result([{"type": "text"}])), "messages[0].content[0].content[0].text", FIELD),
    (tool_message(input="{}"), "messages[0].content[0].input", OBJECT),
    (tool_message(name=""), "messages[0].content[0].name", "Input should not be empty"),
    (tool_message(id=None), "messages[0].content[0].id", STRING),
    (body(tools={}), "tools", ARRAY),
    (body(tools=[1]), "tools[0]", OBJECT),
    (body(tools=[{"name": "f"}]), "tools[0].input_schema", FIELD),
    (body(tools=[{"input_schema": {}, "type": "custom"}]), "tools[0].name", FIELD),
    (body(tools=[{"type": 1}]), "tools[0].type", STRING),
    (body(tool_choice="auto"), "tool_choice", OBJECT),
    (
        body(tool_choice={"type": "x"}),
        "tool_choice.type",
        "Input should be 'auto', 'any', 'tool' or 'none'",
    ),
]


@pytest.mark.parametrize(("data", "path", "message"), WRONG)
def test_first_fault_is_named_where_the_client_wrote_it(data: bytes, path: str, message: str) -> None:
    """The path is the client's own, and the sentence speaks of JSON."""
    with pytest.raises(InvalidRequestError) as caught:
        parse_messages_request(data)
    assert (caught.value.path, caught.value.message) == (path, f"{path}: {message}")


@pytest.mark.parametrize("data", [b"[]", b"null", b"7", b'"text"'])
def test_body_must_be_an_object(data: bytes) -> None:
    """Any other JSON value is wrong as a whole."""
    with pytest.raises(InvalidRequestError) as caught:
        parse_messages_request(data)
    assert (caught.value.path, caught.value.message) == ("", "The request body must be a JSON object.")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"a":1,}',
        b"{}{}",
        b'{"a":NaN}',
        b'{"a":1e999}',
        b"\xff\xfe{\x00}\x00",
        b'{"a":"\xff"}',
        b"[" * 100_000,
        b'["\\ud800",' + b"[" * 5000 + b"]" * 5001,
    ],
)
def test_what_is_no_json_is_refused(data: bytes) -> None:
    """Every kind of broken text is one and the same fault."""
    with pytest.raises(InvalidRequestError, match="The request body is not valid JSON: "):
        parse_messages_request(data)


def test_max_tokens_is_required_for_messages_only() -> None:
    """A token count asks for no answer."""
    data = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
    with pytest.raises(InvalidRequestError, match="max_tokens: Field required"):
        parse_messages_request(data)
    assert parse_count_tokens_request(data).max_tokens is None


@pytest.mark.parametrize("thread", [{"type": "create"}, {"type": "continue"}, False])
def test_threads_are_refused_with_the_code_that_sdks_act_on(thread: JSON) -> None:
    """An SDK that reads this code goes on without threads."""
    for parse in (parse_messages_request, parse_count_tokens_request):
        with pytest.raises(InvalidRequestError) as caught:
            parse(body(thread=thread))
        assert (caught.value.path, caught.value.code) == ("thread", "thread_unsupported_request")
