"""Blocks of an answer while they are being made: the turn's own books, seen by nobody else."""

from dataclasses import dataclass, field
from typing import assert_never

from kiro2api.protocol.jsontext import InvalidJSONError, JSONObject, parse_json
from kiro2api.protocol.turn.events import (
    BlockStart,
    RedactedThinkingStarted,
    TextDelta,
    TextStarted,
    ThinkingDelta,
    ThinkingStarted,
    ToolInputDelta,
    ToolUseStarted,
)


@dataclass(slots=True, kw_only=True)
class Block:
    """A block of the answer on its way out; ``waiting`` holds the deltas that the client has not got."""

    index: int = -1
    started: bool = False
    complete: bool = False
    waiting: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class TextBlock(Block):
    """Words."""


@dataclass(slots=True, kw_only=True)
class ThinkingBlock(Block):
    """Reasoning; the signature follows its last delta."""

    signature: str = ""


@dataclass(slots=True, kw_only=True)
class RedactedBlock(Block):
    """Reasoning that only the service can read; whole from the start."""

    data: str


@dataclass(slots=True, kw_only=True)
class ToolBlock(Block):
    """A tool use on its way."""

    tool_use_id: str
    name: str
    parts: list[str] = field(default_factory=list)
    """All the input's text so far, delivered or not."""
    replacement: JSONObject | None = None
    """The input as an object, when the upstream sent it so: it counts instead of ``parts``."""


type AnyBlock = TextBlock | ThinkingBlock | RedactedBlock | ToolBlock


def is_whole(block: ToolBlock) -> bool:
    """Whether the input is an object, or nothing, and both forms agree where the upstream sent two."""
    text = "".join(block.parts)
    if not text:
        return True
    try:
        value = parse_json(text.encode())
    except InvalidJSONError:
        return False
    return isinstance(value, dict) and block.replacement in (None, value)


def build_start(block: AnyBlock) -> BlockStart:
    """The event that opens ``block``, which has its index by now."""
    match block:
        case TextBlock():
            return TextStarted(index=block.index)
        case ThinkingBlock():
            return ThinkingStarted(index=block.index)
        case RedactedBlock():
            return RedactedThinkingStarted(index=block.index, data=block.data)
        case ToolBlock():
            return ToolUseStarted(index=block.index, tool_use_id=block.tool_use_id, name=block.name)
        case _:
            assert_never(block)


def build_delta(block: AnyBlock, text: str) -> TextDelta | ThinkingDelta | ToolInputDelta:
    """The event that adds ``text`` to ``block``."""
    match block:
        case ThinkingBlock():
            return ThinkingDelta(index=block.index, text=text)
        case ToolBlock():
            return ToolInputDelta(index=block.index, partial_json=text)
        case _:
            return TextDelta(index=block.index, text=text)
