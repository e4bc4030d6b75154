"""OpenAI's own Python client understands what went wrong with a response."""

import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError
from openai.types.responses import ResponseCreatedEvent, ResponseErrorEvent, ResponseFailedEvent

from kiro2api.simulator.script import Cut, Pause
from tests.support.gpt import HELLO_ANSWER, MODEL, both_ways
from tests.support.proxy import Proxy
from tests.support.troubles import BROKEN, HALF_A_CALL, TOO_LONG


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"input": [{"role": "robot", "content": ""}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": [{"type": "hologram"}]}]}, "input[0].content[0]"),
        ({"max_output_tokens": "many"}, "max_output_tokens"),
        ({"tool_choice": {"type": "function", "name": "absent"}}, "tool_choice.name"),
        ({"background": True}, "background"),
    ],
    ids=["role", "part", "max_output_tokens", "tool_choice", "background"],
)
async def test_malformed_request(gpt: AsyncOpenAI, fields: dict[str, object], place: str) -> None:
    """It is refused before the answer begins, streamed or not, and the error says where it is wrong."""
    for stream in (False, True):
        with pytest.raises(BadRequestError) as caught:
            await gpt.responses.create(model=MODEL, input="Hello", stream=stream, extra_body=fields)
        assert (caught.value.type, caught.value.param) == ("invalid_request_error", place)


@both_ways
async def test_unknown_model(gpt: AsyncOpenAI, *, stream: bool) -> None:
    """It is not found, and named."""
    with pytest.raises(NotFoundError, match="no-such-model") as caught:
        await gpt.responses.create(model="no-such-model", input="Hello", stream=stream)
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize("store", [True, False])
async def test_a_response_that_is_not_kept(gpt: AsyncOpenAI, *, store: bool) -> None:
    """It cannot be continued, which is said in OpenAI's code."""
    first = await gpt.responses.create(model=MODEL, input="Hello", store=store)
    previous = "resp_0123" if store else first.id
    with pytest.raises(BadRequestError, match=previous) as caught:
        await gpt.responses.create(model=MODEL, input="And now?", previous_response_id=previous)
    assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")


@both_ways
async def test_too_long_prompt(gpt: AsyncOpenAI, proxy: Proxy, *, stream: bool) -> None:
    """The client hears the code and the words that agents compact a conversation for."""
    proxy.simulator.enqueue(TOO_LONG)
    with pytest.raises(BadRequestError, match="prompt is too long") as caught:
        await gpt.responses.create(model=MODEL, input="Hello", stream=stream)
    assert caught.value.code == "context_length_exceeded"


async def test_failure_in_the_middle_of_a_stream(gpt: AsyncOpenAI, proxy: Proxy) -> None:
    """What was said is delivered, then the client hears that it failed, and why."""
    proxy.simulator.enqueue(BROKEN)
    stream = await gpt.responses.create(model=MODEL, input="Hello", stream=True)
    *_, error, failed = events = [event async for event in stream]
    pieces = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(pieces) == "The answer"
    assert isinstance(error, ResponseErrorEvent)
    assert isinstance(failed, ResponseFailedEvent)
    assert failed.response.error is not None
    assert (error.code, failed.response.error.code) == ("server_error", "server_error")
    assert (failed.response.status, failed.response.output) == ("failed", [])


async def test_broken_stream_has_no_final_response(gpt: AsyncOpenAI, proxy: Proxy) -> None:
    """A client that waits for the whole response is not given half of it, and cannot go on from it."""
    proxy.simulator.enqueue(BROKEN)
    async with gpt.responses.stream(model=MODEL, input="Hello") as stream:
        events = [event async for event in stream]
        with pytest.raises(RuntimeError, match=r"response\.completed"):
            await stream.get_final_response()
    created = events[0]
    assert isinstance(created, ResponseCreatedEvent)
    with pytest.raises(BadRequestError, match="not found"):
        await gpt.responses.create(model=MODEL, input="Go on.", previous_response_id=created.response.id)


async def test_the_last_word_of_a_broken_stream(proxy: Proxy) -> None:
    """Codex waits for the response that failed, which holds nothing of what was begun."""
    proxy.simulator.enqueue(HALF_A_CALL)
    body = {"model": MODEL, "input": "Hello", "stream": True}
    lines = (await proxy.client.post("/v1/responses", json=body)).text.rstrip().splitlines()
    assert [line for line in lines if line.startswith("event: ")][-2:] == ["event: error", "event: response.failed"]
    assert '"status":"failed","error":{"code":"server_error","message":' in lines[-1]
    assert '"function_call"' not in lines[-1]


async def test_an_attempt_after_the_head(gpt: AsyncOpenAI, proxy: Proxy) -> None:
    """A head that was sent for a sign of life is not sent again, and the numbers go on from it."""
    proxy.service.ping_seconds = 0.05
    proxy.simulator.enqueue([Pause(0.3), Cut()])
    stream = await gpt.responses.create(model=MODEL, input="Hello", stream=True)
    events = [event async for event in stream]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events].count("response.created") == 1
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == HELLO_ANSWER
    assert len(proxy.simulator.generations) == 2
