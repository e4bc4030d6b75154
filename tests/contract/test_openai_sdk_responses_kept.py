"""OpenAI's own Python client reads, deletes and counts responses, and hears what is not kept."""

from functools import partial

import pytest
import trio
from openai import AsyncOpenAI, BadRequestError, NotFoundError
from openai.types.responses import Response

from kiro2api.simulator.script import HangBeforeHead
from kiro2api.simulator.service import GENERATE_PATH
from tests.support.gpt import HELLO_ANSWER, MODEL, both_ways
from tests.support.proxy import CLIENT_KEY, Proxy


async def ask(gpt: AsyncOpenAI, *, stream: bool, store: bool = True) -> Response:
    """A response, gathered by the client's own means when it is streamed."""
    if not stream:
        return await gpt.responses.create(model=MODEL, input="Hello", store=store)
    async with gpt.responses.stream(model=MODEL, input="Hello", store=store) as events:
        return await events.get_final_response()


@both_ways
async def test_a_kept_response_is_read_again(gpt: AsyncOpenAI, *, stream: bool) -> None:
    """As it was given, whichever way that was."""
    created = await ask(gpt, stream=stream)
    found = await gpt.responses.retrieve(created.id)
    assert found.output_text == HELLO_ANSWER
    assert found.to_dict() == created.to_dict(exclude_unset=True) | {
        "output": [item.to_dict() for item in found.output]
    }
    assert [item.id for item in found.output] == [item.id for item in created.output]


async def test_a_deleted_response_is_gone(gpt: AsyncOpenAI) -> None:
    """It cannot be read, deleted again or continued; others can."""
    deleted, other = [await gpt.responses.create(model=MODEL, input="Hello") for _ in range(2)]
    await gpt.responses.delete(deleted.id)
    for refused in (gpt.responses.retrieve, gpt.responses.delete):
        with pytest.raises(NotFoundError, match=f"Response with id '{deleted.id}' not found") as caught:
            await refused(deleted.id)
        assert (caught.value.type, caught.value.code) == ("invalid_request_error", None)
    with pytest.raises(BadRequestError, match=deleted.id):
        await gpt.responses.create(model=MODEL, input="And now?", previous_response_id=deleted.id)
    assert (await gpt.responses.retrieve(other.id)).id == other.id


@both_ways
async def test_nothing_is_kept_of_a_response_that_is_not_to_be_stored(gpt: AsyncOpenAI, *, stream: bool) -> None:
    """Neither it nor its items."""
    created = await ask(gpt, stream=stream, store=False)
    with pytest.raises(NotFoundError):
        await gpt.responses.retrieve(created.id)
    [item] = created.output
    with pytest.raises(NotFoundError, match=f"Item with id '{item.id}' not found") as caught:
        await gpt.responses.create(model=MODEL, input=[{"type": "item_reference", "id": str(item.id)}])
    assert (caught.value.type, caught.value.param) == ("invalid_request_error", "input[0].id")


async def test_what_is_not_served(gpt: AsyncOpenAI) -> None:
    """It is said not to be there, and what to do instead."""
    created = await gpt.responses.create(model=MODEL, input="Hello")
    with pytest.raises(NotFoundError, match="not as the client wrote it"):
        await gpt.responses.input_items.list(created.id)
    with pytest.raises(NotFoundError, match="Response with id 'resp_0' not found"):
        await gpt.responses.input_items.list("resp_0")
    with pytest.raises(NotFoundError, match="has to shorten its input itself"):
        await gpt.responses.compact(model=MODEL, input="Hello")
    with pytest.raises(BadRequestError, match="not streamed again"):
        await gpt.responses.retrieve(created.id, stream=True)


async def test_strangers_read_nothing(gpt: AsyncOpenAI, proxy: Proxy) -> None:
    """What is kept is behind the key, as everything is."""
    created = await gpt.responses.create(model=MODEL, input="Hello")
    url = f"/v1/responses/{created.id}"
    for key, status in (("x", 401), (CLIENT_KEY, 200)):
        response = await proxy.client.get(url, headers={"authorization": f"Bearer {key}"})
        assert response.status_code == status


async def test_tokens_are_counted(gpt: AsyncOpenAI, proxy: Proxy) -> None:
    """With what the request continues; no model is needed, and the upstream is not asked."""
    short = await gpt.responses.input_tokens.count(input="Hello")
    long = await gpt.responses.input_tokens.count(model=MODEL, input="Hello " * 500, instructions="Be terse.")
    assert (short.object, 0 < short.input_tokens < 50, long.input_tokens > 400) == ("response.input_tokens", True, True)
    assert proxy.simulator.generations == []
    created = await gpt.responses.create(model=MODEL, input="Hello " * 500)
    continued = await gpt.responses.input_tokens.count(previous_response_id=created.id, input="Hello")
    assert continued.input_tokens > long.input_tokens


async def test_what_is_continued_weighs_on_the_request(gpt: AsyncOpenAI, proxy: Proxy) -> None:
    """A short request that goes on with a long conversation is computed as a long one."""
    long = await gpt.responses.create(model=MODEL, input="x" * 300_000)
    proxy.simulator.enqueue([HangBeforeHead()])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(gpt.responses.create, model=MODEL, input="Hi", previous_response_id=long.id))
        await proxy.simulator.wait_requests(2, path=GENERATE_PATH)
        [life] = proxy.service.lives._lives
        assert life.body.size < 1000
        assert life.remembered > 300_000
        nursery.cancel_scope.cancel()
