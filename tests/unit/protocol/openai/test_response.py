"""Turns as chat completions."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from kiro2api.errors import ErrorKind, Kiro2ApiError
from kiro2api.protocol.conversation import AssistantBlock, RedactedThinking, Text, Thinking, ToolUse
from kiro2api.protocol.jsontext import JSON, JSONObject
from kiro2api.protocol.openai.response import StreamRenderer, render_answer
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

USAGE = Usage(input_tokens=20, output_tokens=17, cache_read_tokens=10, cache_write_tokens=1)
RENDERED_USAGE = {
    "prompt_tokens": 31,
    "completion_tokens": 17,
    "total_tokens": 48,
    "prompt_tokens_details": {"cached_tokens": 10},
}
STARTED = TurnStarted(usage=USAGE)
HEAD = b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":5,"model":"m\\"1","choices":['


def end(reason: StopReason = StopReason.END_TURN) -> TurnEnded:
    """The end of a turn."""
    return TurnEnded(stop_reason=reason, stop_sequence=None, usage=USAGE)


def render(events: Sequence[TurnEvent], *, include_usage: bool = False) -> bytes:
    """The bytes of all ``events``."""
    renderer = StreamRenderer(completion_id="chatcmpl-1", created=5, model='m"1', include_usage=include_usage)
    return renderer.render(events)


def read_deltas(stream: bytes) -> list[Any]:
    """The deltas of all chunks that have a choice."""
    texts = [event.removeprefix(b"data: ") for event in stream.removesuffix(b"\n\n").split(b"\n\n")]
    chunks = [json.loads(text) for text in texts if text != b"[DONE]"]
    return [choice["delta"] for chunk in chunks for choice in chunk["choices"]]


def test_text_stream() -> None:
    """A stream has a role chunk, text, one finish chunk and ``[DONE]``, byte for byte."""
    text = TextDelta(index=0, text='a"\n漢')
    events: list[TurnEvent] = [STARTED, TextStarted(index=0), text, BlockStopped(index=0), end()]
    choices = (
        '{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}',
        '{"index":0,"delta":{"content":"a\\"\\n漢"},"logprobs":null,"finish_reason":null}',
        '{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}',
    )
    chunks = b"".join(HEAD + choice.encode() + b"]}\n\n" for choice in choices)
    assert render(events) == chunks + b"data: [DONE]\n\n"


def test_usage_chunk() -> None:
    """Asked for, usage comes in a chunk without choices before ``[DONE]``; all others say ``null``."""
    stream = render([STARTED, TextDelta(index=0, text="a"), end()], include_usage=True)
    *chunks, usage, done, rest = stream.split(b"\n\n")
    assert [json.loads(chunk.removeprefix(b"data: "))["usage"] for chunk in chunks] == [None] * 3
    assert usage.startswith(HEAD + b'],"usage":')
    assert json.loads(usage.removeprefix(b"data: "))["usage"] == RENDERED_USAGE
    assert (done, rest) == (b"data: [DONE]", b"")


def test_tool_calls() -> None:
    """Calls are counted from 0 apart from blocks; id, type and name come once, no input at all is ``{}``."""
    events: list[TurnEvent] = [
        TextStarted(index=0),
        BlockStopped(index=0),
        ToolUseStarted(index=1, tool_use_id="a", name="f"),
        ToolInputDelta(index=1, partial_json='{"x":'),
        ToolInputDelta(index=1, partial_json="1}"),
        BlockStopped(index=1),
        ToolUseStarted(index=2, tool_use_id="b", name='g"'),
        BlockStopped(index=2),
        TextStarted(index=3),
        BlockStopped(index=3),
    ]
    first = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
    second = {"index": 1, "id": "b", "type": "function", "function": {"name": 'g"', "arguments": ""}}
    assert read_deltas(render(events)) == [
        {"tool_calls": [first]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"x":'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]},
        {"tool_calls": [second]},
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
    ]


def test_thinking() -> None:
    """Reasoning goes beside the content; signatures and sealed reasoning have no form here."""
    events: list[TurnEvent] = [
        ThinkingStarted(index=0),
        ThinkingDelta(index=0, text="hm"),
        SignatureDelta(index=0, signature="s"),
        BlockStopped(index=0),
        RedactedThinkingStarted(index=1, data="d"),
        BlockStopped(index=1),
    ]
    assert read_deltas(render(events)) == [{"reasoning_content": "hm"}]


def test_failed_stream() -> None:
    """A broken stream ends with an error event: no finish reason, no ``[DONE]``; text before it is delivered."""
    error = Kiro2ApiError("Too\u2028slow.")
    error.kind = ErrorKind.UPSTREAM_TIMEOUT
    stream = render([TextDelta(index=0, text="a"), TurnFailed(error=error)])
    text, failure, rest = stream.split(b"\n\n")
    assert text.endswith(b'"delta":{"content":"a"},"logprobs":null,"finish_reason":null}]}')
    assert (rest, failure) == (
        b"",
        b'data: {"error":{"message":"Too\\u2028slow.","type":"server_error","param":null,"code":"upstream_timeout"}}',
    )


def test_line_breaks_of_unicode() -> None:
    """Clients that cut lines as Python's strings do still see one line an event, with the same text in it."""
    text = "a\u0085b\u2028c\u2029d\x0b\x0c\x1ce漢"
    stream = render([TextDelta(index=0, text=text)])
    assert len(stream.decode().splitlines()) == 2
    assert read_deltas(stream) == [{"content": text}]


@pytest.mark.parametrize(
    ("reason", "finish_reason"),
    [
        (StopReason.END_TURN, "stop"),
        (StopReason.STOP_SEQUENCE, "stop"),
        (StopReason.PAUSE_TURN, "stop"),
        (StopReason.TOOL_USE, "tool_calls"),
        (StopReason.MAX_TOKENS, "length"),
        (StopReason.CONTEXT_WINDOW, "length"),
        (StopReason.REFUSAL, "content_filter"),
    ],
)
def test_finish_reason(reason: StopReason, finish_reason: str) -> None:
    """Each stop reason has its finish reason, the same in a stream and in a whole answer."""
    answer = Answer(blocks=(), stop_reason=reason, stop_sequence=None, usage=USAGE)
    body = json.loads(render_answer(answer, completion_id="c", created=5, model="m"))
    assert body["choices"][0]["finish_reason"] == finish_reason
    assert f'"finish_reason":"{finish_reason}"'.encode() in render([end(reason)])


def test_any_cut_of_the_events_gives_the_same_bytes() -> None:
    """The renderer keeps what it needs between calls."""
    events: list[TurnEvent] = [
        STARTED,
        ToolUseStarted(index=0, tool_use_id="a", name="f"),
        BlockStopped(index=0),
        end(),
    ]
    renderer = StreamRenderer(completion_id="chatcmpl-1", created=5, model='m"1', include_usage=False)
    assert b"".join(renderer.render([event]) for event in events) == render(events)
    assert renderer.render([]) == b""


def test_ping_is_a_comment() -> None:
    """A ping is a line that clients skip."""
    assert StreamRenderer.ping == b": keep-alive\n\n"


def message(content: JSON, **fields: JSON) -> JSONObject:
    """An answer's message."""
    return {"role": "assistant", "content": content, "refusal": None, **fields}


CALL: JSONObject = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":"é"}'}}
USE = ToolUse(tool_use_id="a", name="f", input={"x": "é"})


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        ((), message("")),
        ((Text(text="a"), Text(text="b")), message("ab")),
        ((Thinking(text="", signature="s"), Text(text="a")), message("a")),
        ((USE,), message(None, tool_calls=[CALL])),
        ((Text(text="a"), USE), message("a", tool_calls=[CALL])),
        (
            (Thinking(text="h"), RedactedThinking(data="d"), Thinking(text="m"), Text(text="a")),
            message("a", reasoning_content="hm"),
        ),
    ],
)
def test_whole_answer(blocks: tuple[AssistantBlock, ...], expected: JSONObject) -> None:
    """A whole answer has one choice with everything in it; the content is ``null`` beside calls without text."""
    answer = Answer(blocks=blocks, stop_reason=StopReason.END_TURN, stop_sequence=None, usage=USAGE)
    choice = {"index": 0, "message": expected, "logprobs": None, "finish_reason": "stop"}
    assert json.loads(render_answer(answer, completion_id="c", created=5, model="m")) == {
        "id": "c",
        "object": "chat.completion",
        "created": 5,
        "model": "m",
        "choices": [choice],
        "usage": RENDERED_USAGE,
    }


def test_unknown_cache_figures() -> None:
    """What the upstream did not say about its cache counts as nothing read."""
    usage = Usage(input_tokens=1, output_tokens=2)
    answer = Answer(blocks=(), stop_reason=StopReason.END_TURN, stop_sequence=None, usage=usage)
    assert json.loads(render_answer(answer, completion_id="c", created=5, model="m"))["usage"] == {
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "total_tokens": 3,
    }
