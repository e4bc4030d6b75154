"""Whole requests as conversations."""

import json
from pathlib import Path

import pytest

from kiro2api.protocol.conversation import AnswerFormat, Conversation, Text, ToolUse, UserTurn
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.jsontext import JSON, JSONObject, encode_json
from kiro2api.protocol.openai.request import ChatRequest, parse_chat_request

HI = UserTurn(blocks=(Text(text="hi"),))
RECORDINGS = Path(__file__).parents[4] / ".." / "shared" / "recordings"
RECORDED = sorted(RECORDINGS.glob("*/*/*-chat-completions.json"))


def parse(**fields: JSON) -> ChatRequest:
    """The smallest request with ``fields`` added."""
    messages: JSON = [{"role": "user", "content": "hi"}]
    return parse_chat_request(encode_json({"model": "m", "messages": messages, **fields}))


def test_smallest_request() -> None:
    """Model and messages are enough; all else has its default."""
    conversation = Conversation(model="m", turns=(HI,))
    assert parse() == ChatRequest(conversation=conversation, stream=False, include_usage=False)


@pytest.mark.parametrize(
    ("fields", "stream", "include_usage"),
    [
        ({"stream": None, "stream_options": None}, False, False),
        ({"stream": True}, True, False),
        ({"stream": True, "stream_options": {}}, True, False),
        ({"stream": True, "stream_options": {"include_usage": False}}, True, False),
        ({"stream": True, "stream_options": {"include_usage": True, "include_obfuscation": False}}, True, True),
    ],
)
def test_form_of_the_answer(fields: JSONObject, stream: bool, include_usage: bool) -> None:  # noqa: FBT001  parameters of the table
    """The answer is streamed, and with usage, if and only if the client says so."""
    request = parse(**fields)
    assert (request.stream, request.include_usage) == (stream, include_usage)


SCHEMA: JSONObject = {"type": "object", "properties": {"a": {"type": "string"}}}


@pytest.mark.parametrize(
    ("response_format", "expected"),
    [
        (None, None),
        ({"type": "text"}, None),
        ({"type": "json_object"}, AnswerFormat()),
        ({"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}, AnswerFormat(schema=SCHEMA)),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "strict": False, "schema": SCHEMA}},
            AnswerFormat(schema=SCHEMA),
        ),
        ({"type": "json_schema", "json_schema": {"name": "n"}}, AnswerFormat()),
        ({"type": "json_schema", "json_schema": {"name": "n", "schema": None}}, AnswerFormat()),
    ],
)
def test_response_format(response_format: JSON, expected: AnswerFormat | None) -> None:
    """Strict or not makes no difference; a schema is not needed."""
    assert parse(response_format=response_format).conversation.answer_format == expected


@pytest.mark.parametrize(
    ("json_schema", "path"),
    [
        (None, "response_format.json_schema"),
        ("x", "response_format.json_schema"),
        ({"name": "n", "schema": "x"}, "response_format.json_schema.schema"),
        ({"name": "n", "schema": {"items": {"type": "x"}}}, "response_format.json_schema.schema.items.type"),
    ],
)
def test_response_format_without_a_schema_is_refused(json_schema: JSON, path: str) -> None:
    """Where it stands."""
    with pytest.raises(InvalidRequestError) as refused:
        parse(response_format={"type": "json_schema", "json_schema": json_schema})
    assert refused.value.path == path


@pytest.mark.parametrize(
    ("fields", "max_tokens"),
    [
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 6}, 6),
        ({"max_tokens": 5, "max_completion_tokens": 6}, 6),
        ({"max_tokens": 5, "max_completion_tokens": None}, 5),
    ],
)
def test_max_tokens(fields: JSONObject, max_tokens: int) -> None:
    """The new name wins over the old one."""
    assert parse(**fields).conversation.max_tokens == max_tokens


@pytest.mark.parametrize(
    ("stop", "stop_sequences"),
    [(None, ()), ("END", ("END",)), ("", ()), (["a", "", "b"], ("a", "b")), ([], ())],
)
def test_stop(stop: JSON, stop_sequences: tuple[str, ...]) -> None:
    """Stop sequences come as a string or a list; empty ones would stop everything and are left out."""
    assert parse(stop=stop).conversation.stop_sequences == stop_sequences


@pytest.mark.parametrize(
    ("fields", "session_id"),
    [
        ({"metadata": {"session_id": "a:1_B.-"}, "prompt_cache_key": "k"}, "a:1_B.-"),
        ({"metadata": {"session_id": "a b"}, "prompt_cache_key": "k"}, "k"),
        ({"metadata": {"session_id": 5}}, None),
        ({"metadata": "x", "prompt_cache_key": "k" * 129}, None),
        ({"metadata": {}, "prompt_cache_key": "k" * 128}, "k" * 128),
        ({"user": "u"}, None),
    ],
)
def test_session_id(fields: JSONObject, session_id: str | None) -> None:
    """A session's name comes from the metadata, else from the cache key, when it is a plain word."""
    assert parse(**fields).conversation.session_id == session_id


@pytest.mark.parametrize(
    ("fields", "repairs"),
    [
        ({"temperature": 0, "seed": 1, "logit_bias": {"5": 1}}, ("ignored:sampling",)),
        ({"logprobs": True, "top_logprobs": 2}, ("ignored:logprobs",)),
        ({"logprobs": False, "n": 1, "user": "u", "store": True}, ()),
        ({"response_format": {"type": "grammar"}}, ("ignored:response_format",)),
        ({"response_format": {"type": "json_object"}}, ()),
        ({"response_format": {"type": "text"}}, ()),
        ({"reasoning_effort": "low", "verbosity": "high"}, ("ignored:verbosity",)),
        ({"reasoning_effort": "utmost"}, ("ignored:reasoning_effort",)),
        ({"tools": [{"type": "mcp"}, {"type": "mcp"}], "top_p": 1}, ("dropped_tool:mcp", "ignored:sampling")),
    ],
)
def test_what_is_ignored_is_noted(fields: JSONObject, repairs: tuple[str, ...]) -> None:
    """Each parameter that would change the answer, but has no place upstream, is noted once."""
    assert parse(**fields).conversation.repairs == repairs


def test_several_choices_are_refused() -> None:
    """More than one choice cannot be had, and saying nothing would break code that counts them."""
    with pytest.raises(InvalidRequestError) as caught:
        parse(n=2)
    assert caught.value.path == "n"


@pytest.mark.skipif(not RECORDED, reason="the recorded requests are not beside this checkout")
@pytest.mark.parametrize("path", RECORDED, ids=lambda path: "/".join(path.parts[-3:]))
def test_recorded_request(path: Path) -> None:
    """Requests of real clients are understood: every tool is kept, and so is every call of one."""
    body = json.loads(path.read_text())["body"]
    conversation = parse_chat_request(json.dumps(body).encode()).conversation
    names = [tool["function"]["name"] for tool in body.get("tools", [])]
    call_ids = [call["id"] for message in body["messages"] for call in message.get("tool_calls", [])]
    blocks = [block for turn in conversation.turns for block in turn.blocks]
    assert conversation.model == body["model"]
    assert [tool.name for tool in conversation.tools] == names
    assert [block.tool_use_id for block in blocks if isinstance(block, ToolUse)] == call_ids
    assert {repair.partition(":")[0] for repair in conversation.repairs} <= {"ignored"}
