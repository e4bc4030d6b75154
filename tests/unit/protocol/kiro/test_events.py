"""Messages as events: every member of the union, every odd form, and half characters."""

from collections.abc import Iterable

import pytest

from kiro2api.protocol.errors import UpstreamProtocolError
from kiro2api.protocol.eventstream.decoder import EventStreamDecoder
from kiro2api.protocol.eventstream.messages import Message, string_headers
from kiro2api.protocol.jsontext import JSON, MAX_DEPTH
from kiro2api.protocol.kiro.events import (
    MAX_IGNORED_NAME,
    MAX_IGNORED_NAMES,
    AssistantText,
    ContextUsage,
    EventReader,
    Failed,
    Ignored,
    Metadata,
    Metering,
    OutputLimit,
    Reasoning,
    Refusal,
    ToolUseFragment,
    UpstreamEvent,
)
from kiro2api.protocol.kiro.faults import FaultClass
from kiro2api.protocol.usage import WireUsage
from tests.support.upstream_events import error_message, event_message, exception_message, text_message, tool_message
from tests.unit.protocol.eventstream.frames import VECTORS

TEXT, TOOL, THOUGHT = "assistantResponseEvent", "toolUseEvent", "reasoningContentEvent"
HIGH, LOW = "\ud83d", "\ude00"
"""The halves of 😀."""


def read(message: Message) -> UpstreamEvent:
    """The event of one message."""
    return EventReader().receive_message(message)


def read_all(messages: Iterable[Message]) -> list[UpstreamEvent]:
    """The events of a whole stream."""
    reader = EventReader()
    return [reader.receive_message(message) for message in messages] + reader.receive_eof()


def fragment(piece: str, *, tool_use_id: str = "t1", name: str = "read", stop: bool = False) -> ToolUseFragment:
    """Part of a tool use."""
    return ToolUseFragment(tool_use_id=tool_use_id, name=name, input=piece, stop=stop)


LOOKS_LIKE_MORE = 'data: [DONE]\n\n{"content":"x"} <invoke name="read">'

CONTENT: list[tuple[str, JSON | bytes, UpstreamEvent]] = [
    (TEXT, {"content": "Hi", "modelId": "claude-sonnet-4.5"}, AssistantText(text="Hi")),
    (TEXT, {"content": ""}, AssistantText(text="")),
    (TEXT, {"content": None}, AssistantText(text="")),
    (TEXT, {"modelId": "m"}, AssistantText(text="")),
    (TEXT, {}, AssistantText(text="")),
    (TEXT, b"", AssistantText(text="")),
    (TEXT, {TEXT: {"content": "Hi"}}, AssistantText(text="Hi")),
    (TEXT, {TEXT: {"content": "Hi"}, "modelId": "m"}, AssistantText(text="Hi")),
    (TEXT, {TEXT: {}}, AssistantText(text="")),
    (TEXT, {"content": LOOKS_LIKE_MORE}, AssistantText(text=LOOKS_LIKE_MORE)),
    (TEXT, '{"content":"漢😀"}'.encode(), AssistantText(text="漢😀")),
    ("codeEvent", {"content": "x = 1"}, AssistantText(text="x = 1")),
    (TOOL, {"name": "read", "toolUseId": "t1"}, fragment("")),
    (TOOL, {"name": "read", "toolUseId": "t1", "input": '{"a":"\\n'}, fragment('{"a":"\\n')),
    (TOOL, {"name": "read", "toolUseId": "t1", "input": None, "stop": None}, fragment("")),
    (TOOL, {"toolUseId": "t1", "stop": True}, fragment("", name="", stop=True)),
    (TOOL, {TOOL: {"name": "read", "toolUseId": "t1", "input": "{}", "stop": True}}, fragment("{}", stop=True)),
    (
        TOOL,
        {"name": "read", "toolUseId": "t1", "input": {"a": [{"b": HIGH + LOW}, 1]}},
        ToolUseFragment(tool_use_id="t1", name="read", input={"a": [{"b": "😀"}, 1]}, stop=False),
    ),
    (
        TOOL,
        {"name": "read", "toolUseId": "t1", "input": {HIGH: [LOW]}},
        ToolUseFragment(tool_use_id="t1", name="read", input={"\ufffd": ["\ufffd"]}, stop=False),
    ),
    (THOUGHT, {"text": "so"}, Reasoning(text="so")),
    (THOUGHT, {"signature": "c2ln"}, Reasoning(signature="c2ln")),
    (THOUGHT, {"redactedContent": "cg=="}, Reasoning(redacted="cg==")),
    (THOUGHT, {"text": "so", "signature": "c2ln"}, Reasoning(text="so", signature="c2ln")),
    (THOUGHT, {THOUGHT: {"text": "so"}}, Reasoning(text="so")),
    (THOUGHT, {}, Reasoning()),
    (THOUGHT, b"", Reasoning()),
]


@pytest.mark.parametrize(("name", "payload", "event"), CONTENT)
def test_content(name: str, payload: JSON | bytes, event: UpstreamEvent) -> None:
    """Content comes in one event per message, wrapped in its name or not, and what is missing is empty."""
    assert read(event_message(name, payload)) == event


ACCOUNTING: list[tuple[str, JSON, UpstreamEvent]] = [
    (
        "metadataEvent",
        {
            "tokenUsage": {
                "uncachedInputTokens": 120,
                "cacheReadInputTokens": 4000,
                "cacheWriteInputTokens": 40,
                "outputTokens": 31,
                "totalTokens": 4191,
                "contextUsagePercentage": 2.1,
            },
            "stopReason": "TOOL_USE",
        },
        Metadata(
            usage=WireUsage(
                uncached_input_tokens=120,
                cache_read_input_tokens=4000,
                cache_write_input_tokens=40,
                output_tokens=31,
                total_tokens=4191,
            ),
            stop_reason="TOOL_USE",
        ),
    ),
    ("metadataEvent", {}, Metadata(usage=None, stop_reason="")),
    ("metadataEvent", {"tokenUsage": {}}, Metadata(usage=WireUsage(), stop_reason="")),
    ("metadataEvent", {"metadataEvent": {"stopReason": "END_TURN"}}, Metadata(usage=None, stop_reason="END_TURN")),
    ("metadataEvent", {"stopDetails": {"other": {}}}, Metadata(usage=None, stop_reason="")),
    (
        "metadataEvent",
        {"stopDetails": {"refusal": {"category": "BIO"}}},
        Metadata(usage=None, stop_reason="", refusal=Refusal(category="BIO")),
    ),
    ("metadataEvent", {"stopDetails": {"refusal": {}}}, Metadata(usage=None, stop_reason="", refusal=Refusal())),
    (
        "metadataEvent",
        {"stopReason": "CONTENT_FILTERED", "stopDetails": {"refusal": {"category": "BIO", "explanation": "no"}}},
        Metadata(usage=None, stop_reason="CONTENT_FILTERED", refusal=Refusal(category="BIO", explanation="no")),
    ),
    ("contextUsageEvent", {"contextUsagePercentage": 2.0955}, ContextUsage(percentage=2.0955)),
    ("contextUsageEvent", {"contextUsagePercentage": 100}, ContextUsage(percentage=100.0)),
    ("contextUsageEvent", {"contextUsageEvent": {"contextUsagePercentage": 1.5}}, ContextUsage(percentage=1.5)),
    ("meteringEvent", {"unit": "credit", "unitPlural": "credits", "usage": 0.42}, Metering(usage=0.42, unit="credit")),
    ("meteringEvent", {"usage": 1}, Metering(usage=1.0, unit="")),
]


@pytest.mark.parametrize(("name", "payload", "event"), ACCOUNTING)
def test_accounting(name: str, payload: JSON, event: UpstreamEvent) -> None:
    """What the service says about the answer; everything in it is optional."""
    assert read(event_message(name, payload)) == event


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("metadataEvent", {"tokenUsage": {"outputTokens": "many"}}),
        ("metadataEvent", {"stopReason": 7}),
        ("metadataEvent", {"metadataEvent": None}),
        ("contextUsageEvent", {}),
        ("contextUsageEvent", {"contextUsagePercentage": "full"}),
        ("contextUsageEvent", b'{"contextUsagePercentage":NaN}'),
        ("contextUsageEvent", b'{"contextUsagePercentage":1e999}'),
        ("meteringEvent", {"unit": "credit"}),
        ("meteringEvent", []),
        ("meteringEvent", b"{"),
        ("meteringEvent", b'{"unit":"\xff"}'),
    ],
)
def test_unreadable_accounting(name: str, payload: JSON | bytes) -> None:
    """Accounting that cannot be read, or says nothing, is passed over: the answer is whole without it."""
    assert read(event_message(name, payload)) == Ignored(name=name)


@pytest.mark.parametrize("name", [TEXT, "codeEvent", TOOL, THOUGHT])
@pytest.mark.parametrize(
    "payload", [b"{", b"[]", b"null", b'"a"', b'{"content":"\xff"}', b"\xff", b"[" * 100_000, b'{"content":NaN}']
)
def test_unreadable_content(name: str, payload: bytes) -> None:
    """Content that is no JSON object is an error, never skipped."""
    with pytest.raises(UpstreamProtocolError) as caught:
        read(event_message(name, payload))
    assert caught.value.detail.startswith(f"payload of {name}: ")


@pytest.mark.parametrize("levels", [MAX_DEPTH, 1500, 20_000])
def test_deep_input(levels: int) -> None:
    """An input that nests deeper than any JSON may is an error, not a crash."""
    deep = b'{"a":' * levels + b"1" + b"}" * levels
    with pytest.raises(UpstreamProtocolError, match="damaged") as caught:
        read(event_message(TOOL, b'{"toolUseId":"t1","input":%b}' % deep))
    assert "nested too deep" in caught.value.detail


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        (TEXT, {"content": 1}),
        (TEXT, {"content": ["a"]}),
        (TEXT, {TEXT: None}),
        (TEXT, {TEXT: "canary"}),
        (TOOL, {}),
        (TOOL, {"name": "read", "input": "{}"}),
        (TOOL, {"toolUseId": 1}),
        (TOOL, {"toolUseId": "t1", "input": ["canary"]}),
        (TOOL, {"toolUseId": "t1", "input": 5}),
        (TOOL, {"toolUseId": "t1", "stop": "true"}),
        (THOUGHT, {"text": {"canary": 1}}),
    ],
)
def test_content_of_the_wrong_type(name: str, payload: JSON) -> None:
    """Content of another type than the protocol's is an error, whose text repeats nothing of it."""
    with pytest.raises(UpstreamProtocolError) as caught:
        read(event_message(name, payload))
    assert "canary" not in caught.value.detail + caught.value.message


IGNORED = [
    "toolResultEvent",
    "codeReferenceEvent",
    "documentCitationEvent",
    "messageMetadataEvent",
    "supplementaryWebLinksEvent",
    "followupPromptEvent",
    "citationEvent",
    "intentsEvent",
    "interactionComponentsEvent",
    "dryRunSucceedEvent",
    "initial-response",
    "contentBlockDelta",
]


@pytest.mark.parametrize("name", IGNORED)
@pytest.mark.parametrize("payload", [b"", b"{}", b'{"content":"not text"}', b"\xff no JSON"])
def test_ignored(name: str, payload: bytes) -> None:
    """Members without meaning for us, and new ones, are passed over whatever they hold."""
    assert read(event_message(name, payload)) == Ignored(name=name)


def test_the_count_of_ignored_names_is_bounded() -> None:
    """Names come from outside and go into the log: so many of them, and so long."""
    reader = EventReader()
    for number in range(MAX_IGNORED_NAMES + 5):
        reader.receive_message(event_message(f"{number:03}" + "x" * 100, {}))
    assert len(reader.ignored) == MAX_IGNORED_NAMES + 1
    assert reader.ignored["other"] == 5
    assert max(map(len, reader.ignored)) == MAX_IGNORED_NAME


def test_ignored_are_counted() -> None:
    """What is passed over is counted by name; content and accounting are not."""
    reader = EventReader()
    names = ["new", TEXT, "new", "meteringEvent", "initial-response"]
    for name in names:
        reader.receive_message(event_message(name, {}))
    assert reader.ignored == {"new": 2, "meteringEvent": 1, "initial-response": 1}


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({}, ""),
        ({":event-type": TEXT}, ""),
        ({":message-type": "event"}, ""),
        ({":message-type": "greeting", ":event-type": TEXT}, "greeting"),
        ({":message-type": ""}, ""),
    ],
)
def test_messages_of_no_known_kind(headers: dict[str, str], name: str) -> None:
    """A message that is no event, exception or error, or an event without a type, is passed over."""
    assert read(Message(headers=string_headers(headers), payload=b'{"content":"x"}')) == Ignored(name=name)


def test_message_without_content_type() -> None:
    """Order and number of the headers mean nothing."""
    headers = string_headers({":message-type": "event", "x": "y", ":event-type": TEXT})
    assert read(Message(headers=headers, payload=b'{"content":"x"}')) == AssistantText(text="x")


def describe(event: UpstreamEvent) -> tuple[FaultClass, int | None, str]:
    """What a failure says."""
    assert isinstance(event, Failed)
    return event.fault.fault_class, event.fault.status, event.fault.name


def test_exception_vector() -> None:
    """The known frame of an exception is a failure by its name."""
    (message,) = EventStreamDecoder().receive_data(VECTORS["exception"][0])
    assert describe(read(message)) == (FaultClass.RATE, 429, "throttlingError")


def test_error_vector() -> None:
    """The known frame of an error is a failure by its code."""
    (message,) = EventStreamDecoder().receive_data(VECTORS["error"][0])
    assert describe(read(message)) == (FaultClass.SERVER, 500, "InternalFailure")


@pytest.mark.parametrize(
    ("message", "described"),
    [
        (exception_message("ThrottlingException", {"message": "m"}), (FaultClass.RATE, 429, "ThrottlingException")),
        (exception_message("error", {"message": "m"}), (FaultClass.SERVER, 500, "InternalServerException")),
        (exception_message("new", b"<html>"), (FaultClass.SERVER, None, "new")),
        (error_message("", "m"), (FaultClass.SERVER, None, "")),
        (Message(headers=string_headers({":message-type": "error"}), payload=b""), (FaultClass.SERVER, None, "")),
        (
            Message(headers=string_headers({":message-type": "exception"}), payload=b""),
            (FaultClass.SERVER, 500, "InternalServerException"),
        ),
        (
            event_message("invalidStateEvent", {"reason": "INVALID_TASK_ASSIST_PLAN", "message": "m"}),
            (FaultClass.SERVER, None, "InvalidStateException"),
        ),
    ],
)
def test_failures(message: Message, described: tuple[FaultClass, int | None, str]) -> None:
    """Exceptions, errors and an invalid state are failures."""
    assert describe(read(message)) == described


@pytest.mark.parametrize("payload", [b"", b'{"message":"limit"}', b"\xff"])
def test_output_limit(payload: bytes) -> None:
    """One exception is no failure: the answer reached the output limit."""
    assert read(exception_message("ContentLengthExceededException", payload)) == OutputLimit()


@pytest.mark.parametrize(
    "name", [TEXT, "codeEvent", TOOL, THOUGHT, "metadataEvent", "contextUsageEvent", "meteringEvent"]
)
@pytest.mark.parametrize("key", ["__type", "_type"])
@pytest.mark.parametrize("error", ["ThrottlingException", "ThrottlingError"])
def test_error_in_disguise(name: str, key: str, error: str) -> None:
    """An event whose payload is an exception's is a failure."""
    payload: JSON = {key: f"com.amazon.kiro#{error}", "message": "slow down"}
    assert describe(read(event_message(name, payload))) == (FaultClass.RATE, 429, error)


@pytest.mark.parametrize(
    ("payload", "event"),
    [
        ({"__type": "x#ContextUsageEvent", "contextUsagePercentage": 3.0}, ContextUsage(percentage=3.0)),
        ({"__type": 5, "contextUsagePercentage": 3.0}, ContextUsage(percentage=3.0)),
    ],
)
def test_type_that_is_no_exception(payload: JSON, event: UpstreamEvent) -> None:
    """An event that names its own type is no failure."""
    assert read(event_message("contextUsageEvent", payload)) == event


def thought_message(text: str) -> Message:
    """More reasoning."""
    return event_message(THOUGHT, {"text": text})


def test_halves_in_text() -> None:
    """A character cut in two is whole with its second half."""
    messages = [text_message("a" + HIGH), text_message(LOW + "b")]
    assert read_all(messages) == [AssistantText(text="a"), AssistantText(text="😀b")]


def test_halves_in_reasoning() -> None:
    """The same in reasoning, across text that has halves of its own, and an empty event between."""
    messages = [
        thought_message(HIGH),
        text_message("x" + HIGH),
        thought_message(""),
        text_message(LOW),
        thought_message(LOW),
    ]
    assert read_all(messages) == [
        Reasoning(),
        AssistantText(text="x"),
        Reasoning(),
        AssistantText(text="😀"),
        Reasoning(text="😀"),
    ]


def test_halves_in_tool_inputs() -> None:
    """The same in the inputs of tool uses, each on its own."""
    pieces = [
        ("t1", '{"a":"' + HIGH),
        ("t2", '{"b":"' + HIGH),
        ("t2", LOW + '"}'),
        ("t1", LOW + HIGH),
        ("t1", LOW + '"}'),
    ]
    assert read_all(tool_message(tool_use_id, piece) for tool_use_id, piece in pieces) == [
        fragment('{"a":"'),
        fragment('{"b":"', tool_use_id="t2"),
        fragment('😀"}', tool_use_id="t2"),
        fragment("😀"),
        fragment('😀"}'),
    ]


@pytest.mark.parametrize(
    ("texts", "whole"),
    [
        ([LOW + "a"], ["\ufffda"]),
        (["a" + HIGH, "b"], ["a", "\ufffdb"]),
        (["a" + HIGH, "漢"], ["a", "\ufffd漢"]),
        ([HIGH, HIGH, LOW], ["", "\ufffd", "😀"]),
        (["\ufeff" + LOW], ["\ufeff\ufffd"]),
        (["漢", "é"], ["漢", "é"]),
        ([LOW + HIGH + LOW + LOW], ["\ufffd😀\ufffd"]),
    ],
)
def test_lone_halves(texts: list[str], whole: list[str]) -> None:
    """Half a character without the other half is U+FFFD, and what stands beside it stays."""
    assert read_all(map(text_message, texts)) == [AssistantText(text=text) for text in whole]


def test_lone_halves_at_eof() -> None:
    """Each half that waits for another when the stream ends is U+FFFD, once."""
    reader = EventReader()
    for message in (text_message("a" + HIGH), thought_message(HIGH), tool_message("t1", '{"' + HIGH)):
        reader.receive_message(message)
    assert reader.receive_eof() == [
        AssistantText(text="\ufffd"),
        Reasoning(text="\ufffd"),
        fragment("\ufffd", name=""),
    ]
    assert reader.receive_eof() == []
