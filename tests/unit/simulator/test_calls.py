"""Which tools the small model calls."""

import pytest

from kiro2api.protocol.jsontext import JSON
from kiro2api.simulator.calls import Call, select_calls
from kiro2api.simulator.request import read_request
from tests.unit.simulator.bodies import request, tool, user

SCHEMA: JSON = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "days": {"type": "integer"},
        "share": {"type": ["number", "null"]},
        "exact": {"type": "boolean"},
        "tags": {"type": "array"},
        "options": {"type": "object"},
        "nothing": {"type": "null"},
        "unit": {"type": "string", "enum": ["celsius", "kelvin"]},
        "kind": {"const": 7},
        "union": {"anyOf": [{"type": "string"}]},
        "any": True,
        "unneeded": {"type": "string"},
    },
    "required": [
        "city",
        "days",
        "share",
        "exact",
        "tags",
        "options",
        "nothing",
        "unit",
        "kind",
        "union",
        "any",
        "unlisted",
    ],
}
SMALLEST: dict[str, JSON] = {
    "city": "example",
    "days": 1,
    "share": 1,
    "exact": True,
    "tags": [],
    "options": {},
    "nothing": None,
    "unit": "celsius",
    "kind": 7,
    "union": "example",
    "any": "example",
    "unlisted": "example",
}


def calls(text: str) -> list[Call]:
    """The calls for ``text`` when two tools are declared."""
    tools: list[JSON] = [tool("get_weather", SCHEMA), tool("Read")]
    return select_calls(read_request(request(user(text, context={"tools": tools}))).current)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('use Read {"a": {"b": [1]}}', [Call(name="Read", input={"a": {"b": [1]}})]),
        ('Please use read {"a": 1} now.', [Call(name="Read", input={"a": 1})]),
        ("Use Read.", [Call(name="Read", input={})]),
        ("use Read\r\nthanks", [Call(name="Read", input={})]),
        ("use get_weather", [Call(name="get_weather", input=SMALLEST)]),
        ("use Read {broken", [Call(name="Read", input={})]),
        ("use Read " + '{"a":' * 100_000, [Call(name="Read", input={})]),
        (
            'use Read {"a": 1}\nuse get_weather {"city": "Bergen"}\nuse Read {"a": 2}',
            [
                Call(name="Read", input={"a": 1}),
                Call(name="get_weather", input={"city": "Bergen"}),
                Call(name="Read", input={"a": 2}),
            ],
        ),
    ],
)
def test_a_tool_that_the_text_names_is_called(text: str, expected: list[Call]) -> None:
    """``use <tool>`` calls it with the JSON that follows, else with the smallest input."""
    assert calls(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Hello",
        'use missing {"a": 1}',
        "Use Read when you know the file",
        "reuse Read",
        'You must use the tool "missing".',
        'You must use the tool "missing". use Read {}',
    ],
)
def test_nothing_is_called_without_being_asked_for(text: str) -> None:
    """Advice, words that only look like a request, and undeclared tools call nothing."""
    assert calls(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('Hi. YOU MUST USE the tool "Read".', [Call(name="Read", input={})]),
        (
            'use get_weather {}\nuse Read {"a": 1}\nYou must use the tool "read".',
            [Call(name="Read", input={"a": 1})],
        ),
        ("You must use at least one tool.", [Call(name="get_weather", input=SMALLEST)]),
        ('use Read {"a": 1}\nYou must use at least one tool.', [Call(name="Read", input={"a": 1})]),
    ],
)
def test_a_tool_that_must_be_used_is_called(text: str, expected: list[Call]) -> None:
    """The named tool is called and no other; if any will do, the one asked for or else the first."""
    assert calls(text) == expected


def test_without_tools_none_can_be_required() -> None:
    """The words of a tool choice change nothing when no tool is declared."""
    text = 'You must use at least one tool. use Read {"a": 1}'
    assert select_calls(read_request(request(user(text))).current) == []


def test_a_schema_without_properties_needs_nothing() -> None:
    """A schema that requires nothing, or is malformed where the service does not look, gives an empty input."""
    declared: JSON = [tool("a", {"type": "object"})]
    current = read_request(request(user("use a", context={"tools": declared}))).current
    assert select_calls(current) == [Call(name="a", input={})]
