"""Which tools the small model calls: it does what the text says, word for word."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from kiro2api.protocol.jsontext import JSON, JSONObject
from kiro2api.simulator.request import Specification, UserMessage

_USE = re.compile(
    r"\buse[ \t]+(?P<name>[A-Za-z0-9_-]+)(?=[ \t]*\{|[.!]?[ \t]*\r?$)[ \t]*",
    re.IGNORECASE | re.MULTILINE,
)
"""A JSON object or the end of the line follows: agents' prompts have advice such as "use Read when you know …"."""
_MUST_USE_NAMED = re.compile(r'you must use the tool "(?P<name>[^"]+)"', re.IGNORECASE)
_MUST_USE_ANY = re.compile(r"you must use at least one tool", re.IGNORECASE)
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A tool to use, and its input."""

    name: str
    input: JSONObject


def select_calls(message: UserMessage) -> list[Call]:
    """The calls that ``message`` asks for: ``use <tool> {json}``, or that a tool be used at all.

    ``use <tool>`` without JSON has to end its line; the input is then the smallest that the schema requires. Tools
    that are not declared are never called.
    """
    tools = {tool.name.casefold(): tool for tool in message.tools}
    asked = list(_read_calls(message.content, tools))
    named = _MUST_USE_NAMED.search(message.content)
    if named is not None:
        wanted = tools.get(named["name"].casefold())
        if wanted is None:
            return []
        return [call for call in asked if call.name == wanted.name] or [_build_call(wanted)]
    if not asked and tools and _MUST_USE_ANY.search(message.content):
        return [_build_call(message.tools[0])]
    return asked


def _read_calls(text: str, tools: dict[str, Specification]) -> Iterator[Call]:
    for found in _USE.finditer(text):
        tool = tools.get(found["name"].casefold())
        if tool is not None:
            given = _read_object(text, found.end())
            yield _build_call(tool) if given is None else Call(name=tool.name, input=given)


def _read_object(text: str, start: int) -> JSONObject | None:
    """The JSON object that begins at ``start``, if one does."""
    try:
        value, _ = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _build_call(tool: Specification) -> Call:
    schema = tool.input_schema.json
    required = schema.get("required")
    properties = schema.get("properties")
    names = required if isinstance(required, list) else []
    known = properties if isinstance(properties, dict) else {}
    return Call(name=tool.name, input={str(name): _build_value(known.get(str(name))) for name in names})


def _build_value(schema: JSON) -> JSON:
    """The smallest value that goes with a property's schema; ``"example"`` where the schema does not say."""
    if not isinstance(schema, dict):
        return "example"
    match schema:
        case {"enum": [first, *_]}:
            return first
        case {"const": value}:
            return value
        case {"type": [str() as kind, *_]} | {"type": str() as kind}:
            return _EXAMPLES.get(kind, "example")
        case _:
            return "example"


_EXAMPLES: dict[str, JSON] = {
    "string": "example",
    "number": 1,
    "integer": 1,
    "boolean": True,
    "array": [],
    "object": {},
    "null": None,
}
