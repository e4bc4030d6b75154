"""A whole answer as the fold of its events."""

from dataclasses import dataclass
from typing import assert_never, cast

from kiro2api.protocol.conversation import AssistantBlock, RedactedThinking, Text, Thinking, ToolUse
from kiro2api.protocol.jsontext import JSONObject, parse_json
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
from kiro2api.protocol.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer: the fold of a turn's events."""

    blocks: tuple[AssistantBlock, ...]
    stop_reason: StopReason
    stop_sequence: str | None
    usage: Usage
    refusal: Refusal | None = None


class AnswerFold:
    """The whole answer from a turn's events: what the answers that are not streamed are made of."""

    def __init__(self) -> None:
        self._blocks: list[AssistantBlock] = []
        self._start: BlockStart | None = None
        self._parts: list[str] = []
        self._signature = ""

    def receive_event(self, event: TurnEvent) -> Answer | None:
        """The answer, once the event that ends it is there."""
        match event:
            case TextStarted() | ThinkingStarted() | RedactedThinkingStarted() | ToolUseStarted():
                self._start, self._parts, self._signature = event, [], ""
            case TextDelta() | ThinkingDelta():
                self._parts.append(event.text)
            case ToolInputDelta():
                self._parts.append(event.partial_json)
            case SignatureDelta():
                self._signature = event.signature
            case BlockStopped():
                self._blocks.append(self._build_block())
            case TurnEnded():
                return Answer(
                    blocks=tuple(self._blocks),
                    stop_reason=event.stop_reason,
                    stop_sequence=event.stop_sequence,
                    usage=event.usage,
                    refusal=event.refusal,
                )
            case TurnStarted() | TurnFailed():
                pass
            case _:
                assert_never(event)
        return None

    def _build_block(self) -> AssistantBlock:
        text = "".join(self._parts)
        match self._start:
            case ThinkingStarted():
                return Thinking(text=text, signature=self._signature)
            case RedactedThinkingStarted(data=data):
                return RedactedThinking(data=data)
            case ToolUseStarted(tool_use_id=tool_use_id, name=name):
                value = cast("JSONObject", parse_json(text.encode())) if text else {}
                return ToolUse(tool_use_id=tool_use_id, name=name, input=value)
            case _:
                return Text(text=text)
