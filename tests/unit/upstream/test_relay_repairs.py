"""Requests that the upstream refuses for something that can be left out."""

import json

import pytest
from trio.testing import MockClock

from kiro2api.protocol.anthropic.response import StreamRenderer
from kiro2api.protocol.catalog import ResolvedModel
from kiro2api.protocol.conversation import Conversation, ThinkingChoice, ThinkingMode
from kiro2api.protocol.exchange import Exchange
from kiro2api.protocol.kiro.faults import UpstreamFaultError
from kiro2api.protocol.kiro.overflow import ContextOverflowError
from kiro2api.upstream import Attempts
from tests.support.conversations import user
from tests.support.upstream_service import ANY, SILENCE, Client, Service, open_client, refuse

NO_FIELDS = refuse(400, message="additionalModelRequestFields is not supported for this model")


async def _ask(client: Client) -> tuple[Exchange, Attempts]:
    exchange = Exchange(
        conversation=Conversation(model="m", turns=(user("Hi"),), thinking=ThinkingChoice(mode=ThinkingMode.ADAPTIVE)),
        model=ResolvedModel(
            public_name="m",
            upstream_id="m",
            context_window=None,
            max_output_tokens=None,
            request_fields_schema={"properties": {"thinking": {}}},
        ),
        conversation_id="c",
        new_renderer=lambda: StreamRenderer(message_id="msg_1", model="m"),
        max_tool_description_length=100,
    )
    attempts = Attempts()
    await client.upstream.relay(exchange, client, want=ANY, silence=SILENCE, attempts=attempts)
    return exchange, attempts


async def test_what_is_refused_is_left_out_at_once(autojump_clock: MockClock) -> None:
    """The next call goes out without a pause and is no retry; only one of the two may be charged."""
    service = Service(replies=[NO_FIELDS])
    async with open_client(autojump_clock, service, "ab") as client:
        exchange, attempts = await _ask(client)
        assert (len(service.times), len(set(service.times)), b"Hello" in client.got) == (2, 1, True)
        assert ["additionalModelRequestFields" in json.loads(request.content) for request in service.requests] == [
            True,
            False,
        ]
        assert (attempts.failures, attempts.metered, exchange.repairs) == (["form"], 1, ("dropped_model_fields",))
        assert service.budget.retrying == 0


async def test_a_prompt_that_is_too_long_is_told_as_such(autojump_clock: MockClock) -> None:
    """One call, and in the end the words for the client; what the upstream said is their cause."""
    service = Service(replies=[refuse(400, reason="PROMPT_TOO_LONG")])
    async with open_client(autojump_clock, service, "ab") as client:
        with pytest.raises(ContextOverflowError, match="prompt is too long") as caught:
            await _ask(client)
        assert (len(service.calls), type(caught.value.__cause__)) == (1, UpstreamFaultError)


async def test_a_second_refusal_is_final(autojump_clock: MockClock) -> None:
    """What is not there any more cannot be left out."""
    service = Service(replies=[NO_FIELDS, NO_FIELDS])
    async with open_client(autojump_clock, service) as client:
        with pytest.raises(UpstreamFaultError):
            await _ask(client)
        assert service.asked == "aa"
