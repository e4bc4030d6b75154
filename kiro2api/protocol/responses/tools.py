"""Which tools a request for a response offers, how far the model is free to use them, and in which form it calls them.

The upstream knows one kind of tool: a JSON object goes in. Tools of other kinds are offered as such ones; their
:class:`ToolForm` tells how a call is put to the client.
"""

import enum
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from kiro2api.protocol.conversation import Tool, ToolChoice, ToolChoiceMode
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.jsontext import JSONObject
from kiro2api.protocol.responses import schema
from kiro2api.protocol.responses.content import MAX_QUOTED_CHARS
from kiro2api.protocol.responses.typed_tools import APPLY_PATCH, LOCAL_SHELL, SHELL

CUSTOM_INPUT = "input"
"""The one property of a function that stands for a custom tool."""
NAMESPACE_SEPARATOR = "__"

_MODES = {
    "none": ToolChoiceMode.NONE,
    "auto": ToolChoiceMode.AUTO,
    "required": ToolChoiceMode.ANY,
}
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_.-]")


class ToolKind(enum.Enum):
    """How a client calls its tools."""

    FUNCTION = enum.auto()
    """By a JSON object."""
    CUSTOM = enum.auto()
    """By free text."""
    LOCAL_SHELL = enum.auto()
    """By a program and its arguments."""
    SHELL = enum.auto()
    """By lines for a shell."""
    APPLY_PATCH = enum.auto()
    """By what is to become of a file."""


_TYPED = {
    "local_shell": (ToolKind.LOCAL_SHELL, LOCAL_SHELL),
    "shell": (ToolKind.SHELL, SHELL),
    "apply_patch": (ToolKind.APPLY_PATCH, APPLY_PATCH),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolForm:
    """A tool as the client knows it."""

    kind: ToolKind
    name: str
    namespace: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSettings:
    """All that a request says about tools."""

    tools: tuple[Tool, ...]
    forms: Mapping[str, ToolForm]
    """By the name under which the model sees a tool."""
    tool_choice: ToolChoice
    repairs: tuple[str, ...]


def join_name(name: str, namespace: str | None) -> str:
    """The name under which the model sees the tool ``name``."""
    return f"{namespace}{NAMESPACE_SEPARATOR}{name}" if namespace else name


def note_dropped(kind: str, name: str) -> str:
    """A repair: something of that kind, called ``name`` by the client, was left out."""
    return f"dropped_{kind}:{_NOT_PLAIN.sub('?', name[:MAX_QUOTED_CHARS])}"


def parse_tools(body: schema.ResponsesBody, additional: Sequence[schema.Tool]) -> ToolSettings:
    """The tools, ``additional`` ones after those of the request, and the tool choice.

    Raises:
        InvalidRequestError: The choice names a tool that the request does not list, or forces one where none is listed.
    """
    reader = _Reader()
    reader.receive_tools([*(body.tools or ()), *additional])
    choice = reader.read_choice(body)
    tools = reader.tools
    if choice.mode is ToolChoiceMode.ANY and not tools:
        if not reader.repairs:
            raise InvalidRequestError("a tool is required but none is listed.", path="tool_choice")
        choice = ToolChoice(parallel=choice.parallel)
        reader.repairs.append("ignored:tool_choice")
    return ToolSettings(
        tools=tuple(tools.values()), forms=reader.forms, tool_choice=choice, repairs=tuple(reader.repairs)
    )


class _Reader:
    def __init__(self) -> None:
        self.tools: dict[str, Tool] = {}
        self.forms: dict[str, ToolForm] = {}
        self.repairs: list[str] = []

    def receive_tools(self, tools: Iterable[schema.Tool]) -> None:
        for tool in tools:
            if isinstance(tool, schema.NamespaceTool):
                for member in tool.tools:
                    self._receive_tool(member, tool.name)
            else:
                self._receive_tool(tool)

    def _receive_tool(
        self,
        tool: schema.FunctionTool | schema.CustomTool | schema.TypedTool | schema.UnknownTool,
        namespace: str | None = None,
    ) -> None:
        match tool:
            case schema.FunctionTool():
                parameters = tool.parameters or {"type": "object", "properties": {}}
                form = ToolForm(kind=ToolKind.FUNCTION, name=tool.name, namespace=namespace)
                self._add(form, tool.description or "", parameters)
            case schema.CustomTool():
                self.repairs.append("custom_tool_as_function")
                form = ToolForm(kind=ToolKind.CUSTOM, name=tool.name, namespace=namespace)
                self._add(form, tool.description or "", _build_custom_schema(tool))
            case schema.TypedTool() if tool.is_clients:
                self.repairs.append(f"{tool.type}_as_function")
                kind, function = _TYPED[tool.type]
                form = ToolForm(kind=kind, name=function.name)
                self._add(form, function.description, function.input_schema)
            case schema.TypedTool():
                self.repairs.append(note_dropped("tool", f"hosted_{tool.type}"))
            case schema.UnknownTool():
                self.repairs.append(note_dropped("tool", tool.type))
            case _:
                assert_never(tool)

    def _add(self, form: ToolForm, description: str, input_schema: JSONObject) -> None:
        name = join_name(form.name, form.namespace)
        if name in self.tools:
            self.repairs.append("dropped_duplicate_tool")
            return
        self.tools[name] = Tool(name=name, description=description, input_schema=input_schema)
        self.forms[name] = form

    def read_choice(self, body: schema.ResponsesBody) -> ToolChoice:
        """What the request says about the use of the tools; leaves only those that are allowed."""
        parallel = body.parallel_tool_calls is not False
        match body.tool_choice:
            case None:
                return ToolChoice(parallel=parallel)
            case str() as mode:
                return ToolChoice(mode=_MODES[mode], parallel=parallel)
            case schema.AllowedTools() as allowed:
                self._restrict(allowed)
                return ToolChoice(mode=_MODES[allowed.mode], parallel=parallel)
            case schema.NameChoice() | schema.TypedChoice() as named:
                name = self._read_name(named, path="tool_choice")
                return ToolChoice(mode=ToolChoiceMode.NAMED, name=name, parallel=parallel)
            case schema.UnknownTool():
                self.repairs.append("ignored:tool_choice")
                return ToolChoice(parallel=parallel)
            case _ as never:
                assert_never(never)

    def _restrict(self, allowed: schema.AllowedTools) -> None:
        names: set[str] = set()
        for index, tool in enumerate(allowed.tools):
            if isinstance(tool, schema.UnknownTool):
                self.repairs.append(note_dropped("tool", tool.type))
            else:
                names.add(self._read_name(tool, path=f"tool_choice.tools[{index}]"))
        self.tools = {name: tool for name, tool in self.tools.items() if name in names}

    def _read_name(self, choice: schema.NameChoice | schema.TypedChoice, *, path: str) -> str:
        name = choice.type if isinstance(choice, schema.TypedChoice) else join_name(choice.name, choice.namespace)
        if name not in self.tools:
            message = f"the request lists no tool called {name[:MAX_QUOTED_CHARS]!r}."
            raise InvalidRequestError(message, path=f"{path}.name")
        return name


def _build_custom_schema(tool: schema.CustomTool) -> JSONObject:
    description = "Free text"
    match tool.format:
        case {"type": "grammar", "definition": str() as definition}:
            description = f"Free text that follows this grammar:\n{definition}"
        case _:
            pass
    return {
        "type": "object",
        "properties": {CUSTOM_INPUT: {"type": "string", "description": description}},
        "required": [CUSTOM_INPUT],
    }
