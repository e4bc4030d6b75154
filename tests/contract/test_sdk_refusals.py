"""The makers' Python clients understand that an answer was refused, and why."""

import pytest
from anthropic import AsyncAnthropic
from anthropic.types import RefusalStopDetails
from openai import AsyncOpenAI, ContentFilterFinishReasonError
from openai.types.responses import Response, ResponseOutputMessage, ResponseOutputRefusal

from kiro2api.simulator.script import Event, Script
from tests.support import claude as anthropic
from tests.support import gpt as openai
from tests.support.proxy import Proxy

REFUSED: Script = [
    Event(
        "metadataEvent",
        {"stopReason": "CONTENT_FILTERED", "stopDetails": {"refusal": {"category": "BIO", "explanation": "No germs."}}},
    )
]
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@both_ways
async def test_message(claude: AsyncAnthropic, proxy: Proxy, *, stream: bool) -> None:
    """The details have their type, category and explanation."""
    proxy.simulator.enqueue(REFUSED)
    message = await anthropic.ask(claude, anthropic.HELLO, stream=stream)
    assert (message.stop_reason, message.content) == ("refusal", [])
    assert message.stop_details == RefusalStopDetails(type="refusal", category="bio", explanation="No germs.")


@both_ways
async def test_unexplained_message(claude: AsyncAnthropic, proxy: Proxy, *, stream: bool) -> None:
    """Nothing is made up where the service says nothing."""
    proxy.simulator.enqueue([Event("metadataEvent", {"stopReason": "CONTENT_FILTERED"})])
    message = await anthropic.ask(claude, anthropic.HELLO, stream=stream)
    assert (message.stop_reason, message.stop_details) == ("refusal", None)


async def test_completion(gpt: AsyncOpenAI, proxy: Proxy) -> None:
    """The explanation is the message's refusal."""
    proxy.simulator.enqueue(REFUSED)
    completion = await openai.ask(gpt, openai.HELLO, stream=False)
    [choice] = completion.choices
    assert (choice.finish_reason, choice.message.content) == ("content_filter", None)
    assert choice.message.refusal == "No germs."


@openai.left_generators
async def test_streamed_completion(gpt: AsyncOpenAI, proxy: Proxy) -> None:
    """The client's own helper raises for the reason of the finish, when the explanation is there."""
    proxy.simulator.enqueue(REFUSED, REFUSED)
    with pytest.raises(ContentFilterFinishReasonError):
        await openai.ask(gpt, openai.HELLO, stream=True)
    chunks = await gpt.chat.completions.create(model=openai.MODEL, messages=openai.HELLO, stream=True)
    choices = [choice async for chunk in chunks for choice in chunk.choices]
    assert "".join(choice.delta.refusal or "" for choice in choices) == "No germs."
    assert choices[-1].finish_reason == "content_filter"


@both_ways
async def test_response(gpt: AsyncOpenAI, proxy: Proxy, *, stream: bool) -> None:
    """The explanation is a message of its own, whose parts the client knows by type."""
    proxy.simulator.enqueue(REFUSED)
    response = await respond(gpt, stream=stream)
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "content_filter"
    [message] = response.output
    assert isinstance(message, ResponseOutputMessage)
    assert message.content == [ResponseOutputRefusal(type="refusal", refusal="No germs.")]


async def respond(gpt: AsyncOpenAI, *, stream: bool) -> Response:
    """The whole response, from the last event when it is streamed by the client's own helper."""
    if not stream:
        return await gpt.responses.create(model=openai.MODEL, input="Hello")
    async with gpt.responses.stream(model=openai.MODEL, input="Hello") as events:
        seen = [event async for event in events]
    assert "response.refusal.done" in [event.type for event in seen]
    last = seen[-1]
    assert last.type == "response.incomplete"
    return last.response
