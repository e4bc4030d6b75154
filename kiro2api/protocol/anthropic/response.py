"""Turn events and answers in the words of the Messages API.

A stream is ``message_start``, each block with its start, deltas and stop, ``message_delta`` and
``message_stop``; or ``error`` instead of the rest. Blocks come numbered and in order, so nothing is
kept from one event to the next. Clients parse against closed lists: no event and no key is invented.

Deltas, of which an answer has thousands, are bytes around one encoded string.
"""

from collections.abc import Sequence
from typing import ClassVar, assert_never

from kiro2api.protocol.anthropic.errors import build_error
from kiro2api.protocol.conversation import AssistantBlock, RedactedThinking, Text, Thinking, ToolUse
from kiro2api.protocol.jsontext import JSON, JSONObject, encode_json
from kiro2api.protocol.sse import encode_event, encode_string
from kiro2api.protocol.turn import (
    Answer,
    BlockStart,
    BlockStopped,
    RedactedThinkingStarted,
    Refusal,
    SignatureDelta,
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

REFUSAL_CATEGORIES = frozenset({"bio", "cyber", "frontier_llm", "general_harms", "reasoning_extraction"})
"""All that the Messages API has; a refusal of another kind is in none."""

_DELTA = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%%d,"delta":{"type":"%b","%b":%%b}}\n\n'
)
_TEXT_DELTA = _DELTA % (b"text_delta", b"text")
_THINKING_DELTA = _DELTA % (b"thinking_delta", b"thinking")
_SIGNATURE_DELTA = _DELTA % (b"signature_delta", b"signature")
_TOOL_INPUT_DELTA = _DELTA % (b"input_json_delta", b"partial_json")
_BLOCK_STOP = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'


class StreamRenderer:
    """Writes one answer as server-sent events."""

    ping: ClassVar[bytes] = encode_event(b'{"type":"ping"}', "ping")
    """May be sent between any two events; keeps a silent connection alive."""

    def __init__(self, *, message_id: str, model: str) -> None:
        self._message_id = message_id
        self._model = model

    def render(self, events: Sequence[TurnEvent]) -> bytes:
        """All ``events`` in their order; nothing is held back."""
        return b"".join([self._render(event) for event in events])

    def _render(self, event: TurnEvent) -> bytes:
        match event:
            case TextDelta():
                return _TEXT_DELTA % (event.index, encode_string(event.text))
            case ToolInputDelta():
                return _TOOL_INPUT_DELTA % (event.index, encode_string(event.partial_json))
            case ThinkingDelta():
                return _THINKING_DELTA % (event.index, encode_string(event.text))
            case SignatureDelta():
                return _SIGNATURE_DELTA % (event.index, encode_string(event.signature))
            case BlockStopped():
                return _BLOCK_STOP % event.index
            case TextStarted() | ThinkingStarted() | RedactedThinkingStarted() | ToolUseStarted():
                return _render_block_start(event)
            case TurnStarted():
                return self._render_message_start(event)
            case TurnEnded():
                return _render_end(event)
            case TurnFailed():
                return _encode(build_error(event.error))
            case _:
                assert_never(event)

    def _render_message_start(self, event: TurnStarted) -> bytes:
        message = _build_message(
            message_id=self._message_id,
            model=self._model,
            content=[],
            stop_reason=None,
            stop_sequence=None,
            usage=event.usage,
        )
        return _encode({"type": "message_start", "message": message})


def render_answer(answer: Answer, *, message_id: str, model: str) -> bytes:
    """The whole JSON body of an answer that is not streamed."""
    message = _build_message(
        message_id=message_id,
        model=model,
        content=[_build_block(block) for block in answer.blocks],
        stop_reason=answer.stop_reason.value,
        stop_sequence=answer.stop_sequence,
        usage=answer.usage,
    )
    return encode_json(message | _build_stop_details(answer.refusal))


def render_token_count(input_tokens: int) -> bytes:
    """The JSON body that answers a token count."""
    return encode_json({"input_tokens": input_tokens})


def _encode(event: JSONObject) -> bytes:
    """``event`` under the name that its ``type`` is."""
    return encode_event(encode_json(event), str(event["type"]))


def _render_block_start(event: BlockStart) -> bytes:
    block: JSONObject
    match event:
        case TextStarted():
            block = {"type": "text", "text": ""}
        case ThinkingStarted():
            block = {"type": "thinking", "thinking": "", "signature": ""}
        case RedactedThinkingStarted(data=data):
            block = {"type": "redacted_thinking", "data": data}
        case ToolUseStarted(tool_use_id=tool_use_id, name=name):
            block = {"type": "tool_use", "id": tool_use_id, "name": name, "input": {}}
        case _:
            assert_never(event)
    return _encode({"type": "content_block_start", "index": event.index, "content_block": block})


def _render_end(event: TurnEnded) -> bytes:
    # Totals; absent keys leave those of message_start as they were.
    usage: JSONObject = {"input_tokens": event.usage.input_tokens}
    if event.usage.cache_write_tokens is not None:
        usage["cache_creation_input_tokens"] = event.usage.cache_write_tokens
    if event.usage.cache_read_tokens is not None:
        usage["cache_read_input_tokens"] = event.usage.cache_read_tokens
    usage["output_tokens"] = event.usage.output_tokens
    delta: JSONObject = {
        "stop_reason": event.stop_reason.value,
        "stop_sequence": event.stop_sequence,
        **_build_stop_details(event.refusal),
    }
    end = _encode({"type": "message_delta", "delta": delta, "usage": usage})
    return end + _encode({"type": "message_stop"})


def _build_stop_details(refusal: Refusal | None) -> JSONObject:
    """The field that says more of a refusal, or nothing."""
    if refusal is None:
        return {}
    category = refusal.category.lower()
    details: JSONObject = {
        "type": "refusal",
        "category": category if category in REFUSAL_CATEGORIES else None,
        "explanation": refusal.explanation or None,
    }
    return {"stop_details": details}


def _build_message(  # noqa: PLR0913  the fields of one message, all keyword-only
    *,
    message_id: str,
    model: str,
    content: list[JSON],
    stop_reason: str | None,
    stop_sequence: str | None,
    usage: Usage,
) -> JSONObject:
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": stop_sequence,
        "usage": {
            "input_tokens": usage.input_tokens,
            "cache_creation_input_tokens": usage.cache_write_tokens or 0,
            "cache_read_input_tokens": usage.cache_read_tokens or 0,
            "output_tokens": usage.output_tokens,
        },
    }


def _build_block(block: AssistantBlock) -> JSONObject:
    match block:
        case Text(text=text):
            return {"type": "text", "text": text}
        case Thinking(text=text, signature=signature):
            return {"type": "thinking", "thinking": text, "signature": signature}
        case RedactedThinking(data=data):
            return {"type": "redacted_thinking", "data": data}
        case ToolUse(tool_use_id=tool_use_id, name=name, input=tool_input):
            return {"type": "tool_use", "id": tool_use_id, "name": name, "input": tool_input}
        case _:
            assert_never(block)
