"""Tools and the choice among them."""

import pytest

from kiro2api.protocol.conversation import Tool, ToolChoice, ToolChoiceMode
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.jsontext import JSON, JSONObject
from kiro2api.protocol.openai.schema import parse_chat_body
from kiro2api.protocol.openai.tools import ToolSettings, parse_tools

EMPTY: JSONObject = {"type": "object", "properties": {}}
AUTO = ToolChoice()


def read(**fields: JSON) -> ToolSettings:
    """The tool settings of the smallest body with ``fields`` added."""
    messages: JSON = [{"role": "user", "content": "hi"}]
    return parse_tools(parse_chat_body({"model": "m", "messages": messages, **fields}))


def function(name: str) -> JSONObject:
    """A function by its name, as a tool or as a choice."""
    return {"type": "function", "function": {"name": name}}


def tool(name: str, *, description: str = "", schema: JSONObject = EMPTY) -> Tool:
    """A tool of the conversation."""
    return Tool(name=name, description=description, input_schema=schema)


def allow(mode: str, *tools: JSON) -> JSONObject:
    """A choice among ``tools``."""
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [*tools]}}


def test_function_tools() -> None:
    """Functions keep their names, descriptions and schemas; one without parameters takes an empty object."""
    schema: JSONObject = {"type": "object", "properties": {"a": {"type": "string"}}}
    full: JSON = {"name": "f", "description": "does", "parameters": schema, "strict": True}
    bare: JSON = {"function": {"name": "g", "parameters": None}}
    settings = read(tools=[{"type": "function", "function": full, "cache_control": {}}, bare])
    tools = (tool("f", description="does", schema=schema), tool("g"))
    assert settings == ToolSettings(tools=tools, tool_choice=AUTO, repairs=())


def test_no_tools() -> None:
    """A request without tools has none, and leaves the choice to the model."""
    assert read() == ToolSettings(tools=(), tool_choice=AUTO, repairs=())


def test_custom_tool() -> None:
    """A custom tool is a function with the one string ``input``, which is noted."""
    settings = read(tools=[{"type": "custom", "custom": {"name": "sh", "format": {"type": "text"}}}])
    schema: JSONObject = {
        "type": "object",
        "properties": {"input": {"type": "string", "description": "Free text"}},
        "required": ["input"],
    }
    tools = (tool("sh", schema=schema),)
    assert settings == ToolSettings(tools=tools, tool_choice=AUTO, repairs=("custom_tool_as_function",))


@pytest.mark.parametrize(
    ("dropped", "repair"),
    [
        ({"type": "web_search_preview"}, "dropped_tool:web_search_preview"),
        ({"type": "a\nb"}, "dropped_tool:a?b"),
        ({"type": "x" * 50}, f"dropped_tool:{'x' * 40}"),
        (function("f"), "dropped_duplicate_tool"),
    ],
)
def test_dropped_tools_are_noted(dropped: JSON, repair: str) -> None:
    """Unknown types and second tools of one name are left out, and the note is safe for a log line."""
    settings = read(tools=[function("f"), dropped])
    assert settings == ToolSettings(tools=(tool("f"),), tool_choice=AUTO, repairs=(repair,))


def test_old_functions() -> None:
    """The old ``functions`` are tools too, with ``function_call`` as their choice."""
    settings = read(functions=[{"name": "f", "description": "does"}], function_call={"name": "f"})
    named = ToolChoice(mode=ToolChoiceMode.NAMED, name="f")
    assert settings == ToolSettings(tools=(tool("f", description="does"),), tool_choice=named, repairs=())


@pytest.mark.parametrize(
    ("fields", "choice"),
    [
        ({}, AUTO),
        ({"tool_choice": "auto"}, AUTO),
        ({"tool_choice": "none"}, ToolChoice(mode=ToolChoiceMode.NONE)),
        ({"tool_choice": "required"}, ToolChoice(mode=ToolChoiceMode.ANY)),
        ({"tool_choice": function("f")}, ToolChoice(mode=ToolChoiceMode.NAMED, name="f")),
        ({"tool_choice": {"type": "custom", "custom": {"name": "g"}}}, ToolChoice(mode=ToolChoiceMode.NAMED, name="g")),
        ({"parallel_tool_calls": False}, ToolChoice(parallel=False)),
        ({"parallel_tool_calls": True, "tool_choice": "required"}, ToolChoice(mode=ToolChoiceMode.ANY)),
        ({"function_call": "none"}, ToolChoice(mode=ToolChoiceMode.NONE)),
        ({"function_call": "none", "tool_choice": "auto"}, AUTO),
    ],
)
def test_tool_choice(fields: JSONObject, choice: ToolChoice) -> None:
    """Each form of the choice has its meaning; the new field goes before the old one."""
    assert read(tools=[function("f"), function("g")], **fields).tool_choice == choice


@pytest.mark.parametrize(
    ("choice", "settings"),
    [
        (allow("auto", function("g")), ToolSettings(tools=(tool("g"),), tool_choice=AUTO, repairs=())),
        (
            allow("required", {"type": "custom", "custom": {"name": "f"}}, {"type": "mcp"}),
            ToolSettings(
                tools=(tool("f"),),
                tool_choice=ToolChoice(mode=ToolChoiceMode.ANY),
                repairs=("dropped_tool:mcp",),
            ),
        ),
        (allow("auto"), ToolSettings(tools=(), tool_choice=AUTO, repairs=())),
    ],
)
def test_allowed_tools(choice: JSON, settings: ToolSettings) -> None:
    """Allowed tools restrict the list to those that they name."""
    assert read(tools=[function("f"), function("g")], tool_choice=choice) == settings


def test_required_tool_that_was_dropped() -> None:
    """If all tools were of unknown types, none can be required: the model is left free, and that is noted."""
    settings = read(tools=[{"type": "mcp"}], tool_choice="required", parallel_tool_calls=False)
    repairs = ("dropped_tool:mcp", "ignored:tool_choice")
    assert settings == ToolSettings(tools=(), tool_choice=ToolChoice(parallel=False), repairs=repairs)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": function("h")}, "tool_choice.function.name"),
        ({"tool_choice": {"type": "custom", "custom": {"name": "h"}}}, "tool_choice.custom.name"),
        ({"tool_choice": {"type": "mcp"}}, "tool_choice.type"),
        ({"tool_choice": allow("auto", function("h"))}, "tool_choice.allowed_tools.tools[0].function.name"),
        ({"function_call": {"name": "h"}}, "function_call.name"),
    ],
)
def test_impossible_choice(fields: JSONObject, path: str) -> None:
    """A choice that names what is not listed, or requires what is not there, is refused by its path."""
    with pytest.raises(InvalidRequestError) as caught:
        read(**fields)
    assert caught.value.path == path
