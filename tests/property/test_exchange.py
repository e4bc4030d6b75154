"""Bytes to bytes: no cut changes what the client gets, and no bytes raise anything.

What the upstream says in several messages of one read may reach the client as one delta; deltas are joined here.
"""

import itertools
import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro2api.protocol.anthropic.response import StreamRenderer as MessagesRenderer
from kiro2api.protocol.anthropic.response import render_answer as render_message
from kiro2api.protocol.attempt import FoldRenderer, Renderer
from kiro2api.protocol.catalog import ResolvedModel
from kiro2api.protocol.conversation import Conversation, ThinkingChoice, ThinkingMode
from kiro2api.protocol.eventstream.messages import Message
from kiro2api.protocol.exchange import Exchange
from kiro2api.protocol.openai.response import StreamRenderer as ChunkRenderer
from kiro2api.protocol.openai.response import render_answer as render_completion
from kiro2api.protocol.responses.output import ResponseHead
from kiro2api.protocol.responses.response import StreamRenderer as ResponsesRenderer
from kiro2api.protocol.responses.response import render_answer as render_response
from tests.support.conversations import user
from tests.support.upstream_events import encode_stream, messages, text_message

MODEL = ResolvedModel(public_name="m", upstream_id="claude-sonnet-4.5", context_window=1000, max_output_tokens=None)
"""Thinks between tags."""
CONVERSATION = Conversation(
    model="m",
    turns=(user("Hi"),),
    stop_sequences=("ab", "b漢"),
    thinking=ThinkingChoice(mode=ThinkingMode.ENABLED),
)
TEXTS = ("text", "thinking", "content", "reasoning_content")
"""Where a delta has them."""
TAGGED = ["<thinking>", "</thinking>", "<thinking>a</thinking>\n\nb", "\n"]

HEAD = ResponseHead(response_id="resp_1", created_at=0, model="m", settings={}, forms={})
RENDERERS: dict[str, Callable[[], Renderer]] = {
    "messages": lambda: MessagesRenderer(message_id="msg_1", model="m"),
    "chunks": lambda: ChunkRenderer(completion_id="c", created=0, model="m", include_usage=True),
    "responses": lambda: ResponsesRenderer(head=HEAD, sequence=itertools.count()),
    "whole message": lambda: FoldRenderer(lambda answer: render_message(answer, message_id="msg_1", model="m")),
    "whole completion": lambda: FoldRenderer(
        lambda answer: render_completion(answer, completion_id="c", created=0, model="m")
    ),
    "whole response": lambda: FoldRenderer(lambda answer: render_response(answer, head=HEAD)),
}

each_renderer = pytest.mark.parametrize("new_renderer", RENDERERS.values(), ids=RENDERERS)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Frames of any messages, sometimes with a changed byte, cut short, or with something behind them."""
    told = messages() | st.sampled_from(TAGGED).map(text_message)
    stream = bytearray(encode_stream(draw(st.lists(told, max_size=8))))
    if stream and draw(st.sampled_from([False, False, True])):
        stream[draw(st.integers(0, len(stream) - 1))] ^= draw(st.integers(1, 255))
    stream += draw(st.sampled_from([b"", b"", b"", b"\0", b"x" * 40]))
    return bytes(stream[: draw(st.integers(0, len(stream)))] if draw(st.sampled_from([False, False, True])) else stream)


def new_exchange(new_renderer: Callable[[], Renderer]) -> Exchange:
    """An exchange at its beginning."""
    return Exchange(
        conversation=CONVERSATION,
        model=MODEL,
        conversation_id="c-1",
        new_renderer=new_renderer,
        max_tool_description_length=100,
    )


def relay(new_renderer: Callable[[], Renderer], chunks: Iterable[bytes]) -> tuple[object, object, object, object]:
    """What the client gets in all, and how the exchange says that it ended."""
    exchange = new_exchange(new_renderer)
    sent = b"".join([*map(exchange.receive_data, chunks), exchange.receive_eof()])
    failure = exchange.failure and (type(exchange.failure), exchange.failure.detail)
    assert exchange.is_over
    assert (exchange.failure is None) == (exchange.stop_reason is not None)
    assert exchange.has_output == bool(sent)
    return join_deltas(sent), failure, exchange.stop_reason, exchange.usage


def join_deltas(sent: bytes) -> list[tuple[object, str]]:
    """The events of a stream, or the one body, with neighbours joined that differ in what they add to one text."""
    joined: list[tuple[object, str]] = []
    for line in sent.decode().splitlines():
        if not line or line.startswith("event: "):
            continue
        rest, text = take_text(json.loads(line[6:])) if line.startswith("data: {") else (line, "")
        if text and joined and joined[-1][0] == rest:
            joined[-1] = (rest, joined[-1][1] + text)
        else:
            joined.append((rest, text))
    return joined


def take_text(event: Any) -> tuple[object, str]:  # noqa: ANN401 - an event of any dialect
    """What an event says beside the text that it adds, and that text."""
    event.pop("sequence_number", None)
    match event:
        case {"choices": [{"delta": dict() as delta}]} | {"delta": dict() as delta}:
            return event, "".join(delta.pop(name, None) or "" for name in TEXTS)
        case {"delta": str()}:
            return event, event.pop("delta")
        case _:
            return event, ""


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """``data`` in pieces that end at ``places``."""
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@each_renderer
@given(stream=streams(), places=st.lists(st.integers(0, 5000), max_size=12))
def test_any_cut(new_renderer: Callable[[], Renderer], stream: bytes, places: list[int]) -> None:
    """However the stream is cut, the client gets the same events, and the exchange ends the same way."""
    whole = relay(new_renderer, [stream])
    assert relay(new_renderer, cut(stream, places)) == whole
    assert relay(new_renderer, (stream[at : at + 1] for at in range(len(stream)))) == whole


@each_renderer
@given(chunks=st.lists(st.binary(max_size=60) | streams(), max_size=4))
def test_any_bytes(new_renderer: Callable[[], Renderer], chunks: list[bytes]) -> None:
    """No bytes raise anything, neither before the end nor after it."""
    exchange = new_exchange(new_renderer)
    for chunk in [*chunks, b"x"]:
        exchange.receive_data(chunk)
    exchange.receive_eof()
    assert exchange.is_over
    assert [exchange.receive_data(b"\0"), exchange.receive_eof()] == [b"", b""]


@each_renderer
@given(script=st.lists(messages(), max_size=6))
def test_opened_early(new_renderer: Callable[[], Renderer], script: list[Message]) -> None:
    """The head sent ahead changes nothing in what the client gets in all."""
    stream = encode_stream(script)
    opened = new_exchange(new_renderer)
    sent = opened.open() + opened.receive_data(stream) + opened.receive_eof()
    whole, failure, *_ = relay(new_renderer, [stream])
    assert join_deltas(sent) == whole or (failure is not None and not whole)
