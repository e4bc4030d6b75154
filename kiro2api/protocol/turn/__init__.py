"""An answer in the making: its events, the machine that orders them, and their fold."""

from kiro2api.protocol.kiro.events import Refusal
from kiro2api.protocol.turn.events import (
    BlockStart,
    BlockStopped,
    RedactedThinkingStarted,
    SignatureDelta,
    StopReason,
    TextDelta,
    TextStarted,
    ThinkingDelta,
    ThinkingStarted,
    ToolInputDelta,
    ToolUseStarted,
    TurnEnded,
    TurnEvent,
    TurnFailed,
    TurnStarted,
)
from kiro2api.protocol.turn.fold import Answer, AnswerFold
from kiro2api.protocol.turn.machine import EmptyAnswerError, TruncatedToolUseError, Turn

__all__ = [
    "Answer",
    "AnswerFold",
    "BlockStart",
    "BlockStopped",
    "EmptyAnswerError",
    "RedactedThinkingStarted",
    "Refusal",
    "SignatureDelta",
    "StopReason",
    "TextDelta",
    "TextStarted",
    "ThinkingDelta",
    "ThinkingStarted",
    "ToolInputDelta",
    "ToolUseStarted",
    "TruncatedToolUseError",
    "Turn",
    "TurnEnded",
    "TurnEvent",
    "TurnFailed",
    "TurnStarted",
]
