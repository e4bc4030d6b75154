"""How an exchange ends, from the upstream's bytes to each dialect's, streamed and whole."""

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from kiro2api.protocol.anthropic import response as anthropic
from kiro2api.protocol.attempt import FoldRenderer, Renderer
from kiro2api.protocol.conversation import Conversation, Tool
from kiro2api.protocol.eventstream.messages import Message
from kiro2api.protocol.exchange import Exchange
from kiro2api.protocol.jsontext import JSON
from kiro2api.protocol.openai import response as openai
from kiro2api.protocol.responses import response as responses
from kiro2api.protocol.responses.output import ResponseHead
from kiro2api.protocol.turn import Answer, TruncatedToolUseError
from tests.support.conversations import user
from tests.support.upstream_events import (
    encode_stream,
    event_message,
    exception_message,
    text_message,
    tool_message,
)
from tests.unit.protocol.test_exchange import MODEL

HEAD = ResponseHead(response_id="resp_1", created_at=1, model="m", settings={}, forms={})
type Document = dict[str, Any]

READ = Tool(name="read", description="", input_schema={})


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How answers are written, and how their end is read."""

    new_stream: Callable[[], Renderer]
    render: Callable[[Answer], bytes]
    find_end: Callable[[Document], object]
    """What a streamed event says of the end, or of a whole answer; ``None`` if nothing."""


def find_message_end(event: Document) -> object:
    """Stop reason, sequence and details."""
    fields = event.get("delta", event)
    return (
        (fields["stop_reason"], fields["stop_sequence"], fields.get("stop_details"))
        if fields.get("stop_reason")
        else None
    )


def find_chat_end(event: Document) -> object:
    """Finish reason."""
    return event["choices"][0]["finish_reason"] if event.get("choices") else None


def find_response_end(event: Document) -> object:
    """Status and why there is no more."""
    fields = event.get("response", event)
    if fields.get("status") not in {"completed", "incomplete", "failed"} or "output" not in fields:
        return None
    return fields["status"], (fields["incomplete_details"] or {}).get("reason")


DIALECTS = {
    "anthropic": Dialect(
        new_stream=partial(anthropic.StreamRenderer, message_id="msg_1", model="m"),
        render=partial(anthropic.render_answer, message_id="msg_1", model="m"),
        find_end=find_message_end,
    ),
    "chat": Dialect(
        new_stream=partial(
            openai.StreamRenderer, completion_id="chatcmpl-1", created=1, model="m", include_usage=False
        ),
        render=partial(openai.render_answer, completion_id="chatcmpl-1", created=1, model="m"),
        find_end=find_chat_end,
    ),
    "responses": Dialect(
        new_stream=lambda: responses.StreamRenderer(head=HEAD, sequence=itertools.count()),
        render=partial(responses.render_answer, head=HEAD),
        find_end=find_response_end,
    ),
}


def play(
    dialect: Dialect, *messages: Message, stream: bool, stops: tuple[str, ...] = ()
) -> tuple[Exchange, list[Document]]:
    """The exchange at its end, and the JSON documents that the client got."""
    exchange = Exchange(
        conversation=Conversation(model="m", turns=(user("Hi"),), tools=(READ,), stop_sequences=stops),
        model=MODEL,
        conversation_id="c-1",
        new_renderer=dialect.new_stream if stream else partial(FoldRenderer, dialect.render),
        max_tool_description_length=10_000,
    )
    got = b"".join(exchange.receive_data(encode_stream([message])) for message in messages) + exchange.receive_eof()
    lines = got.splitlines() if stream else [got]
    data = [line.removeprefix(b"data: ") for line in lines if line.startswith((b"data: {", b"{"))]
    return exchange, [json.loads(line) for line in data]


def list_ends(dialect: Dialect, *messages: Message, stream: bool, stops: tuple[str, ...] = ()) -> list[object]:
    """All that the client is told of the end."""
    _, documents = play(dialect, *messages, stream=stream, stops=stops)
    return [end for document in documents if (end := dialect.find_end(document)) is not None]


def stated(reason: str, **details: JSON) -> Message:
    """The upstream's account."""
    return event_message("metadataEvent", {"stopReason": reason, **details})


HELLO = text_message("Hello")
CALL = (tool_message("t1", '{"a":'), tool_message("t1", "1}", stop=True))
REFUSED: JSON = {"refusal": {"category": "CYBER", "explanation": "No.", "recommendedModel": "other"}}
DETAILS = {"type": "refusal", "category": "cyber", "explanation": "No."}
FULL = ("completed", None)
LIMITED = ("incomplete", "max_output_tokens")
FILTERED = ("incomplete", "content_filter")

ENDS: dict[str, tuple[tuple[Message, ...], tuple[object, ...], str, object]] = {
    "a whole tool call": ((HELLO, *CALL), ("tool_use", None, None), "tool_calls", FULL),
    "a whole tool call, whatever is stated": (
        (*CALL, stated("END_TURN")),
        ("tool_use", None, None),
        "tool_calls",
        FULL,
    ),
    "output limit stated": ((HELLO, stated("MAX_TOKENS")), ("max_tokens", None, None), "length", LIMITED),
    "output limit as an exception": (
        (HELLO, exception_message("ContentLengthExceededException", {})),
        ("max_tokens", None, None),
        "length",
        LIMITED,
    ),
    "full context stated": (
        (HELLO, stated("MODEL_CONTEXT_WINDOW_EXCEEDED")),
        ("model_context_window_exceeded", None, None),
        "length",
        LIMITED,
    ),
    "full context measured": (
        (HELLO, event_message("contextUsageEvent", {"contextUsagePercentage": 100.0})),
        ("model_context_window_exceeded", None, None),
        "length",
        LIMITED,
    ),
    "refused": ((HELLO, stated("CONTENT_FILTERED")), ("refusal", None, None), "content_filter", FILTERED),
    "refused, and why": (
        (HELLO, stated("CONTENT_FILTERED", stopDetails=REFUSED)),
        ("refusal", None, DETAILS),
        "content_filter",
        FILTERED,
    ),
    "refused before a word": (
        (stated("CONTENT_FILTERED", stopDetails=REFUSED),),
        ("refusal", None, DETAILS),
        "content_filter",
        FILTERED,
    ),
    "paused": ((HELLO, stated("PAUSE_TURN")), ("pause_turn", None, None), "stop", FULL),
    "stop sequence": ((text_message("HelloST"), text_message("OPx")), ("stop_sequence", "STOP", None), "stop", FULL),
    "reasoning only": (
        (event_message("reasoningContentEvent", {"text": "Hm."}),),
        ("max_tokens", None, None),
        "length",
        LIMITED,
    ),
    "nothing stated": ((HELLO,), ("end_turn", None, None), "stop", FULL),
    "end stated": ((HELLO, stated("END_TURN")), ("end_turn", None, None), "stop", FULL),
    "a tool call stated that never came": ((HELLO, stated("TOOL_USE")), ("end_turn", None, None), "stop", FULL),
}

both_ways = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
all_dialects = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)


@both_ways
@pytest.mark.parametrize(("messages", "message", "chat", "response"), ENDS.values(), ids=ENDS)
def test_end(
    messages: tuple[Message, ...], message: tuple[object, ...], chat: str, response: object, *, stream: bool
) -> None:
    """Each dialect has its word for how the upstream's answer ended, and says it once."""
    ends = [list_ends(dialect, *messages, stream=stream, stops=("STOP",)) for dialect in DIALECTS.values()]
    assert ends == [[message], [chat], [response]]


@both_ways
@all_dialects
@pytest.mark.parametrize(
    "messages",
    [(HELLO, tool_message("t1", '{"a":')), (HELLO, exception_message("throttlingError", {})), ()],
    ids=["a tool call that was cut", "an exception", "nothing at all"],
)
def test_failure_is_no_end(dialect: Dialect, messages: tuple[Message, ...], *, stream: bool) -> None:
    """Nothing says that the answer is whole."""
    exchange, documents = play(dialect, *messages, stream=stream)
    assert exchange.failure is not None
    assert [end for document in documents if (end := dialect.find_end(document)) is not None] == []


@both_ways
@all_dialects
def test_stop_sequences_are_of_the_text(dialect: Dialect, *, stream: bool) -> None:
    """Neither a tool's input nor reasoning ends at one, wherever it is cut."""
    inside = (
        event_message("reasoningContentEvent", {"text": "a ST"}),
        event_message("reasoningContentEvent", {"text": "OP b"}),
        tool_message("t1", '{"a":"ST'),
        tool_message("t1", 'OP"}', stop=True),
    )
    with_stops = play(dialect, *inside, stream=stream, stops=("STOP",))[1]
    assert with_stops == play(dialect, *inside, stream=stream)[1]


@all_dialects
@pytest.mark.parametrize("at", range(1, 10))
def test_stop_sequence_at_every_cut(dialect: Dialect, at: int) -> None:
    """However the text comes, the client gets what stands before the sequence, streamed and whole."""
    texts = "abSTOPcdef"[:at], "abSTOPcdef"[at:]
    whole = json.dumps(play(dialect, *map(text_message, texts), stream=False, stops=("STOP",))[1])
    assert '"ab"' in whole
    streamed = play(dialect, *map(text_message, texts), stream=True, stops=("STOP",))[1]
    pieces = [find_text(event) for event in streamed]
    assert "".join(pieces) == "ab"


def find_text(event: Document) -> str:
    """The text that a streamed event brings, in any of the dialects."""
    match event:
        case {"delta": {"text": str() as text}} | {"type": "response.output_text.delta", "delta": str() as text}:
            return text
        case {"choices": [{"delta": {"content": str() as text}}]}:
            return text
        case _:
            return ""


def explain_refusal(name: str, *, stream: bool, **refusal: JSON) -> list[Document]:
    """What the client gets of a refusal before a word."""
    return play(DIALECTS[name], stated("CONTENT_FILTERED", stopDetails={"refusal": refusal}), stream=stream)[1]


@pytest.mark.parametrize(
    ("wire", "category"),
    [
        ("CYBER", "cyber"),
        ("BIO", "bio"),
        ("FRONTIER_LLM", "frontier_llm"),
        ("REASONING_EXTRACTION", "reasoning_extraction"),
        ("UNKNOWN", None),
        ("SOMETHING_NEW", None),
        (None, None),
    ],
)
@both_ways
def test_category(wire: str | None, category: str | None, *, stream: bool) -> None:
    """It is one of those that Anthropic has, or none; so is the explanation."""
    *_, end = [
        end[2]
        for document in explain_refusal("anthropic", stream=stream, category=wire)
        if isinstance(end := find_message_end(document), tuple)
    ]
    assert end == {"type": "refusal", "category": category, "explanation": None}


@pytest.mark.parametrize("explanation", ["No.", "", None])
def test_refusal_of_a_chat_message(explanation: str | None) -> None:
    """It is beside the content, which there is none of; without an explanation there is nothing to say."""
    [whole] = explain_refusal("chat", stream=False, explanation=explanation)
    content = None if explanation else ""
    assert whole["choices"][0]["message"] == {"role": "assistant", "content": content, "refusal": explanation or None}
    deltas = [chunk["choices"][0]["delta"] for chunk in explain_refusal("chat", stream=True, explanation=explanation)]
    assert deltas == [{"role": "assistant", "content": ""}, *([{"refusal": "No."}] if explanation else []), {}]


def test_refusal_of_a_chat_message_with_text() -> None:
    """What was said stays."""
    [whole] = play(DIALECTS["chat"], HELLO, stated("CONTENT_FILTERED", stopDetails=REFUSED), stream=False)[1]
    assert whole["choices"][0]["message"] == {"role": "assistant", "content": "Hello", "refusal": "No."}


@pytest.mark.parametrize("said", [[], ["Hello"]], ids=["nothing", "text"])
def test_refusal_in_a_response(said: list[str]) -> None:
    """It is a message of its own behind the others, in the stream's events, in its end and in the whole response."""
    messages = [*map(text_message, said), stated("CONTENT_FILTERED", stopDetails=REFUSED)]
    [whole] = play(DIALECTS["responses"], *messages, stream=False)[1]
    events = play(DIALECTS["responses"], *messages, stream=True)[1]
    part = {"type": "refusal", "refusal": "No."}
    item = {"type": "message", "id": f"msg_1_{len(said)}", "status": "completed", "role": "assistant"}
    assert whole["output"][len(said) :] == [{**item, "content": [part]}]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1]["response"]["output"] == whole["output"]
    place = {"item_id": item["id"], "output_index": len(said), "content_index": 0}
    opening = {"output_index": len(said), "item": {**item, "status": "in_progress", "content": []}}
    assert [strip(event) for event in events[-7:-1]] == [
        {"type": "response.output_item.added", **opening},
        {"type": "response.content_part.added", **place, "part": {"type": "refusal", "refusal": ""}},
        {"type": "response.refusal.delta", **place, "delta": "No."},
        {"type": "response.refusal.done", **place, "refusal": "No."},
        {"type": "response.content_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": len(said), "item": {**item, "content": [part]}},
    ]


def strip(event: Document) -> Document:
    """An event without its number."""
    return {name: value for name, value in event.items() if name != "sequence_number"}


@both_ways
def test_unexplained_refusal_in_a_response(*, stream: bool) -> None:
    """No message is made up."""
    *_, last = explain_refusal("responses", stream=stream, category="BIO")
    assert last.get("response", last)["output"] == []


def test_cut_call_is_named() -> None:
    """The exchange knows which tool it was, by the client's name, and how often in a row."""
    exchange, _ = play(DIALECTS["chat"], tool_message("t1", '{"a":'), stream=True)
    assert isinstance(exchange.failure, TruncatedToolUseError)
    assert exchange.cut_run is not None
    assert (exchange.cut_run.tool, exchange.cut_run.count, exchange.cut_run.size) == ("read", 1, 5)
