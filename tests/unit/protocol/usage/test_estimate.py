"""The estimate of whole conversations, and of an answer while it streams."""

import base64

import pytest

from kiro2api.protocol.conversation import (
    AnswerFormat,
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
from kiro2api.protocol.kiro.instructions import build_format_instruction
from kiro2api.protocol.usage import OutputMeter, estimate_conversation, estimate_text
from kiro2api.protocol.usage.estimate import FORMAT_TOKENS

PICTURE = Image(format=ImageFormat.PNG, data="AAAA")
HELLO = Text(text="hello")


def draw_picture(width: int, height: int) -> Image:
    """The head of a picture of that size."""
    head = b"GIF89a" + width.to_bytes(2, "little") + height.to_bytes(2, "little") + bytes(20)
    return Image(format=ImageFormat.GIF, data=base64.b64encode(head).decode())


@pytest.mark.parametrize(
    ("conversation", "expected"),
    [
        (Conversation(model="m", turns=()), 4),
        (Conversation(model="m", turns=(), system=("hello", "")), 4 + 2 + 2 + 2),
        (Conversation(model="m", turns=(UserTurn(blocks=(HELLO,)),)), 4 + 4 + 2),
        (
            Conversation(
                model="m",
                turns=(
                    AssistantTurn(blocks=(Thinking(text="hello"), RedactedThinking(data="x" * 99))),
                    UserTurn(blocks=()),
                ),
            ),
            4 + 4 + 2 + 50 + 4,
        ),
    ],
)
def test_conversation(conversation: Conversation, expected: int) -> None:
    """Request, system blocks, turns and blocks each add their share."""
    assert estimate_conversation(conversation) == expected


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (PICTURE, 1500),
        (draw_picture(1, 1), 1),
        (draw_picture(750, 100), 100),
        (draw_picture(751, 100), 101),
        (draw_picture(1568, 784), 1640),
        (draw_picture(2500, 1500), 5000),
        (draw_picture(60_000, 60_000), 5000),
    ],
)
def test_image(picture: Image, expected: int) -> None:
    """A picture counts by its size, up to what models look at; one without a size counts as the original has it."""
    conversation = Conversation(model="m", turns=(UserTurn(blocks=(picture,)),))
    assert estimate_conversation(conversation) == 8 + expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [((), 16), ((Text(text=""),), 16), ((HELLO,), 18), ((HELLO, PICTURE, PICTURE), 3018)],
)
def test_tool_result(content: tuple[Text | Image, ...], expected: int) -> None:
    """A tool result counts its frame and its parts."""
    blocks = (ToolResult(tool_use_id="t", content=content),)
    conversation = Conversation(model="m", turns=(UserTurn(blocks=blocks),))
    assert estimate_conversation(conversation) == 8 + expected


@pytest.mark.parametrize(
    ("tool_input", "written"), [({}, "{}"), ({"path": "x"}, '{"path":"x"}'), ({"中": "文"}, '{"中":"文"}')]
)
def test_tool_use(tool_input: JSONObject, written: str) -> None:
    """A tool use counts its frame, its name and its input as JSON."""
    blocks = (ToolUse(tool_use_id="t", name="Bash", input=tool_input),)
    conversation = Conversation(model="m", turns=(AssistantTurn(blocks=blocks),))
    assert estimate_conversation(conversation) == 8 + 20 + estimate_text("Bash") + estimate_text(written)


@pytest.mark.parametrize("count", [1, 5, 40])
def test_tools(count: int) -> None:
    """The first tool brings instructions with it; each counts its frame, its words and its schema."""
    tool = Tool(name="Bash", description="hello", input_schema={"type": "object"})
    conversation = Conversation(model="m", turns=(), tools=(tool,) * count)
    each = 14 + estimate_text("Bash") + estimate_text("hello") + estimate_text('{"type":"object"}')
    assert estimate_conversation(conversation) == 4 + 346 + count * each


def test_answer_format() -> None:
    """The form that is asked for is read by the model, too."""
    schemas: tuple[JSONObject | None, ...] = (None, {"type": "object"})
    asked = [Conversation(model="m", turns=(), answer_format=AnswerFormat(schema=schema)) for schema in schemas]
    assert list(map(estimate_conversation, asked)) == [4 + 28, 4 + 28 + estimate_text('{"type":"object"}')]


def test_the_words_that_ask_for_json_are_counted() -> None:
    """They take what is counted for them."""
    words = build_format_instruction(AnswerFormat(schema={}), set()).removesuffix("{}")
    assert estimate_text(words) == FORMAT_TOKENS


def test_meter() -> None:
    """The meter counts words, names and inputs as one text, the frames of tool uses beside it, and nothing as 0."""
    meter = OutputMeter()
    assert meter.tokens == 0
    for _ in range(10):
        meter.add_text("中aaaaaaaaa")
    assert meter.tokens == estimate_text("中aaaaaaaaa" * 10)
    meter.add_tool_use("hello")
    meter.add_tool_input('{"a":')
    meter.add_tool_input("1}")
    meter.add_tool_use("")
    assert meter.tokens == 40 + estimate_text("中aaaaaaaaa" * 10 + 'hello{"a":1}')
