"""Rules for tool specifications, tool uses and tool results, each by itself."""

import re
from dataclasses import dataclass

from kiro2api.protocol.jsontext import JSON, JSONObject
from kiro2api.simulator.members import (
    check_enum,
    read_list,
    read_matching,
    read_object,
    read_string,
    read_union,
)
from kiro2api.simulator.refusals import RefusedError, Rule
from kiro2api.simulator.schemas import check_schema

MAX_NAME_CHARS = 64
"""Characters of a tool's name, and of a tool-use id."""
MAX_DESCRIPTION_CHARS = 10_240
"""Characters of a tool's description; at least one is needed."""

_NAME = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """What the structure of a conversation has to know of a tool use."""

    tool_use_id: str
    name: str


def fold_name(name: str) -> str:
    """The form in which the service compares tool names: it does not tell upper case from lower."""
    return name.casefold()


def check_tools(context: JSONObject) -> dict[str, JSONObject]:
    """The schemas of the tools that a user message declares, by their folded names."""
    schemas: dict[str, JSONObject] = {}
    for tool in read_list(context, "tools", Rule.TOOL):
        _, specification = read_union(tool, {"toolSpecification"}, Rule.TOOL)
        name, schema = _check_specification(read_object(specification, Rule.TOOL))
        if fold_name(name) in schemas:
            raise RefusedError(Rule.TOOL_UNIQUE)
        schemas[fold_name(name)] = schema
    return schemas


def _check_specification(specification: JSONObject) -> tuple[str, JSONObject]:
    """Name and schema of a tool."""
    name = read_matching(specification, "name", _NAME, MAX_NAME_CHARS, Rule.TOOL_NAME)
    description = read_string(specification, "description", Rule.TOOL_DESCRIPTION)
    if not 1 <= len(description) <= MAX_DESCRIPTION_CHARS:
        raise RefusedError(Rule.TOOL_DESCRIPTION)
    _, value = read_union(specification.get("inputSchema"), {"json"}, Rule.TOOL_SCHEMA)
    schema = read_object(value, Rule.TOOL_SCHEMA)
    check_schema(schema)
    return name, schema


def check_tool_uses(message: JSONObject) -> tuple[ToolUse, ...]:
    """The tool uses of an assistant message."""
    uses = read_list(message, "toolUses", Rule.TOOL_USE)
    return tuple(_check_tool_use(read_object(use, Rule.TOOL_USE)) for use in uses)


def _check_tool_use(use: JSONObject) -> ToolUse:
    tool_use_id = read_matching(use, "toolUseId", _NAME, MAX_NAME_CHARS, Rule.TOOL_USE_ID)
    name = read_matching(use, "name", _NAME, MAX_NAME_CHARS, Rule.TOOL_USE_NAME)
    value = read_object(use.get("input"), Rule.TOOL_USE_INPUT)
    if _has_empty_key(value):
        raise RefusedError(Rule.TOOL_USE_KEYS)
    return ToolUse(tool_use_id=tool_use_id, name=name)


def _has_empty_key(value: JSON) -> bool:
    match value:
        case dict():
            return "" in value or any(_has_empty_key(item) for item in value.values())
        case list():
            return any(_has_empty_key(item) for item in value)
        case _:
            return False


def check_tool_results(context: JSONObject) -> tuple[str, ...]:
    """The tool-use ids that a user message's tool results answer, in their order."""
    results = read_list(context, "toolResults", Rule.TOOL_RESULT)
    return tuple(_check_tool_result(read_object(result, Rule.TOOL_RESULT)) for result in results)


def _check_tool_result(result: JSONObject) -> str:
    check_enum(result, "status", {"success", "error"}, Rule.TOOL_RESULT_STATUS)
    content = read_list(result, "content", Rule.TOOL_RESULT_CONTENT)
    if not content:
        raise RefusedError(Rule.TOOL_RESULT_CONTENT)
    for block in content:
        key, value = read_union(block, {"text", "json"}, Rule.TOOL_RESULT_CONTENT)
        if key == "text" and not isinstance(value, str):
            raise RefusedError(Rule.TOOL_RESULT_CONTENT)
    return read_matching(result, "toolUseId", _NAME, MAX_NAME_CHARS, Rule.TOOL_RESULT_ID)
