"""Tests of tool declarations."""

import msgspec
import pytest

from kiro2api.protocol.conversation import Tool
from kiro2api.protocol.jsontext import JSONObject
from kiro2api.protocol.kiro.names import ToolNames
from kiro2api.protocol.kiro.repairs import Repair
from kiro2api.protocol.kiro.tools import DEFAULT_DESCRIPTION, build_long_descriptions, build_tool_declarations

SCHEMA: JSONObject = {"type": "object", "properties": {"path": {"type": "string"}}}


def declare(
    *tools: Tool, used: tuple[str, ...] = (), limit: int = 1000
) -> tuple[list[tuple[str, str, JSONObject]], tuple[str, ...], set[Repair]]:
    """Name, description and schema of each declaration; the long descriptions; the repairs."""
    repairs: set[Repair] = set()
    names = ToolNames((tool.name for tool in tools), used)
    built = build_tool_declarations(tools, used, names, max_description_length=limit, repairs=repairs)
    long = build_long_descriptions(tools, names, max_description_length=limit, repairs=repairs)
    specs = [entry.tool_specification for entry in built]
    rows = [(spec.name, spec.description, spec.input_schema.json) for spec in specs]
    return rows, long, repairs


def test_tool_is_declared_as_it_is() -> None:
    """Name, description and schema arrive unchanged."""
    tool = Tool(name="read", description="Read a file.", input_schema=SCHEMA)
    assert declare(tool) == ([("read", "Read a file.", SCHEMA)], (), set())


def test_declaration_on_the_wire() -> None:
    """A declaration is a union with one member, in the upstream's spelling."""
    tool = Tool(name="read", description="Read.", input_schema=SCHEMA)
    built = build_tool_declarations([tool], [], ToolNames(["read"]), max_description_length=9, repairs=set())
    specification = {"name": "read", "description": "Read.", "inputSchema": {"json": SCHEMA}}
    assert msgspec.to_builtins(built) == ({"toolSpecification": specification},)


@pytest.mark.parametrize("description", ["", " \n", " " * 2000])
def test_blank_description_is_filled(description: str) -> None:
    """The upstream wants a description of at least one character."""
    tool = Tool(name="read", description=description, input_schema=SCHEMA)
    expected = [("read", DEFAULT_DESCRIPTION, SCHEMA)]
    assert declare(tool) == (expected, (), {Repair.FILLED_TOOL_DESCRIPTION})


def test_long_description_moves_as_a_whole() -> None:
    """A description beyond the limit stands in the system text, under the name that the model knows."""
    tool = Tool(name="files.read", description="x" * 201, input_schema=SCHEMA)
    alias = ToolNames(["files.read"]).to_upstream("files.read")
    pointer = f'The description of this tool stands under "Tool {alias}" in the system text.'
    rows, moved, repairs = declare(tool, limit=200)
    assert rows == [(alias, pointer, SCHEMA)]
    assert (moved, repairs) == ((f"# Tool {alias}\n\n{'x' * 201}",), {Repair.MOVED_TOOL_DESCRIPTION})


def test_description_at_the_limit_stays() -> None:
    """The limit itself is allowed."""
    tool = Tool(name="read", description="x" * 200, input_schema=SCHEMA)
    assert declare(tool, limit=200) == ([("read", "x" * 200, SCHEMA)], (), set())


def test_first_of_two_declarations_counts() -> None:
    """A name is declared once."""
    first = Tool(name="read", description="First.", input_schema=SCHEMA)
    second = Tool(name="read", description="Second. " * 9, input_schema={})
    expected = [("read", "First.", SCHEMA)]
    assert declare(first, second, limit=20) == (expected, (), {Repair.DROPPED_DUPLICATE_TOOL})


def test_used_tool_without_declaration_gets_one() -> None:
    """Tools of the history that nobody declares stand behind the others, each once."""
    tool = Tool(name="read", description="Read.", input_schema=SCHEMA)
    missing = "Tool used earlier in the conversation; not available now."
    rows, _, repairs = declare(tool, used=("write", "read"))
    assert rows == [("read", "Read.", SCHEMA), ("write", missing, {"type": "object", "properties": {}})]
    assert repairs == {Repair.DECLARED_MISSING_TOOL}
