"""What an exchange says of its usage, attempt by attempt, and what it tells about the estimate."""

import json

import pytest

from kiro2api.protocol.anthropic.response import StreamRenderer
from kiro2api.protocol.catalog import ResolvedModel
from kiro2api.protocol.conversation import Conversation
from kiro2api.protocol.eventstream.messages import Message
from kiro2api.protocol.exchange import Exchange
from kiro2api.protocol.usage import Correction, Measurement, UsageSource, estimate_conversation
from tests.support.conversations import user
from tests.support.upstream_events import encode_stream, event_message, text_message

MODEL = ResolvedModel(public_name="m", upstream_id="m-1", context_window=200_000, max_output_tokens=None)
CONVERSATION = Conversation(model="m", turns=(user("Tell me of harbours. " * 100),))
ESTIMATE = estimate_conversation(CONVERSATION)
CORRECTIONS = {"": Correction(ratio=1.5), "a": Correction(ratio=2.0, context_window=400_000)}

COUNTED = event_message("metadataEvent", {"tokenUsage": {"uncachedInputTokens": 700, "outputTokens": 9}})
SHARE = event_message("contextUsageEvent", {"contextUsagePercentage": 2})


def new_exchange() -> Exchange:
    """An exchange at its beginning, for which there are corrections."""
    return Exchange(
        conversation=CONVERSATION,
        model=MODEL,
        conversation_id="c-1",
        new_renderer=lambda: StreamRenderer(message_id="msg_1", model="m"),
        max_tool_description_length=100,
        find_correction=lambda credential_id: CORRECTIONS.get(credential_id, Correction()),
    )


def answer(exchange: Exchange, *messages: Message) -> tuple[int, int]:
    """The input as the client is told first and last, when the upstream says ``messages`` after a word."""
    data = exchange.receive_data(encode_stream([text_message("a"), *messages])) + exchange.receive_eof()
    told = [json.loads(line[6:]) for line in data.decode().splitlines() if line.startswith("data:")]
    return told[0]["message"]["usage"]["input_tokens"], told[-2]["usage"]["input_tokens"]


@pytest.mark.parametrize(("credential_id", "ratio"), [("", 1.5), ("a", 2.0), ("b", 1.0)])
def test_corrected_estimate(credential_id: str, ratio: float) -> None:
    """The estimate is corrected for the attempt's credential, and stands where the wire is silent."""
    exchange = new_exchange()
    exchange.begin_attempt(credential_id=credential_id)
    assert exchange.estimated_input == round(ESTIMATE * ratio)
    assert answer(exchange) == (exchange.estimated_input, exchange.estimated_input)
    assert exchange.usage.source is UsageSource.ESTIMATE


def test_what_was_said_stays_said() -> None:
    """Once the answer has begun, no later attempt makes the estimate another one."""
    exchange = new_exchange()
    head = exchange.open()
    exchange.begin_attempt(credential_id="b")
    assert b'"input_tokens":%d' % round(ESTIMATE * 1.5) in head
    assert exchange.estimated_input == exchange.usage.input_tokens == round(ESTIMATE * 1.5)


@pytest.mark.parametrize(
    ("credential_id", "messages", "total", "source"),
    [
        ("a", [COUNTED, SHARE], 709, UsageSource.WIRE),
        ("a", [SHARE], 8_000, UsageSource.CONTEXT),  # of the window that the service has shown
        ("b", [SHARE], 4_000, UsageSource.CONTEXT),
    ],
)
def test_sources(credential_id: str, messages: list[Message], total: int, source: UsageSource) -> None:
    """Counts are reported as they are, below the estimate too; a share is one of the window that is known best."""
    exchange = new_exchange()
    exchange.begin_attempt(credential_id=credential_id)
    first, last = answer(exchange, *messages)
    assert first == exchange.estimated_input
    assert last + exchange.usage.output_tokens == total
    assert exchange.usage.source is source


def test_measurement() -> None:
    """The whole answer tells what the wire counted, beside the estimate as it was before any correction."""
    exchange = new_exchange()
    exchange.begin_attempt(credential_id="a")
    exchange.receive_data(encode_stream([text_message("a"), COUNTED, SHARE]))
    assert exchange.measurement is None
    exchange.receive_eof()
    assert exchange.measurement == Measurement(
        model_id="m-1",
        credential_id="a",
        estimated_input=ESTIMATE,
        measured_input=700,
        output_tokens=9,
        is_exact=True,
        context_percentage=2.0,
    )


def test_no_measurement() -> None:
    """An answer without figures of the wire's tells nothing, and neither does one that failed."""
    silent, failed = new_exchange(), new_exchange()
    answer(silent)
    failed.receive_data(encode_stream([text_message("a"), COUNTED])[:-1])
    failed.receive_eof()
    assert failed.failure is not None
    assert (silent.measurement, failed.measurement) == (None, None)
