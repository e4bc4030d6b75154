"""A turn as chat completion chunks, or as one whole chat completion.

The grammar of a stream::

    role chunk, (content | reasoning_content | tool_calls)*, finish chunk, [usage chunk], [DONE]

A stream that fails ends with an error event instead of the finish chunk: nothing in it then looks like success.
"""

from collections.abc import Sequence
from typing import Final, assert_never

from kiro2api.protocol.conversation import RedactedThinking, Text, Thinking, ToolUse
from kiro2api.protocol.jsontext import JSONObject, encode_json
from kiro2api.protocol.openai.errors import encode_error_body
from kiro2api.protocol.sse import encode_comment, encode_event, encode_string
from kiro2api.protocol.turn import (
    Answer,
    BlockStopped,
    RedactedThinkingStarted,
    Refusal,
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

_DONE = encode_event(b"[DONE]")


class StreamRenderer:
    """Renders the events of one turn, in order, as server-sent events.

    Args:
        completion_id: Names the completion, the same in all chunks.
        created: Unix time in seconds.
        model: As the client spelled it.
        include_usage: Whether the client asked for a usage chunk.
    """

    ping: Final = encode_comment("keep-alive")
    """Bytes for a silent stream; clients skip them."""

    def __init__(self, *, completion_id: str, created: int, model: str, include_usage: bool) -> None:
        self._include_usage = include_usage
        self._head = b'data: {"id":%b,"object":"chat.completion.chunk","created":%d,"model":%b,"choices":[' % (
            encode_string(completion_id),
            created,
            encode_string(model),
        )
        usage = b',"usage":null' if include_usage else b""
        self._opening = self._head + b'{"index":0,"delta":'
        self._tail = b"]" + usage + b"}\n\n"
        self._closing = b',"logprobs":null,"finish_reason":null}' + self._tail
        self._tool_index = -1
        self._lacks_input = False
        """Whether a tool use is open that has had no delta yet."""

    def render(self, events: Sequence[TurnEvent]) -> bytes:
        """The bytes that ``events`` mean to the client; empty if they have no form in this dialect."""
        return b"".join([self._render_event(event) for event in events])

    def _render_event(self, event: TurnEvent) -> bytes:
        match event:
            case TextDelta(text=text):
                return self._render_delta(b'{"content":%b}' % encode_string(text))
            case ThinkingDelta(text=text):
                return self._render_delta(b'{"reasoning_content":%b}' % encode_string(text))
            case ToolInputDelta(partial_json=partial_json):
                return self._render_arguments(partial_json)
            case _:
                return self._render_boundary(event)

    def _render_boundary(
        self,
        event: TurnStarted
        | TextStarted
        | ThinkingStarted
        | RedactedThinkingStarted
        | ToolUseStarted
        | SignatureDelta
        | BlockStopped
        | TurnEnded
        | TurnFailed,
    ) -> bytes:
        rendered = b""
        match event:
            case TurnStarted():
                rendered = self._render_delta(b'{"role":"assistant","content":""}')
            case ToolUseStarted():
                rendered = self._render_tool_use(event)
            case BlockStopped():
                rendered = self._render_arguments("{}") if self._lacks_input else b""
            case TurnEnded():
                rendered = self._render_end(event)
            case TurnFailed(error=error):
                rendered = encode_event(encode_error_body(error))
            case TextStarted() | ThinkingStarted() | RedactedThinkingStarted() | SignatureDelta():
                pass
            case _:
                assert_never(event)
        return rendered

    def _render_delta(self, delta: bytes) -> bytes:
        return self._opening + delta + self._closing

    def _render_tool_use(self, event: ToolUseStarted) -> bytes:
        self._tool_index += 1
        self._lacks_input = True
        return self._render_delta(
            b'{"tool_calls":[{"index":%d,"id":%b,"type":"function","function":{"name":%b,"arguments":""}}]}'
            % (self._tool_index, encode_string(event.tool_use_id), encode_string(event.name))
        )

    def _render_arguments(self, partial_json: str) -> bytes:
        self._lacks_input = False
        return self._render_delta(
            b'{"tool_calls":[{"index":%d,"function":{"arguments":%b}}]}'
            % (self._tool_index, encode_string(partial_json))
        )

    def _render_end(self, event: TurnEnded) -> bytes:
        reason = encode_json(_finish_reason(event.stop_reason))
        finish = b'%b{},"logprobs":null,"finish_reason":%b}%b' % (self._opening, reason, self._tail)
        if explanation := _explain_refusal(event.refusal):
            finish = self._render_delta(b'{"refusal":%b}' % encode_string(explanation)) + finish
        if not self._include_usage:
            return finish + _DONE
        usage = b'%b],"usage":%b}\n\n' % (self._head, encode_json(_build_usage(event.usage)))
        return finish + usage + _DONE


def render_answer(answer: Answer, *, completion_id: str, created: int, model: str) -> bytes:
    """The body of an answer that is not streamed."""
    choice: JSONObject = {
        "index": 0,
        "message": _build_message(answer),
        "logprobs": None,
        "finish_reason": _finish_reason(answer.stop_reason),
    }
    return encode_json(
        {
            "id": completion_id,
            "object": "chat.completion",
            "created": created,
            "model": model,
            "choices": [choice],
            "usage": _build_usage(answer.usage),
        }
    )


def _build_message(answer: Answer) -> JSONObject:
    texts: list[str] = []
    thoughts: list[str] = []
    tool_calls: list[JSONObject] = []
    for block in answer.blocks:
        match block:
            case Text(text=text):
                texts.append(text)
            case Thinking(text=text):
                thoughts.append(text)
            case ToolUse():
                tool_calls.append(_build_tool_call(block))
            case RedactedThinking():
                pass
            case _:
                assert_never(block)
    content = "".join(texts)
    refusal = _explain_refusal(answer.refusal)
    message: JSONObject = {
        "role": "assistant",
        "content": None if not content and (tool_calls or refusal) else content,
        "refusal": refusal,
    }
    if reasoning := "".join(thoughts):
        message["reasoning_content"] = reasoning
    if tool_calls:
        message["tool_calls"] = [*tool_calls]
    return message


def _explain_refusal(refusal: Refusal | None) -> str | None:
    """What the client is told beside the reason of the finish, which alone does not say why."""
    return (refusal and refusal.explanation) or None


def _build_tool_call(tool_use: ToolUse) -> JSONObject:
    arguments = encode_json(tool_use.input).decode()
    return {
        "id": tool_use.tool_use_id,
        "type": "function",
        "function": {"name": tool_use.name, "arguments": arguments},
    }


def _build_usage(usage: Usage) -> JSONObject:
    """The counts; of reasoning the upstream says nothing, so nothing is said of it here."""
    prompt_tokens = usage.total_input_tokens
    counts: JSONObject = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": prompt_tokens + usage.output_tokens,
    }
    if usage.cache_read_tokens is not None:
        counts["prompt_tokens_details"] = {"cached_tokens": usage.cache_read_tokens}
    return counts


def _finish_reason(reason: StopReason) -> str:
    match reason:
        case StopReason.END_TURN | StopReason.STOP_SEQUENCE | StopReason.PAUSE_TURN:
            return "stop"
        case StopReason.TOOL_USE:
            return "tool_calls"
        case StopReason.MAX_TOKENS | StopReason.CONTEXT_WINDOW:
            return "length"
        case StopReason.REFUSAL:
            return "content_filter"
        case _:
            assert_never(reason)
