"""Exchanges whose answer is to be JSON: held back, checked, and asked for once more."""

import json
from collections.abc import Callable

import pytest

from kiro2api.protocol.answerformat import AnswerFormatError
from kiro2api.protocol.attempt import FoldRenderer, Renderer
from kiro2api.protocol.catalog import ResolvedModel
from kiro2api.protocol.conversation import AnswerFormat, Conversation, Thinking, Tool
from kiro2api.protocol.eventstream.messages import Message
from kiro2api.protocol.exchange import Exchange
from kiro2api.protocol.kiro.faults import FaultReport, UpstreamFaultError
from kiro2api.protocol.kiro.instructions import JSON_TEXT
from kiro2api.protocol.kiro.signatures import build_origin, mark
from kiro2api.protocol.turn import StopReason
from kiro2api.protocol.usage import Usage
from tests.support.conversations import assistant, user
from tests.support.upstream_events import event_message, fault, text_message, tool_message
from tests.unit.protocol.test_exchange import PlainRenderer, receive

FORM = AnswerFormat(schema={"type": "object", "required": ["a"]})
CONVERSATION = Conversation(model="m", turns=(user("Hi"),), answer_format=FORM, stop_sequences=("STOP",))
MODEL = ResolvedModel(public_name="m", upstream_id="m", context_window=None, max_output_tokens=None)


def new_exchange(
    new_renderer: Callable[[], Renderer] = PlainRenderer,
    *,
    conversation: Conversation = CONVERSATION,
    model: ResolvedModel = MODEL,
) -> Exchange:
    """An exchange at its beginning."""
    return Exchange(
        conversation=conversation,
        model=model,
        conversation_id="c-1",
        new_renderer=new_renderer,
        max_tool_description_length=10_000,
    )


def answer(exchange: Exchange, *messages: Message) -> bytes:
    """What the client gets of a whole answer; nothing of it before its end."""
    assert receive(exchange, *messages) == b""
    assert not exchange.has_output
    return exchange.receive_eof()


def read_said(exchange: Exchange) -> list[str]:
    """The texts of the request's messages, the current one last."""
    state = json.loads(exchange.encode_request(profile_arn=None))["conversationState"]
    messages = [*state.get("history", ()), state["currentMessage"]]
    return [next(iter(message.values()))["content"] for message in messages]


def fail(exchange: Exchange, *messages: Message) -> AnswerFormatError:
    """The error that an answer without the form ends in."""
    assert answer(exchange, *messages) == b""
    assert (exchange.is_over, exchange.has_output, exchange.stop_reason) == (True, False, None)
    assert isinstance(exchange.failure, AnswerFormatError)
    return exchange.failure


def test_an_answer_comes_whole() -> None:
    """With its end, and once."""
    exchange = new_exchange()
    assert answer(exchange, text_message('{"a"'), text_message(": 1}")) == b'<[{"a": 1}]|end_turn>'
    assert (exchange.stop_reason, exchange.has_output) == (StopReason.END_TURN, True)
    assert exchange.repairs == ("emulated_answer_format",)
    assert exchange.receive_eof() + exchange.receive_data(b"x") == b""


def test_an_answer_that_is_not_streamed_is_checked_too() -> None:
    """Before it is rendered."""
    exchange = new_exchange(lambda: FoldRenderer(lambda whole: repr(whole.blocks).encode()))
    assert answer(exchange, text_message('```\n{"a": 1}\n```')) == b"""(Text(text='{"a": 1}'),)"""
    assert exchange.repairs == ("emulated_answer_format", "unwrapped_json")


def test_what_was_left_unchecked_is_noted() -> None:
    """Though it is passed on."""
    endless = AnswerFormat(schema={"allOf": [{"$ref": "#"}]})
    exchange = new_exchange(conversation=Conversation(model="m", turns=(user("Hi"),), answer_format=endless))
    assert answer(exchange, text_message("{}")) == b"<[{}]|end_turn>"
    assert exchange.repairs == ("emulated_answer_format", "partly_checked_json")


@pytest.mark.parametrize(
    ("messages", "sent"),
    [
        ([text_message("I "), event_message("metadataEvent", {"stopReason": "MAX_TOKENS"})], b"<[I ]|max_tokens>"),
        ([text_message("No."), event_message("metadataEvent", {"stopReason": "CONTENT_FILTERED"})], b"<[No.]|refusal>"),
        ([text_message("Look:"), tool_message("t1", "{}", stop=True)], b"<[Look:]???]|tool_use>"),
    ],
)
def test_an_answer_that_ended_otherwise_goes_out_as_it_is(messages: list[Message], sent: bytes) -> None:
    """It is held back all the same, as nobody knew."""
    exchange = new_exchange()
    got = answer(exchange, *messages)
    assert got.replace(b"?", b"") == sent.replace(b"?", b"")
    assert exchange.repairs == ("emulated_answer_format",)


def test_a_stop_sequence_ends_the_answer_unchecked() -> None:
    """The client asked for half of it."""
    exchange = new_exchange()
    assert receive(exchange, text_message('{"a": STOP')) == b'<[{"a": ]|stop_sequence>'


def test_the_model_is_told_what_is_wrong() -> None:
    """Its answer stands in the next request, then the fault and the form; the first message is as it was."""
    exchange = new_exchange()
    [question] = read_said(exchange)
    assert question.startswith(f"Hi\n\n{JSON_TEXT}")
    assert exchange.repair_for(fail(exchange, text_message('{"b": 1}')))
    exchange.begin_attempt()
    first, said, correction = read_said(exchange)
    assert (first, said) == ("Hi", '{"b": 1}')
    reason = "at $: 'a' is a required property"
    assert correction.startswith(f"This answer has not the form that was asked for: {reason}. ")
    assert correction.endswith(question.removeprefix("Hi"))
    assert answer(exchange, text_message('{"a": 1}')) == b'<[{"a": 1}]|end_turn>'
    assert exchange.repairs == ("emulated_answer_format", "asked_again_for_json")


def test_the_model_is_told_once() -> None:
    """What it answers then is final."""
    exchange = new_exchange()
    assert exchange.repair_for(fail(exchange, text_message("no")))
    exchange.begin_attempt()
    before = read_said(exchange)
    assert not exchange.repair_for(fail(exchange, text_message("never")))
    assert read_said(exchange) == before


def test_credits_are_those_of_both_answers() -> None:
    """The tokens are those of the last."""
    exchange = new_exchange()
    for text, tokens, price in (("no", 5, 0.5), ('{"a": 1}', 3, 0.25)):
        exchange.begin_attempt()
        counts = event_message("metadataEvent", {"tokenUsage": {"uncachedInputTokens": 9, "outputTokens": tokens}})
        answer(exchange, text_message(text), counts, event_message("meteringEvent", {"usage": price}))
    assert (exchange.credits, exchange.usage) == (0.75, Usage(input_tokens=9, output_tokens=3))


def test_a_broken_answer_is_nothing_to_the_client() -> None:
    """The next attempt may follow, as nothing of it went out."""
    exchange = new_exchange()
    assert receive(exchange, text_message('{"a"')) == b""
    assert exchange.receive_failure(fault()) == b""
    assert not exchange.has_output
    exchange.begin_attempt()
    assert answer(exchange, text_message('{"a": 1}')) == b'<[{"a": 1}]|end_turn>'


@pytest.mark.parametrize("is_late", [False, True], ids=["early", "late"])
def test_the_head_may_be_sent_ahead(*, is_late: bool) -> None:
    """Before the upstream speaks or after it began, over all attempts once."""
    exchange = new_exchange()
    if is_late:
        receive(exchange, text_message("n"))
    assert [exchange.open(), exchange.open()] == [b"<", b""]
    assert exchange.repair_for(fail(exchange, text_message("o")))
    exchange.begin_attempt()
    assert exchange.open() == b""
    assert answer(exchange, text_message('{"a": 1}')) == b'[{"a": 1}]|end_turn>'


def test_a_head_that_was_not_sent_comes_with_the_second_answer() -> None:
    """The first attempt's own was forgotten with it."""
    exchange = new_exchange()
    fail(exchange, text_message("no"))
    exchange.begin_attempt()
    assert answer(exchange, text_message('{"a": 1}')) == b'<[{"a": 1}]|end_turn>'


def test_other_repairs_stay_beside_the_correction() -> None:
    """Schemas that had to be simplified stay so, and reasoning that had to go does not come back."""
    origin = build_origin(credential_id="a", model_id="m")
    turns = (user("Hi"), assistant(Thinking(text="hm", signature=mark("c2ln", origin))), user("Go on"))
    tools = (Tool(name="f", description="d", input_schema={"type": "object", "properties": {}, "title": "T"}),)
    conversation = Conversation(model="m", turns=turns, tools=tools, answer_format=FORM)
    model = ResolvedModel(
        public_name="m", upstream_id="m", context_window=None, max_output_tokens=None, request_fields_schema={}
    )
    exchange = new_exchange(conversation=conversation, model=model)
    exchange.begin_attempt(credential_id="a")
    assert exchange.repair_for(UpstreamFaultError(FaultReport(status=400, reason="TOOL_SCHEMA_INVALID")))
    assert exchange.repair_for(fail(exchange, text_message("no")))
    assert exchange.repair_for(UpstreamFaultError(FaultReport(status=400, reason="THINKING_SIGNATURE_INVALID")))
    assert read_said(exchange)[-2] == "no"
    assert {"simplified_schemas", "refused_signature", "asked_again_for_json"} <= set(exchange.repairs)
