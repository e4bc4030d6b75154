"""Requests as conversations."""

import pytest

from kiro2api.protocol.conversation import (
    AnswerFormat,
    Conversation,
    Effort,
    Text,
    ThinkingChoice,
    ThinkingMode,
    Tool,
    ToolChoice,
)
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.jsontext import JSON, JSONObject, encode_json
from kiro2api.protocol.responses.items import History
from kiro2api.protocol.responses.request import (
    ANY_MODEL,
    ResponsesRequest,
    build_responses_request,
    parse_count_inquiry,
    parse_responses_inquiry,
)
from kiro2api.protocol.responses.tools import ToolForm, ToolKind
from tests.support.conversations import assistant, user

DEFAULTS: JSONObject = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}


def read(**fields: JSON) -> ResponsesRequest:
    """A request with these fields."""
    return read_after(History(), **fields)


def read_after(before: History, /, **fields: JSON) -> ResponsesRequest:
    """The same, after ``before``."""
    inquiry = parse_responses_inquiry(encode_json({"model": "m", "input": "hi", **fields}))
    references = {item_id: Text(text="yes") for item_id in inquiry.references}
    return build_responses_request(inquiry, before=before, references=references)


def test_least_request() -> None:
    """A model and a text are enough."""
    assert read() == ResponsesRequest(
        conversation=Conversation(model="m", turns=(user("hi"),)),
        stream=False,
        store=True,
        settings=DEFAULTS,
        forms={},
        history=History(turns=(user("hi"),)),
    )


def test_whole_request() -> None:
    """Every field has its place, and the response repeats what it should."""
    tool: JSON = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False}
    fields: JSONObject = {
        "instructions": "Be brief.",
        "max_output_tokens": 5,
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "prompt_cache_key": "session-1",
        "store": False,
        "tools": [tool],
    }
    request = read(**fields, stream=True, include=["reasoning.encrypted_content"], reasoning={"summary": "auto"})
    assert request == ResponsesRequest(
        conversation=Conversation(
            model="m",
            turns=(user("hi"),),
            system=("Be brief.",),
            tools=(Tool(name="f", description="", input_schema={"type": "object"}),),
            tool_choice=ToolChoice(parallel=False),
            max_tokens=5,
            session_id="session-1",
        ),
        stream=True,
        store=False,
        settings=DEFAULTS | fields | {"reasoning": {"effort": None, "summary": "auto"}},
        forms={"f": ToolForm(kind=ToolKind.FUNCTION, name="f")},
        history=History(turns=(user("hi"),)),
    )


def test_continuation() -> None:
    """What came before is part of the conversation, the old instructions are not."""
    before = History(system=("s",), turns=(user("hi"), assistant("yes")))
    request = read_after(
        before, instructions="i", previous_response_id="resp_1", input=[{"role": "user", "content": "more"}]
    )
    turns = (user("hi"), assistant("yes"), user("more"))
    assert request.conversation == Conversation(model="m", turns=turns, system=("i", "s"))
    assert request.history == History(system=("s",), turns=turns)


def test_continuation_without_input() -> None:
    """There may be nothing to add."""
    before = History(turns=(user("hi"),))
    assert read_after(before, input=None, previous_response_id="resp_1").conversation.turns == (user("hi"),)


def test_references() -> None:
    """They are what they refer to."""
    items: JSON = [{"role": "user", "content": "hi"}, {"id": "msg_1"}]
    assert read(input=items).conversation.turns == (user("hi"), assistant("yes"))


@pytest.mark.parametrize(
    ("fields", "session_id"),
    [
        ({"metadata": {"session_id": "a"}, "prompt_cache_key": "b"}, "a"),
        ({"prompt_cache_key": "b", "client_metadata": {"session_id": "c"}}, "b"),
        ({"client_metadata": {"session_id": "c"}}, "c"),
        ({"metadata": {"session_id": "no id"}, "prompt_cache_key": 1}, None),
        ({"metadata": "a", "client_metadata": []}, None),
    ],
)
def test_session_id(fields: JSONObject, session_id: str | None) -> None:
    """The first name that can be one counts."""
    assert read(**fields).conversation.session_id == session_id


@pytest.mark.parametrize(
    ("reasoning", "thinking"),
    [
        (None, ThinkingChoice()),
        ({"summary": "auto"}, ThinkingChoice()),
        ({"effort": "low"}, ThinkingChoice(mode=ThinkingMode.ADAPTIVE, effort=Effort.LOW)),
        ({"effort": "max"}, ThinkingChoice(mode=ThinkingMode.ADAPTIVE, effort=Effort.MAX)),
        ({"effort": "none"}, ThinkingChoice(mode=ThinkingMode.OFF)),
        ({"effort": "minimal"}, ThinkingChoice(mode=ThinkingMode.OFF)),
    ],
)
def test_reasoning(reasoning: JSON, thinking: ThinkingChoice) -> None:
    """The effort is handed on, and none is none."""
    conversation = read(reasoning=reasoning).conversation
    assert (conversation.thinking, conversation.repairs) == (thinking, ())


@pytest.mark.parametrize(
    ("fields", "repair"),
    [
        ({"temperature": 0.5}, "ignored:sampling"),
        ({"top_p": 1}, "ignored:sampling"),
        ({"top_logprobs": 2}, "ignored:logprobs"),
        ({"text": {"format": {"type": "grammar"}}}, "ignored:response_format"),
        ({"text": {"format": {"type": ["json_object"]}}}, "ignored:response_format"),
        ({"truncation": "auto"}, "ignored:truncation"),
        ({"truncation": ["disabled"]}, "ignored:truncation"),
        ({"max_tool_calls": 3}, "ignored:max_tool_calls"),
        ({"text": {"verbosity": "low"}}, "ignored:verbosity"),
        ({"reasoning": {"effort": "heroic"}}, "ignored:reasoning_effort"),
        ({"reasoning": {"effort": 1}}, "ignored:reasoning_effort"),
        ({"tools": [{"type": "web_search"}]}, "dropped_tool:web_search"),
        ({"input": [{"role": "user", "content": "a"}, {"type": "compaction"}]}, "dropped_item:compaction"),
    ],
)
def test_repairs(fields: JSONObject, repair: str) -> None:
    """What does nothing is noted."""
    assert read(**fields).conversation.repairs == (repair,)


@pytest.mark.parametrize("fields", [{"text": {"format": {"type": "text"}}}, {"text": 1}, {"reasoning": []}])
def test_nothing_to_note(fields: JSONObject) -> None:
    """What changes nothing is not noted."""
    assert read(**fields).conversation.repairs == ()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"background": True}, "background: is not supported."),
        ({"prompt": {"id": "p"}}, "prompt: is not supported."),
        ({"conversation": "conv_1"}, "conversation: is not supported."),
        ({"input": None}, "input: Field required"),
    ],
)
def test_refusals(fields: JSONObject, message: str) -> None:
    """What cannot be served is refused by its name."""
    with pytest.raises(InvalidRequestError) as caught:
        read(**fields)
    assert caught.value.message == message


def test_previous_response() -> None:
    """The request says which one it continues."""
    body = encode_json({"model": "m", "previous_response_id": "resp_1"})
    assert parse_responses_inquiry(body).previous_response_id == "resp_1"


SCHEMA: JSONObject = {"type": "object", "properties": {"a": {"type": "string"}}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ({"format": None}, None),
        ({"format": {"type": "text"}}, None),
        ({"format": {"type": "json_object"}}, AnswerFormat()),
        ({"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}}, AnswerFormat(schema=SCHEMA)),
        (
            {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": False}},
            AnswerFormat(schema=SCHEMA),
        ),
    ],
)
def test_text_format(text: JSON, expected: AnswerFormat | None) -> None:
    """Strict or not makes no difference."""
    assert read(text=text).conversation.answer_format == expected


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({}, "text.format.schema"),
        ({"schema": None}, "text.format.schema"),
        ({"schema": {"required": "a"}}, "text.format.schema.required"),
    ],
)
def test_text_format_without_a_schema_is_refused(fields: JSONObject, path: str) -> None:
    """Where it stands."""
    with pytest.raises(InvalidRequestError) as refused:
        read(text={"format": {"type": "json_schema", "name": "n", **fields}})
    assert refused.value.path == path


@pytest.mark.parametrize(
    ("fields", "model"), [({}, ANY_MODEL), ({"model": None}, ANY_MODEL), ({"model": "gpt-17"}, "gpt-17")]
)
def test_count(fields: JSONObject, model: str) -> None:
    """It needs no model, and is as strict with all else."""
    assert parse_count_inquiry(encode_json({"input": "hi", **fields})).body.model == model
    with pytest.raises(InvalidRequestError, match="input: Field required"):
        parse_count_inquiry(encode_json(fields))


def test_half_a_character_is_noted() -> None:
    """Wherever it stands in the body."""
    inquiry = parse_responses_inquiry(rb'{"model": "m", "input": "a", "metadata": {"b": "\ud83d"}}')
    request = build_responses_request(inquiry, before=History(), references={})
    assert request.conversation.repairs == ("replaced_surrogates",)
