"""Answers as Anthropic's clients read them, streamed and whole."""

import json

import pytest

from kiro2api.errors import ErrorKind, Kiro2ApiError
from kiro2api.protocol.anthropic.response import StreamRenderer, render_answer, render_token_count
from kiro2api.protocol.conversation import RedactedThinking, Text, Thinking, ToolUse
from kiro2api.protocol.errors import UpstreamProtocolError
from kiro2api.protocol.turn import (
    Answer,
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

USAGE = Usage(input_tokens=31, output_tokens=1)
CACHED = Usage(input_tokens=31, output_tokens=42, cache_read_tokens=7, cache_write_tokens=0)


def render(*events: TurnEvent) -> bytes:
    """The events of one answer."""
    return StreamRenderer(message_id="msg_1", model="claude-x").render(events)


def end(reason: StopReason, usage: Usage, stop_sequence: str | None = None) -> TurnEnded:
    """The end of a turn."""
    return TurnEnded(stop_reason=reason, stop_sequence=stop_sequence, usage=usage)


def sse(name: str, rest: bytes = b"") -> bytes:
    """An event whose JSON is its name as ``type``, and then ``rest``."""
    return b'event: %b\ndata: {"type":"%b"%b}\n\n' % (name.encode(), name.encode(), rest)


def start(index: int, block: bytes) -> bytes:
    """The start of a block."""
    return sse("content_block_start", b',"index":%d,"content_block":{%b}' % (index, block))


def delta(index: int, fields: bytes) -> bytes:
    """More of a block."""
    return sse("content_block_delta", b',"index":%d,"delta":{%b}' % (index, fields))


MESSAGE = (
    b',"message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[],'
    b'"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":31,'
    b'"cache_creation_input_tokens":0,"cache_read_input_tokens":%d,"output_tokens":%d}}'
)
END = b',"delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":31,"output_tokens":1}'
CACHED_END = (
    b',"delta":{"stop_reason":"stop_sequence","stop_sequence":"END"},"usage":{"input_tokens":31,'
    b'"cache_creation_input_tokens":0,"cache_read_input_tokens":7,"output_tokens":42}'
)
FAILURE = (
    b',"error":{"type":"api_error",'
    b'"message":"The upstream\'s answer was damaged on the way; this is a server error, please try again."}'
)
EVENTS: list[tuple[TurnEvent, bytes]] = [
    (TurnStarted(usage=USAGE), sse("message_start", MESSAGE % (0, 1))),
    (TurnStarted(usage=CACHED), sse("message_start", MESSAGE % (7, 42))),
    (TextStarted(index=0), start(0, b'"type":"text","text":""')),
    (ThinkingStarted(index=1), start(1, b'"type":"thinking","thinking":"","signature":""')),
    (
        RedactedThinkingStarted(index=2, data="xyz"),
        start(2, b'"type":"redacted_thinking","data":"xyz"'),
    ),
    (
        ToolUseStarted(index=3, tool_use_id="toolu_1", name="f"),
        start(3, b'"type":"tool_use","id":"toolu_1","name":"f","input":{}'),
    ),
    (
        TextDelta(index=10, text='a "b"\r\n%d \u2028 \N{GRINNING FACE}'),
        delta(
            10,
            rb'"type":"text_delta","text":"a \"b\"\r\n%d \u2028 ' + b'\xf0\x9f\x98\x80"',
        ),
    ),
    (ThinkingDelta(index=1, text="hm"), delta(1, b'"type":"thinking_delta","thinking":"hm"')),
    (
        SignatureDelta(index=1, signature="c2ln"),
        delta(1, b'"type":"signature_delta","signature":"c2ln"'),
    ),
    (
        ToolInputDelta(index=3, partial_json='{"a": "'),
        delta(3, rb'"type":"input_json_delta","partial_json":"{\"a\": \""'),
    ),
    (BlockStopped(index=3), sse("content_block_stop", b',"index":3')),
    (end(StopReason.TOOL_USE, USAGE), sse("message_delta", END) + sse("message_stop")),
    (
        end(StopReason.STOP_SEQUENCE, CACHED, "END"),
        sse("message_delta", CACHED_END) + sse("message_stop"),
    ),
    (TurnFailed(error=UpstreamProtocolError("crc of frame 7")), sse("error", FAILURE)),
]


@pytest.mark.parametrize(("event", "expected"), EVENTS)
def test_each_event_has_its_form(event: TurnEvent, expected: bytes) -> None:
    """Name, one line of compact JSON, an empty line."""
    assert render(event) == expected


def test_events_follow_one_another_without_a_gap() -> None:
    """However they are cut into calls, the bytes are the same."""
    events = [event for event, _ in EVENTS]
    assert render(*events) == b"".join(expected for _, expected in EVENTS)
    assert render() == b""


def test_failure_in_a_stream_has_the_type_of_its_kind() -> None:
    """A defect of our own stays silent about itself."""
    error = Kiro2ApiError("KeyError: 'x'")
    error.kind = ErrorKind.INTERNAL
    line = render(TurnFailed(error=error)).splitlines()[1]
    body = json.loads(line.removeprefix(b"data: "))
    assert body["error"]["type"] == "api_error"
    assert "KeyError" not in body["error"]["message"]


def test_ping_is_an_event_of_its_own() -> None:
    """It fits between any two others."""
    assert StreamRenderer.ping == sse("ping")


def test_whole_answer_is_one_message() -> None:
    """Blocks, stop reason and usage have all their keys."""
    answer = Answer(
        blocks=(
            Thinking(text="hm"),
            RedactedThinking(data="xyz"),
            Text(text="Hello"),
            ToolUse(tool_use_id="toolu_1", name="f", input={"a": 1}),
        ),
        stop_reason=StopReason.TOOL_USE,
        stop_sequence=None,
        usage=Usage(input_tokens=31, output_tokens=17),
    )
    assert json.loads(render_answer(answer, message_id="msg_1", model="claude-x")) == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": ""},
            {"type": "redacted_thinking", "data": "xyz"},
            {"type": "text", "text": "Hello"},
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 31,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 17,
        },
    }


def test_token_count_is_a_single_number() -> None:
    """SDKs read nothing else."""
    assert render_token_count(123) == b'{"input_tokens":123}'
