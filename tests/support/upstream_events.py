"""What the upstream may say in an answer: events, the messages that carry them, and hypothesis strategies for both."""

import json
from collections.abc import Iterable, Mapping
from typing import assert_never

from hypothesis import strategies as st

from kiro2api.protocol.eventstream.encoder import encode_message
from kiro2api.protocol.eventstream.messages import Message, string_headers
from kiro2api.protocol.jsontext import JSON, JSONObject
from kiro2api.protocol.kiro.events import (
    AssistantText,
    ContextUsage,
    Failed,
    Ignored,
    Metadata,
    Metering,
    OutputLimit,
    Reasoning,
    ToolUseFragment,
    UpstreamEvent,
)
from kiro2api.protocol.kiro.faults import FaultReport, UpstreamFaultError
from kiro2api.protocol.usage import WireUsage


def event_message(name: str, payload: JSON | bytes) -> Message:
    """An event; a payload that is no bytes is written as JSON in ASCII, so that it may hold half characters."""
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return Message(headers=string_headers(headers), payload=_encode(payload))


def exception_message(name: str, payload: JSON | bytes) -> Message:
    """An exception, which ends the stream."""
    headers = {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"}
    return Message(headers=string_headers(headers), payload=_encode(payload))


def error_message(code: str, text: str) -> Message:
    """An error, which has no payload and ends the stream."""
    headers = {":error-code": code, ":error-message": text, ":message-type": "error"}
    return Message(headers=string_headers(headers), payload=b"")


def text_message(content: str) -> Message:
    """More text."""
    return event_message("assistantResponseEvent", {"content": content})


def tool_message(tool_use_id: str, piece: JSON = None, *, stop: bool = False, name: str = "read") -> Message:
    """Part of a tool use; without ``piece`` it has no input."""
    payload: JSONObject = {"name": name, "toolUseId": tool_use_id}
    return event_message(
        "toolUseEvent", payload | ({} if piece is None else {"input": piece}) | ({"stop": True} if stop else {})
    )


def build_message(event: UpstreamEvent) -> Message:
    """The message that says ``event``."""
    match event:
        case AssistantText(text=text):
            return text_message(text)
        case Reasoning(text=text, signature=signature, redacted=redacted):
            told = {"text": text, "signature": signature, "redactedContent": redacted}
            return event_message("reasoningContentEvent", {name: value for name, value in told.items() if value})
        case ToolUseFragment():
            return tool_message(event.tool_use_id, event.input or None, stop=event.stop, name=event.name)
        case Metadata():
            return event_message("metadataEvent", _build_metadata(event))
        case ContextUsage(percentage=percentage):
            return event_message("contextUsageEvent", {"contextUsagePercentage": percentage})
        case Metering(usage=usage, unit=unit):
            return event_message("meteringEvent", {"usage": usage, "unit": unit})
        case OutputLimit():
            return exception_message("ContentLengthExceededException", {})
        case Failed(fault=failure):
            return exception_message(failure.reason or "InternalServerException", {"message": failure.message})
        case Ignored(name=name):
            return event_message(name, {})
        case _:
            assert_never(event)


def _build_metadata(event: Metadata) -> JSONObject:
    payload: JSONObject = {"stopReason": event.stop_reason} if event.stop_reason else {}
    if event.usage is not None:
        counts = {
            "uncachedInputTokens": event.usage.uncached_input_tokens,
            "cacheReadInputTokens": event.usage.cache_read_input_tokens,
            "cacheWriteInputTokens": event.usage.cache_write_input_tokens,
            "outputTokens": event.usage.output_tokens,
            "totalTokens": event.usage.total_tokens,
        }
        payload["tokenUsage"] = {name: count for name, count in counts.items() if count is not None}
    if event.refusal is not None:
        refusal: JSONObject = {"category": event.refusal.category, "explanation": event.refusal.explanation}
        payload["stopDetails"] = {"refusal": refusal}
    return payload


def encode_stream(messages: Iterable[Message]) -> bytes:
    """The frames of ``messages``."""
    return b"".join(map(encode_message, messages))


def fault(status: int = 500, name: str = "") -> UpstreamFaultError:
    """An error that the upstream reports."""
    return UpstreamFaultError(FaultReport(status=status, name=name))


def texts() -> st.SearchStrategy[str]:
    """Texts of few characters, so that equal ones and stop sequences are frequent; often empty."""
    return st.text("ab漢😀 ", max_size=4)


def inputs() -> st.SearchStrategy[str | JSONObject]:
    """Pieces of a tool's input: JSON text that is whole, cut, wrong, blank or missing, and objects."""
    pieces = ["", "{}", " ", '{"a":', '"b"}', '{"a":"b"}', '{"a":"b"} ', "[1]", "null", "}", '{"a":1']
    objects: list[JSONObject] = [{}, {"a": "b"}, {"n": [1, {"漢": None}]}]
    return st.sampled_from([*pieces, *objects])


def fragments() -> st.SearchStrategy[UpstreamEvent]:
    """Parts of few tool uses, in any order and with any number of stops."""
    return st.builds(
        ToolUseFragment,
        tool_use_id=st.sampled_from(["t1", "t2", "t3"]),
        name=st.sampled_from(["read", "write"]),
        input=inputs(),
        stop=st.booleans(),
    )


def accounting() -> st.SearchStrategy[UpstreamEvent]:
    """All that is said about an answer, sane or not."""
    counts = st.none() | st.integers(-1, 5000)
    usage = st.builds(
        WireUsage,
        uncached_input_tokens=counts,
        cache_read_input_tokens=counts,
        output_tokens=counts,
        total_tokens=counts,
    )
    reasons = ["", "END_TURN", "TOOL_USE", "MAX_TOKENS", "MODEL_CONTEXT_WINDOW_EXCEEDED", "CONTENT_FILTERED", "NEW"]
    return (
        st.builds(Metadata, usage=st.none() | usage, stop_reason=st.sampled_from(reasons))
        | st.builds(ContextUsage, percentage=st.sampled_from([-1.0, 0.0, 2.5, 100.0, 250.0]))
        | st.builds(Metering, usage=st.floats(0, 2), unit=st.just("credit"))
        | st.just(OutputLimit())
        | st.just(Ignored(name="codeReferenceEvent"))
    )


def content() -> st.SearchStrategy[UpstreamEvent]:
    """Text, reasoning and parts of tool uses."""
    optional = st.sampled_from(["", "", "c2ln"])
    return (
        st.builds(AssistantText, text=texts())
        | st.builds(Reasoning, text=texts(), signature=optional, redacted=optional)
        | fragments()
    )


@st.composite
def whole_tool_uses(draw: st.DrawFn) -> list[UpstreamEvent]:
    """A tool use as the upstream usually sends it, sometimes twice, sometimes without its stop."""
    tool_use_id = draw(st.sampled_from(["t1", "t2", "t3"]))
    pieces = ["", *draw(st.sampled_from([["{}"], ['{"a":', '"b"}'], ['{"a":"b"}'], []])), ""]
    events: list[UpstreamEvent] = [
        ToolUseFragment(tool_use_id=tool_use_id, name="read", input=piece, stop=at == len(pieces))
        for at, piece in enumerate(pieces, start=draw(st.sampled_from([1, 1, 1, 0])))
    ]
    return events * draw(st.sampled_from([1, 1, 1, 2]))


@st.composite
def scripts(draw: st.DrawFn) -> list[UpstreamEvent]:
    """Whatever the upstream may say in one answer: mostly sane, any order, here and there a failure."""
    some = st.lists(content(), max_size=3) | whole_tool_uses() | st.lists(accounting(), max_size=1)
    events = [event for part in draw(st.lists(some, max_size=5)) for event in part]
    if draw(st.sampled_from([False, False, False, True])):
        failure = Failed(fault=fault(*draw(st.sampled_from([(429, ""), (500, ""), (400, "ValidationException")]))))
        events.insert(draw(st.integers(0, len(events))), failure)
    return events


def half_texts() -> st.SearchStrategy[str]:
    """Texts that begin or end within a character now and then."""
    return st.text("ab漢😀\ud83d\ude00", max_size=4)


def payloads() -> st.SearchStrategy[JSON | bytes]:
    """What may stand where an event's structure should: other structures, other values, no JSON."""
    documents: list[JSON | bytes] = [
        {},
        None,
        [],
        {"content": 1},
        {"toolUseId": "t1"},
        {"toolUseId": "t1", "input": [1]},
        {"assistantResponseEvent": {"content": "a"}},
        {"__type": "x#ThrottlingException", "message": "m"},
        {"tokenUsage": {"outputTokens": 3}},
        {"contextUsagePercentage": "NaN"},
        {"usage": 0.5},
        b"",
        b"{",
        b'{"content":"\xff"}',
    ]
    return st.sampled_from(documents)


def messages() -> st.SearchStrategy[Message]:
    """Messages of every kind, content most often."""
    names = ["assistantResponseEvent", "toolUseEvent", "reasoningContentEvent", "metadataEvent", "meteringEvent", "new"]
    tool_inputs: st.SearchStrategy[JSON] = st.none() | inputs() | half_texts()
    ids = st.sampled_from(["t1", "t2"])
    return st.one_of(
        half_texts().map(text_message),
        half_texts().map(lambda text: event_message("reasoningContentEvent", {"text": text})),
        st.builds(tool_message, ids, tool_inputs, stop=st.booleans()),
        st.builds(tool_message, ids, st.just('{"a":"b"}'), stop=st.just(value=True)),
        st.builds(event_message, st.sampled_from(names), payloads()),
        st.builds(
            exception_message, st.sampled_from(["throttlingError", "ContentLengthExceededException"]), payloads()
        ),
        st.just(error_message("InternalFailure", "backend unavailable")),
        st.just(Message(headers={}, payload=b"")),
    )


def _encode(payload: JSON | bytes | Mapping[str, JSON]) -> bytes:
    return payload if isinstance(payload, bytes) else json.dumps(payload).encode()
