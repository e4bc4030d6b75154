"""Declarations of tools: the client's, and stand-ins for tools that only the history knows.

The upstream refuses a history with tool uses whose tools are not declared, a declaration without a description, and a
description that is too long; the whole of the latter goes to the system text, nothing is cut.
"""

from collections.abc import Iterable

from kiro2api.protocol.conversation import Tool
from kiro2api.protocol.jsontext import JSONObject
from kiro2api.protocol.kiro.names import ToolNames
from kiro2api.protocol.kiro.repairs import Repair
from kiro2api.protocol.kiro.schema import InputSchema, ToolEntry, ToolSpecification
from kiro2api.protocol.kiro.toolschema import SchemaCleaner

DEFAULT_DESCRIPTION = "A tool of the client; it comes without a description."
MISSING_TOOL_DESCRIPTION = "Tool used earlier in the conversation; not available now."


def build_tool_declarations(
    tools: Iterable[Tool],
    used: Iterable[str],
    names: ToolNames,
    *,
    max_description_length: int,
    repairs: set[Repair],
) -> tuple[ToolEntry, ...]:
    """Declarations of ``tools`` in their order, then of the ``used`` ones that are not among them.

    Args:
        tools: What the client declares; of two with one name the first counts.
        used: Client's names in the tool uses of the history.
        names: Knows all these names.
        max_description_length: In characters; a longer one gives way to a sentence of up to 132 characters that says
            where it stands.
        repairs: Takes what had to be changed.
    """
    entries: dict[str, ToolEntry] = {}
    cleaner = SchemaCleaner(repairs)
    for tool in tools:
        if tool.name in entries:
            repairs.add(Repair.DROPPED_DUPLICATE_TOOL)
            continue
        name = names.to_upstream(tool.name)
        description = tool.description
        if not description.strip():
            repairs.add(Repair.FILLED_TOOL_DESCRIPTION)
            description = DEFAULT_DESCRIPTION
        elif len(description) > max_description_length:
            description = f'The description of this tool stands under "Tool {name}" in the system text.'
        entries[tool.name] = _build_entry(name, description, cleaner.clean(tool.input_schema))
    for missing in used:
        if missing not in entries:
            repairs.add(Repair.DECLARED_MISSING_TOOL)
            name = names.to_upstream(missing)
            entries[missing] = _build_entry(name, MISSING_TOOL_DESCRIPTION, {"type": "object", "properties": {}})
    return tuple(entries.values())


def build_long_descriptions(
    tools: Iterable[Tool], names: ToolNames, *, max_description_length: int, repairs: set[Repair]
) -> tuple[str, ...]:
    """For the system text: the descriptions that :func:`build_tool_declarations` leaves out, each under a heading."""
    texts: dict[str, str] = {}
    for tool in tools:
        texts.setdefault(tool.name, tool.description)
    long = {name: text for name, text in texts.items() if text.strip() and len(text) > max_description_length}
    if long:
        repairs.add(Repair.MOVED_TOOL_DESCRIPTION)
    return tuple(f"# Tool {names.to_upstream(name)}\n\n{text}" for name, text in long.items())


def _build_entry(name: str, description: str, schema: JSONObject) -> ToolEntry:
    return ToolEntry(
        tool_specification=ToolSpecification(name=name, description=description, input_schema=InputSchema(json=schema))
    )
