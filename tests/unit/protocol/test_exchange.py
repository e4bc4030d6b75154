"""Exchanges: upstream bytes in, client bytes out, over one attempt or several."""

import json
from collections.abc import Callable, Sequence

from kiro2api.protocol.anthropic.response import StreamRenderer as MessagesRenderer
from kiro2api.protocol.anthropic.response import render_answer as render_message
from kiro2api.protocol.attempt import FoldRenderer, Renderer
from kiro2api.protocol.catalog import ResolvedModel
from kiro2api.protocol.conversation import Conversation, Tool
from kiro2api.protocol.eventstream.decoder import (
    MessageChecksumMismatchError,
    PreludeChecksumMismatchError,
    TruncatedFrameError,
)
from kiro2api.protocol.eventstream.messages import Message
from kiro2api.protocol.exchange import Exchange
from kiro2api.protocol.kiro.faults import UpstreamFaultError
from kiro2api.protocol.openai.response import StreamRenderer as ChunkRenderer
from kiro2api.protocol.turn import (
    Answer,
    BlockStopped,
    EmptyAnswerError,
    StopReason,
    TextDelta,
    TextStarted,
    TurnEnded,
    TurnEvent,
    TurnFailed,
    TurnStarted,
)
from kiro2api.protocol.usage import Usage, estimate_conversation
from tests.support.conversations import user
from tests.support.upstream_events import (
    encode_stream,
    event_message,
    exception_message,
    fault,
    text_message,
    tool_message,
)

MODEL = ResolvedModel(
    public_name="claude-sonnet-4-5", upstream_id="claude-sonnet-4.5", context_window=200_000, max_output_tokens=64_000
)
CONVERSATION = Conversation(model="claude-sonnet-4-5", turns=(user("Hi"),), stop_sequences=("STOP",))


class PlainRenderer:
    """A dialect of brackets."""

    def render(self, events: Sequence[TurnEvent]) -> bytes:
        return b"".join(map(self._render, events))

    def _render(self, event: TurnEvent) -> bytes:
        match event:
            case TurnStarted():
                return b"<"
            case TextStarted():
                return b"["
            case TextDelta(text=text):
                return text.encode()
            case BlockStopped():
                return b"]"
            case TurnEnded(stop_reason=reason):
                return b"|%b>" % reason.value.encode()
            case TurnFailed(error=error):
                return b"!%b" % error.kind.value.encode()
            case _:
                return b"?"


def new_exchange(
    new_renderer: Callable[[], Renderer] = PlainRenderer, *, conversation: Conversation = CONVERSATION
) -> Exchange:
    """An exchange at its beginning."""
    return Exchange(
        conversation=conversation,
        model=MODEL,
        conversation_id="c-1",
        new_renderer=new_renderer,
        max_tool_description_length=10_000,
    )


def receive(exchange: Exchange, *messages: Message) -> bytes:
    """What the client gets for a chunk of these messages."""
    return exchange.receive_data(encode_stream(messages))


def test_text() -> None:
    """Every read gives what its frames make, at once, and the end gives the rest."""
    exchange = new_exchange()
    assert receive(exchange, text_message("a")) == b"<[a"
    assert receive(exchange, text_message("b"), text_message("c")) == b"bc"
    assert (exchange.is_over, exchange.stop_reason) == (False, None)
    assert exchange.receive_eof() == b"]|end_turn>"
    assert (exchange.is_over, exchange.stop_reason, exchange.failure) == (True, StopReason.END_TURN, None)


def test_several_frames_are_rendered_together() -> None:
    """However many texts one read holds, the client gets one delta in one piece, and nothing without an event."""
    calls: list[int] = []

    class CountingRenderer(PlainRenderer):
        def render(self, events: Sequence[TurnEvent]) -> bytes:
            calls.append(len(events))
            return super().render(events)

    exchange = new_exchange(CountingRenderer)
    frames = encode_stream(map(text_message, "abc"))
    assert exchange.receive_data(frames + frames[:10]) == b"<[abc"
    assert exchange.receive_data(frames[10:20]) == b""
    assert exchange.receive_data(b"") == b""
    assert calls == [3]


def test_damaged_frame() -> None:
    """What stands before a damaged frame is delivered; the failure is noted, and nothing more is read."""
    exchange = new_exchange()
    frames = bytearray(encode_stream(map(text_message, "abc")))
    frames[-5] ^= 1
    assert exchange.receive_data(bytes(frames)) == b"<[ab"
    assert isinstance(exchange.failure, MessageChecksumMismatchError)
    assert (exchange.is_over, exchange.stop_reason) == (True, None)
    assert receive(exchange, text_message("d")) + exchange.receive_eof() == b""


def test_damage_first() -> None:
    """An attempt that begins with damage has no output."""
    exchange = new_exchange()
    assert exchange.receive_data(b"<html>" * 10) == b""
    assert isinstance(exchange.failure, PreludeChecksumMismatchError)
    assert not exchange.has_output


def test_truncated_frame() -> None:
    """A stream that ends within a frame fails, and what was held back is delivered."""
    exchange = new_exchange()
    assert exchange.receive_data(encode_stream([text_message("aST"), text_message("b")])[:-1]) == b"<[a"
    assert exchange.receive_eof() == b"ST"
    assert isinstance(exchange.failure, TruncatedFrameError)


def test_unreadable_content() -> None:
    """Content that cannot be read fails the attempt where it stands."""
    exchange = new_exchange()
    sent = receive(exchange, text_message("a"), event_message("assistantResponseEvent", []), text_message("b"))
    assert sent == b"<[a"
    assert exchange.failure is not None
    assert exchange.failure.detail == "payload of assistantResponseEvent: no object"


def test_upstream_failure_is_not_rendered_by_itself() -> None:
    """The caller decides whether the client hears of a failure: another attempt may follow."""
    exchange = new_exchange()
    assert receive(exchange, exception_message("throttlingError", {})) == b""
    assert isinstance(exchange.failure, UpstreamFaultError)
    assert not exchange.has_output
    assert exchange.render_failure(exchange.failure) == b"!rate_limited"


def test_failure_from_outside() -> None:
    """A failure of the transport lets out what was held back, once."""
    exchange = new_exchange()
    error = fault()
    assert receive(exchange, text_message("aST")) == b"<[a"
    assert exchange.receive_failure(error) == b"ST"
    assert exchange.receive_failure(fault()) == b""
    assert exchange.failure is error


def describe_attempt(exchange: Exchange) -> tuple[object, ...]:
    """What an exchange tells of its current attempt."""
    return type(exchange.failure), exchange.is_over, exchange.credits, exchange.has_trailers, exchange.ignored


def test_next_attempt() -> None:
    """After an attempt without output the next begins afresh; what it cost is not forgotten."""
    exchange = new_exchange()
    assert receive(exchange, event_message("new", {}), event_message("meteringEvent", {"usage": 0.5})) == b""
    assert exchange.receive_eof() == b""
    assert describe_attempt(exchange) == (EmptyAnswerError, True, 0.5, True, {"new": 1})
    exchange.begin_attempt()
    assert describe_attempt(exchange) == (type(None), False, 0.5, False, {})
    assert not exchange.has_output
    assert receive(exchange, text_message("a")) + exchange.receive_eof() == b"<[a]|end_turn>"
    assert exchange.has_output


def test_end_is_forgotten() -> None:
    """A new attempt forgets how the last ended, and half a frame that came."""
    exchange = new_exchange()
    receive(exchange, text_message("a"))
    exchange.receive_eof()
    exchange.begin_attempt()
    assert (exchange.stop_reason, exchange.is_over) == (None, False)
    exchange.receive_data(b"\0\0")
    exchange.begin_attempt()
    assert receive(exchange, text_message("b")) == b"[b"


def test_open() -> None:
    """The head may be sent ahead, once over all attempts, and is no output: another attempt may follow."""
    exchange = new_exchange()
    assert [exchange.open(), exchange.open()] == [b"<", b""]
    exchange.receive_failure(fault())
    assert not exchange.has_output
    exchange.begin_attempt()
    assert exchange.open() == b""
    assert receive(exchange, text_message("a")) + exchange.receive_eof() == b"[a]|end_turn>"


def test_open_between_attempts() -> None:
    """The head may be sent while the client waits for the next attempt."""
    exchange = new_exchange()
    exchange.receive_failure(fault())
    assert exchange.open() == b"<"
    exchange.begin_attempt()
    assert receive(exchange, text_message("a")) == b"[a"


def test_open_after_content() -> None:
    """The head is not sent after the answer has begun."""
    exchange = new_exchange()
    receive(exchange, text_message("a"))
    assert exchange.open() == b""


def test_stop_sequence() -> None:
    """The conversation's stop sequences end the answer; damage behind it is nobody's concern."""
    exchange = new_exchange()
    assert exchange.receive_data(encode_stream([text_message("aSTOPb")]) + b"x" * 20) == b"<[a]|stop_sequence>"
    assert exchange.receive_eof() == b""
    assert (exchange.failure, exchange.stop_reason) == (None, StopReason.STOP_SEQUENCE)


def test_half_character_at_eof() -> None:
    """Half a character that waited for the other half is delivered as U+FFFD."""
    exchange = new_exchange()
    assert receive(exchange, text_message("a\ud83d")) == b"<[a"
    assert exchange.receive_eof() == "\ufffd]|end_turn>".encode()


def test_usage() -> None:
    """The input is estimated from the conversation until the wire says more."""
    exchange = new_exchange()
    assert exchange.usage == Usage(input_tokens=estimate_conversation(CONVERSATION), output_tokens=0)
    counts: dict[str, int] = {"uncachedInputTokens": 12, "cacheReadInputTokens": 3, "outputTokens": 5}
    receive(exchange, text_message("a"), event_message("metadataEvent", {"tokenUsage": {**counts}}))
    assert exchange.usage == Usage(input_tokens=12, output_tokens=5, cache_read_tokens=3)


def test_context_percentage() -> None:
    """A share of the context is one of the model's own window."""
    exchange = new_exchange()
    receive(exchange, text_message("a"), event_message("contextUsageEvent", {"contextUsagePercentage": 10}))
    assert exchange.usage.total_input_tokens + exchange.usage.output_tokens == 20_000


def test_request() -> None:
    """The request carries the model, the conversation's id and the credential's profile; repairs are told."""
    tools = (Tool(name="files.read", description="", input_schema={}),)
    exchange = new_exchange(conversation=Conversation(model="m", turns=(user("Hi"),), tools=tools, repairs=("x",)))
    state = json.loads(exchange.encode_request(profile_arn="arn:aws:x"))
    assert state["profileArn"] == "arn:aws:x"
    assert state["conversationState"]["conversationId"] == "c-1"
    assert state["conversationState"]["currentMessage"]["userInputMessage"]["modelId"] == "claude-sonnet-4.5"
    assert exchange.repairs[0] == "x"


def test_tool_names_come_back() -> None:
    """A tool that the upstream knows by another name is answered with the client's."""
    tools = (Tool(name="files.read", description="d", input_schema={}),)
    conversation = Conversation(model="m", turns=(user("Hi"),), tools=tools)
    exchange = new_exchange(lambda: FoldRenderer(show_names), conversation=conversation)
    context = json.loads(exchange.encode_request(profile_arn=None))["conversationState"]["currentMessage"][
        "userInputMessage"
    ]["userInputMessageContext"]
    alias = context["tools"][0]["toolSpecification"]["name"]
    receive(exchange, tool_message("t1", "{}", stop=True, name=alias))
    assert alias != "files.read"
    assert exchange.receive_eof() == b"files.read"


def show_names(answer: Answer) -> bytes:
    """The names of an answer's tool uses."""
    return b" ".join(str(getattr(block, "name", "")).encode() for block in answer.blocks)


def test_fold_renderer() -> None:
    """An answer that is not streamed comes whole with its end; till then there is no output."""
    exchange = new_exchange(lambda: FoldRenderer(lambda answer: repr(answer.blocks).encode()))
    assert exchange.open() + receive(exchange, text_message("a"), text_message("b")) == b""
    assert not exchange.has_output
    assert exchange.receive_eof() == b"(Text(text='ab'),)"
    assert exchange.has_output


def test_fold_renderer_after_failure() -> None:
    """A failed attempt leaves nothing in the answer of the next."""
    exchange = new_exchange(lambda: FoldRenderer(lambda answer: repr(answer.blocks).encode()))
    receive(exchange, text_message("a"))
    assert exchange.receive_failure(fault()) + exchange.render_failure(fault()) == b""
    exchange.begin_attempt()
    receive(exchange, text_message("b"))
    assert exchange.receive_eof() == b"(Text(text='b'),)"


STREAM = [
    text_message("Let me check"),
    tool_message("tooluse_1", name="get_time"),
    tool_message("tooluse_1", "{}", name="get_time"),
    tool_message("tooluse_1", stop=True, name="get_time"),
    event_message("metadataEvent", {"tokenUsage": {"uncachedInputTokens": 120, "outputTokens": 31}}),
]


def test_messages_stream() -> None:
    """A whole answer as a stream of the Messages API: the events by name, and the end with its usage."""
    exchange = new_exchange(lambda: MessagesRenderer(message_id="msg_1", model="m"))
    sent = receive(exchange, *STREAM) + exchange.receive_eof()
    names = [line.removeprefix("event: ") for line in sent.decode().splitlines() if line.startswith("event: ")]
    block = ["content_block_start", "content_block_delta", "content_block_stop"]
    assert names == ["message_start", *block, *block, "message_delta", "message_stop"]
    assert (
        b'"delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":120,"output_tokens":31}'
        in sent
    )
    assert exchange.render_failure(fault()).startswith(b"event: error\n")


def test_chunk_stream() -> None:
    """A whole answer as chat completion chunks: the deltas, the finish and the mark of the end."""
    exchange = new_exchange(lambda: ChunkRenderer(completion_id="c", created=0, model="m", include_usage=False))
    sent = receive(exchange, *STREAM) + exchange.receive_eof()
    *chunks, done = [event.removeprefix(b"data: ") for event in sent.split(b"\n\n")[:-1]]
    choices = [json.loads(chunk)["choices"][0] for chunk in chunks]
    assert [sorted(choice["delta"]) for choice in choices] == [
        ["content", "role"],
        ["content"],
        ["tool_calls"],
        ["tool_calls"],
        [],
    ]
    assert [choice["finish_reason"] for choice in choices] == [None] * 4 + ["tool_calls"]
    assert done == b"[DONE]"


def test_whole_message() -> None:
    """A whole answer as one body of the Messages API."""
    exchange = new_exchange(lambda: FoldRenderer(lambda answer: render_message(answer, message_id="msg_1", model="m")))
    body = json.loads(receive(exchange, *STREAM) + exchange.receive_eof())
    assert body["content"] == [
        {"type": "text", "text": "Let me check"},
        {"type": "tool_use", "id": "tooluse_1", "name": "get_time", "input": {}},
    ]
    assert body["stop_reason"] == "tool_use"
