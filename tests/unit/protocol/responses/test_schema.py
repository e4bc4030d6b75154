"""The fields of a request."""

import pytest

from kiro2api.protocol.bodies import parse_object
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.jsontext import JSON, JSONObject
from kiro2api.protocol.responses import schema
from kiro2api.protocol.responses.schema import parse_responses_body


def parse(**fields: JSON) -> schema.ResponsesBody:
    """A request with these fields."""
    return parse_responses_body({"model": "m", **fields})


def say(*parts: schema.Part) -> schema.Message:
    """A user's message as it is read."""
    return schema.Message.model_construct(role="user", content=[*parts])


CALL = {"call_id": "c", "name": "f"}
ITEMS: list[tuple[JSONObject, object]] = [
    (
        {"type": "message", "role": "user", "content": "a"},
        say(schema.TextPart(text="a")),
    ),
    ({"role": "user", "content": [], "type": None}, say()),
    ({"type": "function_call", **CALL}, schema.FunctionCall(**CALL)),
    ({"type": "custom_tool_call", **CALL, "input": "i"}, schema.CustomToolCall(**CALL, input="i")),
    ({"type": "function_call_output", "call_id": "c"}, schema.CallOutput(call_id="c")),
    (
        {"type": "custom_tool_call_output", "call_id": "c", "output": "o"},
        schema.CallOutput.model_construct(call_id="c", output=[schema.TextPart(text="o")]),
    ),
    (
        {"type": "local_shell_call", "id": "i", "action": {}},
        schema.ShellCall(type="local_shell_call", id="i", action={}),
    ),
    ({"type": "shell_call", "call_id": "c", "action": {}}, schema.ShellCall(type="shell_call", call_id="c", action={})),
    ({"type": "apply_patch_call", "call_id": "c", "operation": {}}, schema.PatchCall(call_id="c", operation={})),
    ({"type": "local_shell_call_output", "id": "i", "output": "o"}, schema.ShellOutput(id="i", output="o")),
    ({"type": "shell_call_output", "call_id": "c", "output": []}, schema.ShellOutput(call_id="c", output=[])),
    ({"type": "apply_patch_call_output", "call_id": "c"}, schema.ShellOutput(call_id="c")),
    ({"type": "reasoning", "summary": []}, schema.Reasoning(summary=[])),
    ({"type": "item_reference", "id": "i"}, schema.ItemReference(id="i")),
    ({"type": None, "id": "i"}, schema.ItemReference(id="i")),
    ({"id": "i"}, schema.ItemReference(id="i")),
    ({"type": "additional_tools", "role": "developer", "tools": []}, schema.AdditionalTools(tools=[])),
    ({"type": "web_search_call", "id": "i"}, schema.UnknownItem(type="web_search_call")),
]


@pytest.mark.parametrize(("item", "expected"), ITEMS, ids=[str(item.get("type")) for item, _ in ITEMS])
def test_items(item: JSONObject, expected: object) -> None:
    """Each is told by its type, or without one by its fields."""
    assert parse(input=[item]).input == [expected]


def test_text_as_input() -> None:
    """A text is what the user says."""
    assert parse(input="a").input == [say(schema.TextPart(text="a"))]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "output_text", "text": "a", "annotations": []}, schema.TextPart(text="a")),
        ({"type": "refusal", "refusal": "no"}, schema.RefusalPart(refusal="no")),
        ({"type": "input_image", "file_id": "f"}, schema.ImagePart()),
        ({"type": "input_file", "file_data": "d"}, schema.FilePart(file_data="d")),
        ({"type": "input_audio"}, schema.UnknownPart(type="input_audio")),
    ],
)
def test_parts(part: JSONObject, expected: schema.Part) -> None:
    """Each is told by its type."""
    body = parse(input=[{"role": "user", "content": [part]}])
    assert body.input == [say(expected)]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": ""}, "model: Input should not be empty"),
        ({"input": 1}, "input: Input should be a string or an array"),
        ({"input": ["a"]}, "input[0]: Input should be an object"),
        ({"input": [{}]}, "input[0].type: Field required"),
        ({"input": [{"role": "user", "content": 1}]}, "input[0].content: Input should be a string or an array"),
        ({"input": [{"role": "user", "content": [1]}]}, "input[0].content[0]: Input should be an object"),
        ({"input": [{"type": "function_call", "name": "f"}]}, "input[0].call_id: Field required"),
        ({"tools": [{"type": "function"}]}, "tools[0].name: Field required"),
        ({"tools": [{"type": "namespace", "name": "n", "tools": [1]}]}, "tools[0].tools[0]: Input should be an object"),
        ({"tool_choice": "any"}, "tool_choice: Input should be 'none', 'auto' or 'required'"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.name: Field required"),
        ({"tool_choice": 1}, "tool_choice: Input should be an object"),
        (
            {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": ["f"]}},
            "tool_choice.tools[0]: Input should be an object",
        ),
        ({"stream": 1}, "stream: Input should be a valid boolean"),
    ],
)
def test_wrong_fields(fields: JSONObject, message: str) -> None:
    """The first wrong place is named in the client's words."""
    with pytest.raises(InvalidRequestError) as caught:
        parse(**fields)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "The request body is not valid JSON: Input data was truncated (line 1, column 2)."),
        (b"[]", "The request body must be a JSON object."),
    ],
)
def test_no_object(body: bytes, message: str) -> None:
    """Other bytes are refused as what they are."""
    with pytest.raises(InvalidRequestError) as caught:
        parse_object(body)
    assert caught.value.message == message


def test_object() -> None:
    """An object is what it says, and half a character in it is noted."""
    assert parse_object(b'{"a": [1]}') == ({"a": [1]}, ())
    assert parse_object(rb'{"a": "\ud800"}') == ({"a": "\ufffd"}, ("replaced_surrogates",))
