"""What an answer is made of, in words that belong to no dialect.

They come in this order::

    TurnStarted (block)* (TurnEnded | TurnFailed)
    block = BlockStart delta* BlockStopped

Blocks are numbered from 0 and never overlap.
"""

import enum
from dataclasses import dataclass

from kiro2api.errors import Kiro2ApiError
from kiro2api.protocol.kiro.events import Refusal
from kiro2api.protocol.usage import Usage


class StopReason(enum.Enum):
    """Why a turn ended, in Anthropic's words, which are the finest of the dialects'."""

    END_TURN = "end_turn"
    TOOL_USE = "tool_use"
    MAX_TOKENS = "max_tokens"
    STOP_SEQUENCE = "stop_sequence"
    CONTEXT_WINDOW = "model_context_window_exceeded"
    REFUSAL = "refusal"
    PAUSE_TURN = "pause_turn"


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnStarted:
    """The answer begins; ``usage`` holds the estimate of the input, as nothing is known yet."""

    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class TextStarted:
    """A text block opens."""

    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    """More of the open text block; never empty."""

    index: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinkingStarted:
    """A thinking block opens."""

    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinkingDelta:
    """More of the open thinking block; never empty."""

    index: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureDelta:
    """The signature of the open thinking block, whole, at most one, as its last delta."""

    index: int
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactedThinkingStarted:
    """A block of reasoning that only the service can read opens; it has no deltas."""

    index: int
    data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUseStarted:
    """A tool-use block opens; the name is the client's own spelling."""

    index: int
    tool_use_id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolInputDelta:
    """More of the JSON text of the open tool use's input; never empty."""

    index: int
    partial_json: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockStopped:
    """The open block is whole. A tool use's deltas now join to a JSON object (none at all means ``{}``)."""

    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnEnded:
    """The answer is whole."""

    stop_reason: StopReason
    stop_sequence: str | None
    """Which of the client's stop sequences was met; set exactly for ``STOP_SEQUENCE``."""
    usage: Usage
    refusal: Refusal | None = None
    """What the upstream says of a refusal; only for ``REFUSAL``, and not always."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnFailed:
    """The answer cannot be finished; a block may be open, and stays so. Nothing follows."""

    error: Kiro2ApiError


type BlockStart = TextStarted | ThinkingStarted | RedactedThinkingStarted | ToolUseStarted
type TurnEvent = (
    TurnStarted
    | BlockStart
    | TextDelta
    | ThinkingDelta
    | SignatureDelta
    | ToolInputDelta
    | BlockStopped
    | TurnEnded
    | TurnFailed
)
