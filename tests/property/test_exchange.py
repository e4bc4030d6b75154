"""Bytes to bytes: no cut changes what the client gets, and no bytes raise anything."""

from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro2api.protocol.anthropic.response import StreamRenderer as MessagesRenderer
from kiro2api.protocol.anthropic.response import render_answer as render_message
from kiro2api.protocol.catalog import ResolvedModel
from kiro2api.protocol.conversation import Conversation
from kiro2api.protocol.eventstream.messages import Message
from kiro2api.protocol.exchange import Exchange, FoldRenderer, Renderer
from kiro2api.protocol.openai.response import StreamRenderer as ChunkRenderer
from kiro2api.protocol.openai.response import render_answer as render_completion
from tests.support.conversations import user
from tests.support.upstream_events import encode_stream, messages

MODEL = ResolvedModel(public_name="m", upstream_id="m", context_window=1000, max_output_tokens=None)
CONVERSATION = Conversation(model="m", turns=(user("Hi"),), stop_sequences=("ab", "b漢"))

RENDERERS: dict[str, Callable[[], Renderer]] = {
    "messages": lambda: MessagesRenderer(message_id="msg_1", model="m"),
    "chunks": lambda: ChunkRenderer(completion_id="c", created=0, model="m", include_usage=True),
    "whole message": lambda: FoldRenderer(lambda answer: render_message(answer, message_id="msg_1", model="m")),
    "whole completion": lambda: FoldRenderer(
        lambda answer: render_completion(answer, completion_id="c", created=0, model="m")
    ),
}

each_renderer = pytest.mark.parametrize("new_renderer", RENDERERS.values(), ids=RENDERERS)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Frames of any messages, sometimes with a changed byte, cut short, or with something behind them."""
    stream = bytearray(encode_stream(draw(st.lists(messages(), max_size=8))))
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


def relay(new_renderer: Callable[[], Renderer], chunks: Iterable[bytes]) -> tuple[bytes, object, object, object]:
    """What the client gets in all, and how the exchange says that it ended."""
    exchange = new_exchange(new_renderer)
    sent = b"".join([*map(exchange.receive_data, chunks), exchange.receive_eof()])
    failure = exchange.failure and (type(exchange.failure), exchange.failure.detail)
    assert exchange.is_over
    assert (exchange.failure is None) == (exchange.stop_reason is not None)
    assert exchange.has_output == bool(sent)
    return sent, failure, exchange.stop_reason, exchange.usage


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """``data`` in pieces that end at ``places``."""
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@each_renderer
@given(stream=streams(), places=st.lists(st.integers(0, 5000), max_size=12))
def test_any_cut(new_renderer: Callable[[], Renderer], stream: bytes, places: list[int]) -> None:
    """However the stream is cut, the client gets the same bytes, and the exchange ends the same way."""
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
    assert sent == whole or (failure is not None and not whole)
