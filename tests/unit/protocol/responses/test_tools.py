"""Tools and the choice among them."""

import pytest

from kiro2api.protocol.conversation import Tool, ToolChoice, ToolChoiceMode
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.jsontext import JSON, JSONObject
from kiro2api.protocol.responses import schema
from kiro2api.protocol.responses.schema import parse_responses_body
from kiro2api.protocol.responses.tools import ToolForm, ToolKind, ToolSettings, parse_tools

EMPTY: JSONObject = {"type": "object", "properties": {}}
FUNCTION: JSONObject = {"type": "function", "name": "f", "description": "F.", "parameters": {"type": "object"}}
CUSTOM: JSONObject = {"type": "custom", "name": "c", "format": {"type": "text"}}
SHELL: JSONObject = {"type": "local_shell"}
NAMESPACE: JSONObject = {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "f"}, CUSTOM]}
F = Tool(name="f", description="F.", input_schema={"type": "object"})
F_FORM = ToolForm(kind=ToolKind.FUNCTION, name="f")


def read(*additional: schema.Tool, **fields: JSON) -> ToolSettings:
    """What a request with these fields says about tools."""
    return parse_tools(parse_responses_body({"model": "m", **fields}), additional)


def list_tools(settings: ToolSettings) -> list[str]:
    """Names of the tools."""
    return [tool.name for tool in settings.tools]


def test_no_tools() -> None:
    """A request may say nothing about tools."""
    assert read() == ToolSettings(tools=(), forms={}, tool_choice=ToolChoice(), repairs=())


def test_functions() -> None:
    """They are what they are; one without parameters takes none; of two with one name the first counts."""
    settings = read(schema.FunctionTool(name="g"), tools=[FUNCTION, {**FUNCTION, "description": "Other."}])
    assert settings == ToolSettings(
        tools=(F, Tool(name="g", description="", input_schema=EMPTY)),
        forms={"f": F_FORM, "g": ToolForm(kind=ToolKind.FUNCTION, name="g")},
        tool_choice=ToolChoice(),
        repairs=("dropped_duplicate_tool",),
    )


@pytest.mark.parametrize(
    ("tool_format", "description"),
    [
        (None, "Free text"),
        ({"type": "text"}, "Free text"),
        (
            {"type": "grammar", "syntax": "lark", "definition": "start: x"},
            "Free text that follows this grammar:\nstart: x",
        ),
    ],
)
def test_custom_tool(tool_format: JSON, description: str) -> None:
    """It is offered as a function with one text, whose description has the grammar."""
    settings = read(tools=[{**CUSTOM, "description": "C.", "format": tool_format}])
    properties: JSON = {"input": {"type": "string", "description": description}}
    parameters: JSONObject = {"type": "object", "properties": properties, "required": ["input"]}
    assert settings.tools == (Tool(name="c", description="C.", input_schema=parameters),)
    assert settings.forms == {"c": ToolForm(kind=ToolKind.CUSTOM, name="c")}
    assert settings.repairs == ("custom_tool_as_function",)


@pytest.mark.parametrize(
    ("tool", "kind", "required"),
    [
        (SHELL, ToolKind.LOCAL_SHELL, ["command"]),
        ({"type": "shell"}, ToolKind.SHELL, ["commands"]),
        ({"type": "shell", "environment": {"type": "local"}}, ToolKind.SHELL, ["commands"]),
        ({"type": "apply_patch"}, ToolKind.APPLY_PATCH, ["type", "path"]),
    ],
)
def test_tool_that_is_known_by_its_type(tool: JSONObject, kind: ToolKind, required: list[JSON]) -> None:
    """It is offered as a function of that name."""
    settings = read(tools=[tool])
    name = str(tool["type"])
    assert [offered.input_schema["required"] for offered in settings.tools] == [required]
    assert settings.forms == {name: ToolForm(kind=kind, name=name)}
    assert settings.repairs == (f"{name}_as_function",)


@pytest.mark.parametrize("environment", ["container_auto", "container_reference"])
def test_shell_of_a_machine_of_openai(environment: str) -> None:
    """It is not the client's to run, and not offered."""
    settings = read(tools=[{"type": "shell", "environment": {"type": environment}}])
    assert (settings.tools, settings.repairs) == ((), ("dropped_tool:hosted_shell",))


def test_namespace() -> None:
    """Its tools are offered under both names."""
    settings = read(tools=[FUNCTION, NAMESPACE])
    assert settings.forms == {
        "f": F_FORM,
        "n__f": ToolForm(kind=ToolKind.FUNCTION, name="f", namespace="n"),
        "n__c": ToolForm(kind=ToolKind.CUSTOM, name="c", namespace="n"),
    }
    assert list_tools(settings) == ["f", "n__f", "n__c"]


def test_tools_of_the_service() -> None:
    """They are left out by name, also where a tool of the kind is no part of a namespace."""
    odd: JSON = {"type": "namespace", "name": "n", "tools": [{"type": "mcp"}]}
    settings = read(tools=[{"type": "web_search", "external_web_access": False}, odd, {"type": "weird tool\n"}])
    assert settings.tools == ()
    assert settings.repairs == ("dropped_tool:web_search", "dropped_tool:mcp", "dropped_tool:weird?tool?")


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, ToolChoice()),
        ("auto", ToolChoice()),
        ("none", ToolChoice(mode=ToolChoiceMode.NONE)),
        ("required", ToolChoice(mode=ToolChoiceMode.ANY)),
        ({"type": "function", "name": "f"}, ToolChoice(mode=ToolChoiceMode.NAMED, name="f")),
        ({"type": "function", "name": "f", "namespace": "n"}, ToolChoice(mode=ToolChoiceMode.NAMED, name="n__f")),
        ({"type": "local_shell"}, ToolChoice(mode=ToolChoiceMode.NAMED, name="local_shell")),
        ({"type": "apply_patch"}, ToolChoice(mode=ToolChoiceMode.NAMED, name="apply_patch")),
    ],
)
def test_choice(choice: JSON, expected: ToolChoice) -> None:
    """Each kind of choice has its mode."""
    tools: list[JSON] = [FUNCTION, NAMESPACE, SHELL, {"type": "apply_patch"}]
    assert read(tools=tools, tool_choice=choice).tool_choice == expected


def test_parallel_calls() -> None:
    """They can be forbidden."""
    assert read(parallel_tool_calls=False).tool_choice == ToolChoice(parallel=False)


def test_allowed_tools() -> None:
    """Only those that are allowed are offered; what cannot be offered anyway is noted."""
    allowed: JSON = {
        "type": "allowed_tools",
        "mode": "required",
        "tools": [{"type": "custom", "name": "c"}, {"type": "local_shell"}, {"type": "mcp", "server_label": "s"}],
    }
    settings = read(tools=[FUNCTION, CUSTOM, SHELL], tool_choice=allowed)
    assert list_tools(settings) == ["c", "local_shell"]
    assert settings.tool_choice == ToolChoice(mode=ToolChoiceMode.ANY)
    assert settings.repairs[2:] == ("dropped_tool:mcp",)


def test_choice_of_what_cannot_be_served() -> None:
    """The model is left free, which is noted."""
    settings = read(tools=[FUNCTION], tool_choice={"type": "web_search_preview"}, parallel_tool_calls=False)
    assert settings.tool_choice == ToolChoice(parallel=False)
    assert settings.repairs == ("ignored:tool_choice",)


def test_nothing_left_to_require() -> None:
    """A choice among tools of the service alone is no fault of the client's."""
    settings = read(tools=[{"type": "web_search"}], tool_choice="required")
    assert settings.tool_choice == ToolChoice()
    assert settings.repairs == ("dropped_tool:web_search", "ignored:tool_choice")


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("required", "tool_choice: a tool is required but none is listed."),
        ({"type": "function", "name": "g"}, "tool_choice.name: the request lists no tool called 'g'."),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "g"}]},
            "tool_choice.tools[0].name: the request lists no tool called 'g'.",
        ),
    ],
)
def test_choice_of_nothing(choice: JSON, message: str) -> None:
    """A tool that is not listed cannot be chosen."""
    with pytest.raises(InvalidRequestError) as caught:
        read(tool_choice=choice)
    assert caught.value.message == message
