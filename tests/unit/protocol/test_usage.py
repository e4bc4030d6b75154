"""Estimates and the arithmetic of usage."""

import math

import pytest

from kiro2api.protocol.conversation import (
    AssistantTurn,
    Conversation,
    Image,
    RedactedThinking,
    Text,
    Thinking,
    Tool,
    ToolResult,
    ToolUse,
    UserTurn,
)
from kiro2api.protocol.images import ImageFormat
from kiro2api.protocol.jsontext import JSONObject
from kiro2api.protocol.usage import (
    OutputMeter,
    Usage,
    WireUsage,
    estimate_conversation,
    estimate_text,
    settle_usage,
)

PICTURE = Image(format=ImageFormat.PNG, data="AAAA")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("hello", 2),
        ("a" * 49, 18),
        ("a" * 50, 19),  # ceil(50 / 2.6) * 0.95
        ("a" * 99, 37),
        ("a" * 100, 36),
        ("a" * 200, 68),
        ("a" * 300, 96),
        ("a" * 500, 140),
        ("a" * 1000, 240),
        ("中", 2),
        ("中文", 3),
        ("中文hello", 4),
        ("中" * 1000, 600),
        ("\u4e00\u9fff", 3),
        ("\u4dff\ua000", 1),
        ("\N{GRINNING FACE}", 1),
        ("\ud84e\u4e00", 2),
    ],
)
def test_text(text: str, expected: int) -> None:
    """Han characters count one each, others by length, and long texts get a discount."""
    assert estimate_text(text) == expected


@pytest.mark.parametrize(
    ("conversation", "expected"),
    [
        (Conversation(model="m", turns=()), 4),
        (Conversation(model="m", turns=(), system=("hello", "")), 4 + 2 + 2 + 2),
        (Conversation(model="m", turns=(UserTurn(blocks=(Text(text="hello"),)),)), 4 + 3 + 2),
        (Conversation(model="m", turns=(UserTurn(blocks=(PICTURE,)),)), 4 + 3 + 1500),
        (
            Conversation(
                model="m",
                turns=(
                    AssistantTurn(blocks=(Thinking(text="hello"), RedactedThinking(data="x" * 99))),
                    UserTurn(blocks=()),
                ),
            ),
            4 + 3 + 2 + 50 + 3,
        ),
    ],
)
def test_conversation(conversation: Conversation, expected: int) -> None:
    """Request, system blocks, turns and blocks each add their share."""
    assert estimate_conversation(conversation) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ((), 50),
        ((Text(text=""),), 50),
        ((Text(text="hello"),), 2),
        ((Text(text="hello"), PICTURE, PICTURE), 3002),
    ],
)
def test_tool_result(content: tuple[Text | Image, ...], expected: int) -> None:
    """A tool result counts as its parts, an empty one as 50."""
    blocks = (ToolResult(tool_use_id="t", content=content),)
    conversation = Conversation(model="m", turns=(UserTurn(blocks=blocks),))
    assert estimate_conversation(conversation) == 7 + expected


@pytest.mark.parametrize(
    ("name", "tool_input", "expected"),
    [
        ("Bash", {}, 13 + 2 + 1),
        ("x", {}, 13 + 2 + 1),
        ("get_my_Name", {"path": "x"}, 13 + (6 + 2) + 3),
        ("ABCD", {"中": "文"}, 13 + (2 + 2) + 3),
    ],
)
def test_tool_use(name: str, tool_input: JSONObject, expected: int) -> None:
    """A tool use counts its frame, its name by shape and a quarter of its input's bytes."""
    blocks = (ToolUse(tool_use_id="t", name=name, input=tool_input),)
    conversation = Conversation(model="m", turns=(AssistantTurn(blocks=blocks),))
    assert estimate_conversation(conversation) == 7 + expected


SMALL: JSONObject = {}
PLAIN: JSONObject = {"a": "x" * 192}  # 200 bytes of JSON
NAMED: JSONObject = {"$schema": "x" * 186}  # the same


@pytest.mark.parametrize(
    ("count", "schema", "expected"),
    [
        (1, SMALL, 320 + 2 + 2 + 50),
        (1, PLAIN, 320 + 2 + 2 + 106),
        (1, NAMED, 320 + 2 + 2 + 116),
        (2, SMALL, 100 + 2 * (120 + 2 + 2 + 50)),
        (5, PLAIN, 100 + 5 * (120 + 2 + 2 + 91)),
        (5, NAMED, 100 + 5 * (120 + 2 + 2 + 96)),
        (6, SMALL, 180 + 6 * (60 + 2 + 2 + 30)),
        (6, PLAIN, 180 + 6 * (60 + 2 + 2 + 80)),
        (6, NAMED, 180 + 6 * (60 + 2 + 2 + 85)),
    ],
)
def test_tools(count: int, schema: JSONObject, expected: int) -> None:
    """Tools count by the size of their set: one, up to five, more."""
    tool = Tool(name="Bash", description="hello", input_schema=schema)
    conversation = Conversation(model="m", turns=(), tools=(tool,) * count)
    assert estimate_conversation(conversation) == 4 + expected


def test_meter() -> None:
    """The meter counts all text as one, each tool use with its own input, and nothing as 0."""
    meter = OutputMeter()
    assert meter.tokens == 0
    for _ in range(10):
        meter.add_text("中aaaaaaaaa")
    text_tokens = estimate_text("中aaaaaaaaa" * 10)
    assert meter.tokens == text_tokens
    meter.add_tool_use("hello")
    meter.add_tool_input_bytes(3)
    meter.add_tool_input_bytes(2)
    assert meter.tokens == text_tokens + 14 + 2
    meter.add_tool_use("")
    assert meter.tokens == text_tokens + 14 + 2 + 12
    meter.add_tool_input_bytes(1)
    assert meter.tokens == text_tokens + 14 + 2 + 12 + 1


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (WireUsage(uncached_input_tokens=10, output_tokens=5), (10, 5, None, None)),
        (
            WireUsage(
                uncached_input_tokens=0,
                cache_read_input_tokens=90,
                cache_write_input_tokens=0,
                output_tokens=5,
                total_tokens=95,
            ),
            (0, 5, 90, 0),
        ),
        (WireUsage(total_tokens=100, output_tokens=30), (70, 30, None, None)),
        (WireUsage(total_tokens=10, output_tokens=30), (0, 30, None, None)),
        (WireUsage(total_tokens=100), (80, 20, None, None)),
        (
            WireUsage(total_tokens=100, output_tokens=30, cache_read_input_tokens=60),
            (10, 30, 60, None),
        ),
        (WireUsage(uncached_input_tokens=70, total_tokens=100), (70, 30, None, None)),
        (
            WireUsage(uncached_input_tokens=70, cache_write_input_tokens=40, total_tokens=100),
            (70, 20, None, 40),
        ),
        (WireUsage(uncached_input_tokens=70, output_tokens=0), (70, 20, None, None)),
        (WireUsage(cache_read_input_tokens=300), (480, 20, 300, None)),
        (WireUsage(cache_write_input_tokens=900), (0, 20, None, 900)),
        (WireUsage(uncached_input_tokens=0, output_tokens=30), (770, 30, None, None)),
        (WireUsage(uncached_input_tokens=-5, cache_read_input_tokens=-1, output_tokens=30), (770, 30, None, None)),
    ],
)
def test_wire_counts(wire: WireUsage, expected: tuple[int, int, int | None, int | None]) -> None:
    """The wire's counts come first; what they lack follows from the total, then from the window."""
    usage = settle_usage(
        wire=wire,
        context_percentage=0.4,
        context_window=200_000,
        estimated_input=1000,
        estimated_output=20,
    )
    assert (
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
    ) == expected


@pytest.mark.parametrize(
    ("percentage", "window", "expected"),
    [
        (0.4, 200_000, 780),
        (0.29, 200_000, 560),  # 579.99... in floating point
        (100.0, 200_000, 199_980),
        (0.005, 200_000, 0),
        (1e-9, 200_000, 1000),
        (0.0, 200_000, 1000),
        (-1.0, 200_000, 1000),
        (100.1, 200_000, 1000),
        (math.nan, 200_000, 1000),
        (math.inf, 200_000, 1000),
        (None, 200_000, 1000),
        (0.4, None, 1000),
    ],
)
@pytest.mark.parametrize("wire", [None, WireUsage(), WireUsage(uncached_input_tokens=0, cache_read_input_tokens=0)])
def test_context_percentage(
    wire: WireUsage | None, percentage: float | None, window: int | None, expected: int
) -> None:
    """Without counts the input is the window's share less the output, else the estimate."""
    assert settle_usage(
        wire=wire,
        context_percentage=percentage,
        context_window=window,
        estimated_input=1000,
        estimated_output=20,
    ) == Usage(input_tokens=expected, output_tokens=20)


def test_total_input() -> None:
    """The whole input has its cached parts, and unknown parts add nothing."""
    usage = Usage(input_tokens=1, output_tokens=9, cache_read_tokens=20, cache_write_tokens=300)
    assert usage.total_input_tokens == 321
    assert Usage(input_tokens=1, output_tokens=9).total_input_tokens == 1
