"""The estimate of the original kiro2api, number for number: what ours is compared with."""

import math
from typing import Final, NamedTuple, assert_never

from kiro2api.protocol.conversation import (
    AssistantBlock,
    Conversation,
    Image,
    RedactedThinking,
    Text,
    Thinking,
    Tool,
    ToolResult,
    ToolUse,
    UserBlock,
)
from kiro2api.protocol.jsontext import JSONObject, encode_json

REQUEST_TOKENS: Final = 4
SYSTEM_BLOCK_TOKENS: Final = 2
TURN_TOKENS: Final = 3
IMAGE_TOKENS: Final = 1500
OPAQUE_TOKENS: Final = 50
"""For what has no text to count: an empty tool result, reasoning that only the service can read."""
TOOL_USE_TOKENS: Final = 13
"""Type 3, id 8, and 1 each for the words "name" and "input"."""
EMPTY_TOOL_INPUT_TOKENS: Final = 1
TOOL_INPUT_BYTES_PER_TOKEN: Final = 4
MIN_TOOL_NAME_TOKENS: Final = 2

_HAN_HIGH_BYTES: Final = bytes(range(0x4E, 0xA0))
"""High bytes of U+4E00 to U+9FFF in UTF-16; surrogates have others."""
_CAPITALS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"

_CHARS_PER_TOKEN: Final = ((50, 2.8), (100, 2.6), (math.inf, 2.5))
"""Below how many characters other than Han how many of them make a model token."""
_LONG_TEXT_FACTORS: Final = (
    (1000, 0.60),
    (500, 0.70),
    (300, 0.80),
    (200, 0.85),
    (100, 0.90),
    (50, 0.95),
)
"""From how many characters on which part of the plain count is left."""


class _ToolBand(NamedTuple):
    set_tokens: int
    tool_tokens: int
    schema_bytes_per_token: float
    schema_reference_tokens: int
    """For a schema that names its meta-schema by ``$schema``."""
    min_schema_tokens: int


_ONE_TOOL: Final = _ToolBand(0, 320, 1.9, 10, 50)
_FEW_TOOLS: Final = _ToolBand(100, 120, 2.2, 5, 50)
_MANY_TOOLS: Final = _ToolBand(180, 60, 2.5, 5, 30)
_MAX_FEW_TOOLS: Final = 5


def estimate_text(text: str) -> int:
    """Model tokens of a text on its own: at least 1, or 0 for an empty one."""
    return _estimate_chars(len(text), _count_han(text))


def estimate_conversation(conversation: Conversation) -> int:
    """Model tokens that the conversation takes as input."""
    return (
        REQUEST_TOKENS
        + sum(SYSTEM_BLOCK_TOKENS + estimate_text(text) for text in conversation.system)
        + TURN_TOKENS * len(conversation.turns)
        + sum(_estimate_block(block) for turn in conversation.turns for block in turn.blocks)
        + _estimate_tools(conversation.tools)
    )


def _estimate_block(block: UserBlock | AssistantBlock) -> int:
    match block:
        case Text(text=text) | Thinking(text=text):
            return estimate_text(text)
        case Image():
            return IMAGE_TOKENS
        case ToolResult(content=content):
            return sum(_estimate_block(part) for part in content) or OPAQUE_TOKENS
        case ToolUse(name=name, input=tool_input):
            return TOOL_USE_TOKENS + _estimate_tool_name(name) + _estimate_tool_input(tool_input)
        case RedactedThinking():
            return OPAQUE_TOKENS
        case _:
            assert_never(block)


def _estimate_tool_input(tool_input: JSONObject) -> int:
    if not tool_input:
        return EMPTY_TOOL_INPUT_TOKENS
    return len(encode_json(tool_input)) // TOOL_INPUT_BYTES_PER_TOKEN


def _estimate_tools(tools: tuple[Tool, ...]) -> int:
    if not tools:
        return 0
    if len(tools) == 1:
        band = _ONE_TOOL
    elif len(tools) <= _MAX_FEW_TOOLS:
        band = _FEW_TOOLS
    else:
        band = _MANY_TOOLS
    return band.set_tokens + sum(_estimate_tool(tool, band) for tool in tools)


def _estimate_tool(tool: Tool, band: _ToolBand) -> int:
    schema = encode_json(tool.input_schema)
    schema_tokens = math.ceil(len(schema) / band.schema_bytes_per_token)
    if b'"$schema"' in schema:
        schema_tokens += band.schema_reference_tokens
    return (
        band.tool_tokens
        + _estimate_tool_name(tool.name)
        + estimate_text(tool.description)
        + max(schema_tokens, band.min_schema_tokens)
    )


def _estimate_tool_name(name: str) -> int:
    data = name.encode()
    capitals = len(data) - len(data.translate(None, _CAPITALS))
    return max((len(data) + 1) // 2 + data.count(b"_") + capitals // 2, MIN_TOOL_NAME_TOKENS)


def _estimate_chars(chars: int, han_chars: int) -> int:
    if not chars:
        return 0
    plain = _estimate_plain(chars, han_chars)
    for min_chars, factor in _LONG_TEXT_FACTORS:
        if chars >= min_chars:
            return int(plain * factor)
    return plain


def _estimate_plain(chars: int, han_chars: int) -> int:
    """The count before the discount for length; it is at least a third of ``chars``."""
    others = chars - han_chars
    if not others:
        return han_chars + 1
    ratio = next(ratio for max_chars, ratio in _CHARS_PER_TOKEN if others < max_chars)
    return han_chars + math.ceil(others / ratio)


def _count_han(text: str) -> int:
    if text.isascii():
        return 0
    high_bytes = text.encode("utf-16-le", "surrogatepass")[1::2]
    return len(high_bytes) - len(high_bytes.translate(None, _HAN_HIGH_BYTES))
