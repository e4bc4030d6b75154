"""The tools of a Messages request, and how the model may use them.

Tools that the service runs itself cannot be run here; they are left out and noted, never refused, as
clients send them beside their own with every request.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from kiro2api.protocol.anthropic.client_tools import find_client_tool
from kiro2api.protocol.anthropic.content import clip
from kiro2api.protocol.anthropic.schema import AnyTool, CustomTool, ToolChoicePart, TypedTool
from kiro2api.protocol.bodies import FIELD_REQUIRED
from kiro2api.protocol.conversation import Tool, ToolChoice, ToolChoiceMode
from kiro2api.protocol.errors import InvalidRequestError

_MODES = {
    "auto": ToolChoiceMode.AUTO,
    "any": ToolChoiceMode.ANY,
    "tool": ToolChoiceMode.NAMED,
    "none": ToolChoiceMode.NONE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSet:
    """What a request says about tools."""

    tools: tuple[Tool, ...]
    choice: ToolChoice
    repairs: tuple[str, ...]
    """Names of what was left out or changed."""


def read_tools(parts: Sequence[AnyTool], choice: ToolChoicePart | None) -> ToolSet:
    """The tools in their order, of several with one name the first, and the choice among them.

    A choice that only a tool left out could meet becomes the model's own.

    Raises:
        InvalidRequestError: The choice names no tool, or one that the client does not list.
    """
    tools: dict[str, Tool] = {}
    dropped: set[str | None] = set()
    repairs: list[str] = []
    for part in parts:
        tool = _read_custom(part) if isinstance(part, CustomTool) else _read_typed(part)
        if isinstance(tool, str):
            dropped.add(part.name)
            repairs.append(tool)
        elif tools.setdefault(tool.name, tool) is not tool:
            repairs.append("duplicate_tool")
    wanted = _read_choice(choice)
    if wanted.name is not None and not {wanted.name} & (tools.keys() | dropped):
        raise InvalidRequestError("no tool of this name is in tools", path="tool_choice.name")
    forced = wanted.mode in {ToolChoiceMode.ANY, ToolChoiceMode.NAMED}
    if forced and (wanted.name not in tools if wanted.name else not tools):
        wanted = ToolChoice(parallel=wanted.parallel)
        repairs.append("ignored:tool_choice")
    return ToolSet(tools=tuple(tools.values()), choice=wanted, repairs=tuple(repairs))


def _read_custom(part: CustomTool) -> Tool:
    description = part.description or ""
    return Tool(name=part.name, description=description, input_schema=part.input_schema)


def _read_typed(part: TypedTool) -> Tool | str:
    """The tool, or the note that it is left out."""
    known = find_client_tool(part.type)
    if known is None:
        return f"dropped_tool:{clip(part.type)}"
    return dataclasses.replace(known, name=part.name or known.name)


def _read_choice(choice: ToolChoicePart | None) -> ToolChoice:
    if choice is None:
        return ToolChoice()
    named = choice.type == "tool"
    if named and not choice.name:
        raise InvalidRequestError(FIELD_REQUIRED, path="tool_choice.name")
    return ToolChoice(
        mode=_MODES[choice.type],
        name=choice.name if named else None,
        parallel=not choice.disable_parallel_tool_use,
    )
