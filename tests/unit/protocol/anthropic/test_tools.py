"""Tools and the choice among them."""

import json

import pytest

from kiro2api.protocol.anthropic.request import parse_messages_request
from kiro2api.protocol.conversation import Conversation, Tool, ToolChoice, ToolChoiceMode
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.jsontext import JSON

TOOL: JSON = {"name": "f", "description": "F.", "input_schema": {"type": "object"}}
SEARCH: JSON = {"type": "web_search_20250305", "name": "web_search", "max_uses": 5}
F = Tool(name="f", description="F.", input_schema={"type": "object"})


def parse(tools: list[JSON] | None = None, choice: JSON = None) -> Conversation:
    """The conversation of a request with these tools."""
    data: JSON = {
        "model": "m",
        "max_tokens": 1,
        "messages": [{"role": "user", "content": "hi"}],
        "tools": list(tools or ()),
        "tool_choice": choice,
    }
    return parse_messages_request(json.dumps(data).encode()).conversation


@pytest.mark.parametrize("kind", [None, "custom"])
def test_own_tools_keep_name_description_and_schema(kind: str | None) -> None:
    """Other fields of a tool do not matter; a missing description is an empty one."""
    tool: JSON = {"name": "g", "input_schema": {}, "type": kind, "strict": True, "description": None}
    assert parse([TOOL, tool]).tools == (F, Tool(name="g", description="", input_schema={}))


def test_first_of_two_tools_with_one_name_stays() -> None:
    """The upstream refuses doubles; the note says that there was one."""
    conversation = parse([TOOL, {"name": "f", "input_schema": {}}])
    assert (conversation.tools, conversation.repairs) == ((F,), ("duplicate_tool",))


@pytest.mark.parametrize(
    "kind",
    [
        "web_search_20250305",
        "web_fetch_20260318",
        "code_execution_20250825",
        "tool_search_tool_regex_20251119",
        "computer_20251124",
        "browser_toolset_20260801",
        "bash_code_execution_20250825",
        "mcp_toolset",
        "",
    ],
)
def test_tools_of_the_service_are_dropped_and_noted(kind: str) -> None:
    """They stand beside the client's own, which stay."""
    conversation = parse([{"type": kind}, TOOL])
    assert (conversation.tools, conversation.repairs) == ((F,), (f"dropped_tool:{kind}",))


@pytest.mark.parametrize(
    ("kind", "name", "expected", "parameters"),
    [
        ("bash_20250124", "bash", "bash", {"command", "restart"}),
        (
            "text_editor_20250728",
            "str_replace_based_edit_tool",
            "str_replace_based_edit_tool",
            {
                "command", "path", "view_range", "file_text", "old_str", "new_str", "insert_line",
                "insert_text",
            },
        ),
        (
            "text_editor_20250124",
            "str_replace_editor",
            "str_replace_editor",
            {
                "command", "path", "view_range", "file_text", "old_str", "new_str", "insert_line",
                "insert_text",
            },
        ),
        (
            "memory_20250818",
            None,
            "memory",
            {
                "command", "path", "view_range", "file_text", "old_str", "new_str", "insert_line",
                "insert_text", "old_path", "new_path",
            },
        ),
    ],
)  # fmt: skip
def test_typed_tools_of_the_client_get_their_schema(
    kind: str, name: str | None, expected: str, parameters: set[str]
) -> None:
    """The client runs them under the name that it gave."""
    conversation = parse([{"type": kind, "name": name}])
    (tool,) = conversation.tools
    properties = tool.input_schema["properties"]
    assert isinstance(properties, dict)
    assert (tool.name, set(properties), conversation.repairs) == (expected, parameters, ())
    assert tool.description


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, ToolChoice()),
        ({"type": "auto"}, ToolChoice()),
        ({"type": "auto", "disable_parallel_tool_use": True}, ToolChoice(parallel=False)),
        ({"type": "any"}, ToolChoice(mode=ToolChoiceMode.ANY)),
        ({"type": "none"}, ToolChoice(mode=ToolChoiceMode.NONE)),
        (
            {"type": "tool", "name": "f", "disable_parallel_tool_use": None},
            ToolChoice(mode=ToolChoiceMode.NAMED, name="f"),
        ),
        ({"type": "any", "name": "x"}, ToolChoice(mode=ToolChoiceMode.ANY)),
    ],
)
def test_choice_says_how_free_the_model_is(choice: JSON, expected: ToolChoice) -> None:
    """All four kinds, with and without parallel use."""
    conversation = parse([TOOL], choice)
    assert (conversation.tool_choice, conversation.repairs) == (expected, ())


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"type": "tool"}, "tool_choice.name: Field required"),
        ({"type": "tool", "name": ""}, "tool_choice.name: Field required"),
        ({"type": "tool", "name": "g"}, "tool_choice.name: no tool of this name is in tools"),
    ],
)
def test_choice_must_name_a_tool_that_is_listed(choice: JSON, message: str) -> None:
    """A choice that cannot be met is the client's mistake."""
    with pytest.raises(InvalidRequestError) as caught:
        parse([TOOL], choice)
    assert caught.value.message == message


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "web_search"}])
def test_choice_of_a_dropped_tool_becomes_free(choice: JSON) -> None:
    """The client did nothing wrong, and is not refused."""
    conversation = parse([SEARCH], choice)
    assert conversation.tool_choice == ToolChoice()
    assert conversation.repairs == ("dropped_tool:web_search_20250305", "ignored:tool_choice")
