"""Tests of the warnings about size."""

import pytest

from kiro2api.protocol.kiro.repairs import Repair
from kiro2api.protocol.kiro.schema import (
    ImageBlock,
    ImageSource,
    Picture,
    ToolResultEntry,
    ToolResultText,
    UserInputMessage,
    UserInputMessageContext,
    UserMessage,
)
from kiro2api.protocol.kiro.sizes import (
    HEAVY_BODY_WEIGHT,
    HISTORY_ENTRIES,
    LARGE_BODY_BYTES,
    MESSAGE_CHARS,
    RESULT_CHARS,
    TOOLS,
    find_size_warnings,
    weigh,
)


def say(content: str = "", *, results: tuple[str, ...] = (), picture: str = "") -> UserMessage:
    """A user's message."""
    entry = ToolResultEntry(
        tool_use_id="t", status="success", content=tuple(ToolResultText(text=text) for text in results)
    )
    image = ImageBlock(format="png", source=ImageSource(bytes=Picture(picture)))
    return UserMessage(
        user_input_message=UserInputMessage(
            content=content,
            model_id="m",
            origin="o",
            images=(image,) if picture else (),
            user_input_message_context=UserInputMessageContext(tool_results=(entry,)) if results else None,
        )
    )


@pytest.mark.parametrize(("text", "weight"), [("", 0), ("abc", 3), ("aé", 9), ("天气", 16), ("\N{GRINNING FACE}", 8)])
def test_weight(text: str, weight: int) -> None:
    """A character beyond ASCII weighs eight times as much as one within, however many bytes it has."""
    assert weigh(text.encode()) == weight


@pytest.mark.parametrize(
    ("body", "warnings"),
    [
        (b"a" * LARGE_BODY_BYTES, set()),
        (b"a" * (LARGE_BODY_BYTES + 1), {Repair.LARGE_BODY}),
        (b"a" * HEAVY_BODY_WEIGHT, {Repair.LARGE_BODY}),
        (b"a" * (HEAVY_BODY_WEIGHT + 1), {Repair.LARGE_BODY, Repair.HEAVY_BODY}),
        ("é".encode() * (HEAVY_BODY_WEIGHT // 8), set()),
        ("é".encode() * (HEAVY_BODY_WEIGHT // 8 + 1), {Repair.HEAVY_BODY}),
    ],
)
def test_body(body: bytes, warnings: set[Repair]) -> None:
    """By its bytes for the older hosts, by its weight for the newer ones."""
    assert find_size_warnings(body, [say()], 0) == warnings


def test_pictures_do_not_count() -> None:
    """They have limits of their own."""
    body = b"a" * (HEAVY_BODY_WEIGHT + LARGE_BODY_BYTES)
    assert find_size_warnings(body, [say(picture="A" * HEAVY_BODY_WEIGHT), say()], 0) == set()


@pytest.mark.parametrize(
    ("message", "warnings"),
    [
        (say("a" * MESSAGE_CHARS, results=("天" * RESULT_CHARS,)), set()),
        (say("天" * (MESSAGE_CHARS + 1)), {Repair.LONG_TEXT}),
        (say(results=("a", "a" * RESULT_CHARS)), {Repair.LONG_TEXT}),
    ],
)
def test_texts(message: UserMessage, warnings: set[Repair]) -> None:
    """A message and a result have a length each, in characters."""
    assert find_size_warnings(b"", [message, say()], 0) == warnings


@pytest.mark.parametrize(
    ("entries", "tools", "warnings"),
    [
        (HISTORY_ENTRIES, TOOLS, set()),
        (HISTORY_ENTRIES + 1, TOOLS, {Repair.LONG_HISTORY}),
        (0, TOOLS + 1, {Repair.MANY_TOOLS}),
    ],
)
def test_numbers(entries: int, tools: int, warnings: set[Repair]) -> None:
    """Of messages before the current one, and of tools."""
    assert find_size_warnings(b"", [say()] * (entries + 1), tools) == warnings
