"""Which tools a chat completion request offers, and how far the model is free to use them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

from kiro2api.protocol.conversation import Tool, ToolChoice, ToolChoiceMode
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.openai import schema

CUSTOM_INPUT = "input"
"""The one property of a function that stands for a custom tool."""
MAX_QUOTED_CHARS = 40
"""A client's word goes into an error or the log no longer than this."""

_MODES = {
    "none": ToolChoiceMode.NONE,
    "auto": ToolChoiceMode.AUTO,
    "required": ToolChoiceMode.ANY,
}
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_.-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSettings:
    """All that a request says about tools."""

    tools: tuple[Tool, ...]
    tool_choice: ToolChoice
    repairs: tuple[str, ...]


def parse_tools(body: schema.ChatBody) -> ToolSettings:
    """The tools and the tool choice; the old ``functions`` and ``function_call`` count where the new ones are absent.

    A custom tool becomes a function with one string property, and is called as a function.

    Raises:
        InvalidRequestError: The choice names a tool that the request does not list, or forces one where none is listed.
    """
    repairs: list[str] = []
    tools: dict[str, Tool] = {}
    for tool in _read_tools(body, repairs):
        if tool.name in tools:
            repairs.append("dropped_duplicate_tool")
        else:
            tools[tool.name] = tool
    choice = _read_choice(body, tools)
    if isinstance(body.tool_choice, schema.AllowedToolsChoice):
        tools = _restrict(tools, body.tool_choice.allowed_tools, repairs)
    if choice.mode is ToolChoiceMode.ANY and not tools:
        if not repairs:
            raise InvalidRequestError("a tool is required but none is listed.", path="tool_choice")
        choice = ToolChoice(parallel=choice.parallel)
        repairs.append("ignored:tool_choice")
    return ToolSettings(tools=tuple(tools.values()), tool_choice=choice, repairs=tuple(repairs))


def _read_tools(body: schema.ChatBody, repairs: list[str]) -> Iterator[Tool]:
    for tool in body.tools or ():
        match tool:
            case schema.FunctionTool():
                yield _read_function(tool.function)
            case schema.CustomTool():
                repairs.append("custom_tool_as_function")
                yield _read_custom(tool.custom)
            case schema.UnknownTool():
                repairs.append(_note_dropped(tool))
            case _:
                assert_never(tool)
    for function in body.functions or ():
        yield _read_function(function)


def _read_function(function: schema.Function) -> Tool:
    return Tool(
        name=function.name,
        description=function.description or "",
        input_schema=function.parameters or {"type": "object", "properties": {}},
    )


def _read_custom(custom: schema.Custom) -> Tool:
    return Tool(
        name=custom.name,
        description=custom.description or "",
        input_schema={
            "type": "object",
            "properties": {CUSTOM_INPUT: {"type": "string", "description": "Free text"}},
            "required": [CUSTOM_INPUT],
        },
    )


def _read_choice(body: schema.ChatBody, tools: dict[str, Tool]) -> ToolChoice:
    parallel = body.parallel_tool_calls is not False
    match body.tool_choice:
        case None:
            return _read_function_call(body.function_call, tools, parallel=parallel)
        case str() as mode:
            return ToolChoice(mode=_MODES[mode], parallel=parallel)
        case schema.AllowedToolsChoice(allowed_tools=allowed):
            return ToolChoice(mode=_MODES[allowed.mode], parallel=parallel)
        case schema.FunctionChoice() | schema.CustomChoice() as choice:
            name = _read_name(choice, tools, path="tool_choice")
            return ToolChoice(mode=ToolChoiceMode.NAMED, name=name, parallel=parallel)
        case schema.UnknownTool() as unknown:
            raise InvalidRequestError(
                f"the tool choice {unknown.type[:MAX_QUOTED_CHARS]!r} is not supported.", path="tool_choice.type"
            )
        case _ as never:
            assert_never(never)


def _read_function_call(choice: str | schema.ToolName | None, tools: dict[str, Tool], *, parallel: bool) -> ToolChoice:
    match choice:
        case None:
            return ToolChoice(parallel=parallel)
        case str():
            return ToolChoice(mode=_MODES[choice], parallel=parallel)
        case schema.ToolName():
            name = _require_listed(choice.name, tools, path="function_call.name")
            return ToolChoice(mode=ToolChoiceMode.NAMED, name=name, parallel=parallel)
        case _:
            assert_never(choice)


def _restrict(tools: dict[str, Tool], allowed: schema.AllowedTools, repairs: list[str]) -> dict[str, Tool]:
    names: set[str] = set()
    for index, tool in enumerate(allowed.tools):
        if isinstance(tool, schema.UnknownTool):
            repairs.append(_note_dropped(tool))
        else:
            path = f"tool_choice.allowed_tools.tools[{index}]"
            names.add(_read_name(tool, tools, path=path))
    return {name: tool for name, tool in tools.items() if name in names}


def _read_name(choice: schema.FunctionChoice | schema.CustomChoice, tools: dict[str, Tool], *, path: str) -> str:
    if isinstance(choice, schema.FunctionChoice):
        return _require_listed(choice.function.name, tools, path=f"{path}.function.name")
    return _require_listed(choice.custom.name, tools, path=f"{path}.custom.name")


def _require_listed(name: str, tools: dict[str, Tool], *, path: str) -> str:
    if name not in tools:
        raise InvalidRequestError(f"the request lists no tool called {name[:MAX_QUOTED_CHARS]!r}.", path=path)
    return name


def _note_dropped(tool: schema.UnknownTool) -> str:
    return f"dropped_tool:{_NOT_PLAIN.sub('?', tool.type[:MAX_QUOTED_CHARS])}"
