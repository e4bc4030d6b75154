"""Exchanges about reasoning: asked for, read out of the text, proven, replayed and refused."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from kiro2api.errors import Kiro2ApiError
from kiro2api.protocol.attempt import FoldRenderer
from kiro2api.protocol.catalog import Catalog
from kiro2api.protocol.conversation import (
    Conversation,
    Effort,
    Thinking,
    ThinkingChoice,
    ThinkingDisplay,
    ThinkingMode,
    Tool,
)
from kiro2api.protocol.errors import UpstreamProtocolError
from kiro2api.protocol.exchange import Exchange
from kiro2api.protocol.kiro.faults import FaultReport, UpstreamFaultError
from kiro2api.protocol.kiro.signatures import build_origin, mark
from kiro2api.protocol.turn import Answer, StopReason
from tests.support.conversations import assistant, user
from tests.support.upstream_events import encode_stream, event_message, text_message

if TYPE_CHECKING:
    from kiro2api.protocol.jsontext import JSONObject

OPUS, SONNET = "claude-opus-4-6", "claude-sonnet-4-5"
ORIGIN = build_origin(credential_id="a", model_id="claude-opus-4.6")
OWN = assistant(Thinking(text="hm", signature=mark("c2ln", ORIGIN)), "yes")
ADAPTIVE = ThinkingChoice(mode=ThinkingMode.ADAPTIVE)
REFUSED = UpstreamFaultError(FaultReport(status=400, reason="THINKING_SIGNATURE_INVALID"))
SCHEMA_REFUSED = UpstreamFaultError(FaultReport(status=400, reason="TOOL_SCHEMA_INVALID"))
UNKNOWN_FIELD = UpstreamFaultError(FaultReport(status=400, message="property 'thinking' is not defined in the schema"))


def render(answer: Answer) -> bytes:
    """The blocks of an answer."""
    return repr(answer.blocks).encode()


def open_exchange(
    model: str, *, thinking: ThinkingChoice = ADAPTIVE, history: bool = False, tools: tuple[Tool, ...] = ()
) -> Exchange:
    """An exchange with credential ``a``."""
    turns = (user("Hi"), OWN, user("So?")) if history else (user("Hi"),)
    exchange = Exchange(
        conversation=Conversation(model=model, turns=turns, thinking=thinking, system=("Be terse.",), tools=tools),
        model=Catalog({}).resolve(model),
        conversation_id="c",
        new_renderer=lambda: FoldRenderer(render),
        max_tool_description_length=100,
    )
    exchange.begin_attempt(credential_id="a")
    return exchange


def read_request(exchange: Exchange) -> Any:  # noqa: ANN401 - the tests walk through plain JSON
    """The body on its way."""
    return json.loads(exchange.encode_request(profile_arn=None))


def has_reasoning(exchange: Exchange) -> bool:
    """Whether the body replays any."""
    return "reasoningContent" in json.dumps(read_request(exchange))


def test_native_reasoning_is_asked_for_and_proven() -> None:
    """In the model's fields; the client gets the signature with its origin."""
    exchange = open_exchange(OPUS)
    thinking = {"type": "adaptive", "display": "summarized"}
    assert read_request(exchange)["additionalModelRequestFields"] == {"thinking": thinking}
    messages = [
        event_message("reasoningContentEvent", {"text": "hm"}),
        event_message("reasoningContentEvent", {"signature": "c2ln"}),
        text_message("<thinking>yes"),
    ]
    exchange.receive_data(encode_stream(messages))
    blocks = f"(Thinking(text='hm', signature='{mark('c2ln', ORIGIN)}'), Text(text='<thinking>yes'))"
    assert exchange.receive_eof().decode() == blocks


@pytest.mark.parametrize("cut", range(1, 40))
def test_tags_are_asked_for_and_read(cut: int) -> None:
    """Before the system text; the answer is the same wherever its text is cut."""
    exchange = open_exchange(SONNET)
    content = read_request(exchange)["conversationState"]["currentMessage"]["userInputMessage"]["content"]
    tags = "<thinking_mode>adaptive</thinking_mode><thinking_effort>high</thinking_effort>"
    assert content == f"{tags}\n\nBe terse.\n\nHi"
    text = "<thinking>\nhm\n</thinking>\n\nyes, why not? <x"
    exchange.receive_data(encode_stream([text_message(text[:cut]), text_message(text[cut:])]))
    assert exchange.receive_eof() == b"(Thinking(text='hm\\n', signature=''), Text(text='yes, why not? <x'))"


@pytest.mark.parametrize("cut", [1, 12, 15, 30])
def test_hidden_thoughts_count_and_are_not_shown(cut: int) -> None:
    """Not even as an empty block: there is no signature for one. What is the upstream's own stays."""
    text = "<thinking>\nhm, so it is\n</thinking>\n\nyes"
    answers = []
    for display in (None, ThinkingDisplay.OMITTED):
        exchange = open_exchange(SONNET, thinking=ThinkingChoice(mode=ThinkingMode.ADAPTIVE, display=display))
        exchange.receive_data(encode_stream([text_message(text[:cut]), text_message(text[cut:])]))
        answers.append((exchange.receive_eof(), exchange.usage.output_tokens))
    (shown, all_tokens), (hidden, same_tokens) = answers
    assert (b"Thinking" in shown, hidden) == (True, b"(Text(text='yes'),)")
    assert all_tokens == same_tokens


def test_hidden_thoughts_alone() -> None:
    """They were all that the model had room for, and the upstream's own proof is passed on."""
    choice = ThinkingChoice(mode=ThinkingMode.ADAPTIVE, display=ThinkingDisplay.OMITTED)
    exchange = open_exchange(SONNET, thinking=choice)
    exchange.receive_data(encode_stream([text_message("<thinking>hm")]))
    assert (exchange.receive_eof(), exchange.stop_reason) == (b"()", StopReason.MAX_TOKENS)
    exchange = open_exchange(SONNET, thinking=choice)
    exchange.receive_data(
        encode_stream([event_message("reasoningContentEvent", {"signature": "c2ln"}), text_message("a")])
    )
    assert exchange.receive_eof().startswith(b"(Thinking(text='', signature='")


@pytest.mark.parametrize(
    ("model", "thinking", "tags"),
    [
        (f"{SONNET}-thinking", ThinkingChoice(), True),
        (f"{SONNET}-thinking[1m]", ThinkingChoice(effort=Effort.LOW), True),
        (f"{SONNET}-thinking", ThinkingChoice(mode=ThinkingMode.OFF), False),
        (SONNET, ThinkingChoice(), False),
    ],
)
def test_a_name_can_ask_for_thinking(model: str, thinking: ThinkingChoice, *, tags: bool) -> None:
    """For a client that says nothing of it otherwise."""
    assert ("<thinking_mode>adaptive" in str(read_request(open_exchange(model, thinking=thinking)))) is tags


def test_tags_nobody_asked_for_are_text() -> None:
    """What the model quotes is not its reasoning."""
    exchange = open_exchange(SONNET, thinking=ThinkingChoice())
    exchange.receive_data(encode_stream([text_message("<thinking>hm</thinking>\n\nyes")]))
    assert exchange.receive_eof() == b"(Text(text='<thinking>hm</thinking>\\n\\nyes'),)"


@pytest.mark.parametrize("data", [b"\0" * 40, encode_stream([event_message("toolUseEvent", {})])])
def test_a_failure_keeps_what_was_held_back(data: bytes) -> None:
    """The answer fails for its own reason, and only after the text before it."""
    exchange = open_exchange(SONNET)
    exchange.receive_data(encode_stream([text_message("<think")]) + data)
    assert isinstance(exchange.failure, UpstreamProtocolError)
    assert exchange.usage.output_tokens > 0


def test_reasoning_goes_back_to_where_it_came_from() -> None:
    """To no other credential; and once left out, it stays out."""
    exchange = open_exchange(OPUS, history=True)
    assert has_reasoning(exchange)
    exchange.begin_attempt(credential_id="b")
    assert not has_reasoning(exchange)
    exchange.begin_attempt(credential_id="a")
    assert not has_reasoning(exchange)
    assert exchange.repairs == ("dropped_thinking",)


def test_a_model_without_reasoning_gets_none_back() -> None:
    """Whoever it came from."""
    assert not has_reasoning(open_exchange(SONNET, history=True))


def test_a_refused_signature_is_repaired_once() -> None:
    """By leaving out all reasoning of earlier turns, which is noted."""
    exchange = open_exchange(OPUS, history=True)
    assert (exchange.repair_for(REFUSED), has_reasoning(exchange)) == (True, False)
    assert exchange.repair_for(REFUSED) is False
    assert exchange.repairs == ("dropped_thinking", "refused_signature")


def test_refused_fields_are_repaired_once() -> None:
    """By leaving them out."""
    exchange = open_exchange(OPUS)
    assert exchange.repair_for(UNKNOWN_FIELD) is True
    assert "additionalModelRequestFields" not in read_request(exchange)
    assert exchange.repair_for(UNKNOWN_FIELD) is False
    assert exchange.repairs == ("dropped_model_fields",)


@pytest.mark.parametrize(
    "error", [UpstreamProtocolError("x"), UpstreamFaultError(FaultReport(status=400)), REFUSED, UNKNOWN_FIELD]
)
def test_other_errors_are_not_repaired(error: Kiro2ApiError) -> None:
    """Nor those that complain of what is not there."""
    exchange = open_exchange(SONNET, history=True)
    assert (exchange.repair_for(error), exchange.repairs) == (False, ("dropped_thinking",))


def read_schema(exchange: Exchange) -> object:
    """The schema of the one tool, on its way."""
    message = read_request(exchange)["conversationState"]["currentMessage"]["userInputMessage"]
    (tool,) = message["userInputMessageContext"]["tools"]
    return tool["toolSpecification"]["inputSchema"]["json"]


def test_refused_schemas_are_simplified_once() -> None:
    """Also when the history has to be built again after that; a second refusal is the client's to know."""
    rich: JSONObject = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}
    simple = {"type": "object", "properties": {"n": {"type": "integer"}}}
    exchange = open_exchange(OPUS, history=True, tools=(Tool(name="t", description="d", input_schema=rich),))
    before = read_schema(exchange)
    repaired = [exchange.repair_for(error) for error in (SCHEMA_REFUSED, SCHEMA_REFUSED, REFUSED)]

    assert (before, read_schema(exchange)) == (rich, simple)
    assert repaired == [True, False, True]
    assert {"simplified_schemas", "refused_signature"} <= set(exchange.repairs)
