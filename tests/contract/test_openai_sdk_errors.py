"""OpenAI's own Python client understands what went wrong."""

import httpx2
import pytest
from openai import (
    APIError,
    APIStatusError,
    AsyncOpenAI,
    AuthenticationError,
    BadRequestError,
    InternalServerError,
    NotFoundError,
    RateLimitError,
)

from tests.support.gpt import HELLO, HELLO_ANSWER, MODEL, WEATHER, ask, both_ways, left_generators, read_text
from tests.support.proxy import Proxy
from tests.support.troubles import BROKEN, HALF_A_CALL, NO_CAPACITY, THROTTLED, TOO_LONG, USED_UP

pytestmark = left_generators


@both_ways
async def test_wrong_key(gpt: AsyncOpenAI, proxy: Proxy, *, stream: bool) -> None:
    """It is the client's own key that is wrong, and the upstream hears nothing."""
    with pytest.raises(AuthenticationError, match="Incorrect API key provided") as caught:
        await ask(gpt.with_options(api_key="another-key"), HELLO, stream=stream)
    assert caught.value.code == "invalid_api_key"
    assert caught.value.request_id
    assert proxy.simulator.generations == []


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "nobody", "content": "Hello"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "hologram"}]}]}, "messages[0].content[0]"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"n": 2}, "n"),
        ({"tool_choice": {"type": "function", "function": {"name": "absent"}}}, "tool_choice.function.name"),
    ],
    ids=["empty", "content", "role", "part", "max_tokens", "n", "tool_choice"],
)
async def test_malformed_request(gpt: AsyncOpenAI, fields: dict[str, object], place: str) -> None:
    """It is refused before the answer begins, streamed or not, and the error says where it is wrong."""
    for stream in (False, True):
        with pytest.raises(BadRequestError) as caught:
            await gpt.chat.completions.create(model=MODEL, messages=HELLO, stream=stream, extra_body=fields)
        assert (caught.value.type, caught.value.param) == ("invalid_request_error", place)


@both_ways
async def test_unknown_model(gpt: AsyncOpenAI, *, stream: bool) -> None:
    """It is not found, and named."""
    with pytest.raises(NotFoundError, match="no-such-model") as caught:
        await gpt.chat.completions.create(model="no-such-model", messages=HELLO, stream=stream)
    assert caught.value.code == "model_not_found"


@both_ways
async def test_throttled_upstream(gpt: AsyncOpenAI, proxy: Proxy, *, stream: bool) -> None:
    """The client learns that it is too fast, and when to come again."""
    proxy.simulator.enqueue(THROTTLED)
    with pytest.raises(RateLimitError) as caught:
        await ask(gpt, HELLO, stream=stream)
    assert caught.value.code == "rate_limit_exceeded"
    assert int(caught.value.response.headers["retry-after"]) >= 1


@both_ways
async def test_used_up_quota_is_not_asked_again(
    gpt: AsyncOpenAI, proxy: Proxy, sent: list[httpx2.Request], *, stream: bool
) -> None:
    """A client that repeats what it can does not repeat this."""
    proxy.simulator.enqueue(USED_UP)
    with pytest.raises(RateLimitError) as caught:
        await ask(gpt.with_options(max_retries=2), HELLO, stream=stream)
    assert caught.value.code == "insufficient_quota"
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert len(sent) == 1


@both_ways
async def test_dead_credential_is_not_the_clients_fault(
    gpt: AsyncOpenAI, proxy: Proxy, sent: list[httpx2.Request], *, stream: bool
) -> None:
    """It is the service that is not available, not the key that is wrong, and a repetition is no use."""
    proxy.simulator.accounts.revoke("refresh-a")
    proxy.simulator.accounts.expire_access_tokens()
    with pytest.raises(APIStatusError) as caught:
        await ask(gpt.with_options(max_retries=2), HELLO, stream=stream)
    assert (caught.value.status_code, caught.value.type) == (503, "server_error")
    assert len(sent) == 1


@both_ways
async def test_too_long_prompt(gpt: AsyncOpenAI, proxy: Proxy, *, stream: bool) -> None:
    """The client hears the code and the words that agents compact a conversation for."""
    proxy.simulator.enqueue(TOO_LONG)
    with pytest.raises(BadRequestError, match="prompt is too long") as caught:
        await ask(gpt, HELLO, stream=stream)
    assert caught.value.code == "context_length_exceeded"


async def test_failure_in_the_middle_of_a_stream(gpt: AsyncOpenAI, proxy: Proxy) -> None:
    """What was said is delivered, then the client raises."""
    proxy.simulator.enqueue(BROKEN)
    stream = await gpt.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    pieces: list[str] = []

    async def read() -> None:
        async for chunk in stream:
            pieces.extend(choice.delta.content or "" for choice in chunk.choices)

    with pytest.raises(APIError) as caught:
        await read()
    assert caught.value.type == "server_error"
    assert "".join(pieces) == "The answer"


async def test_broken_stream_has_no_final_completion(gpt: AsyncOpenAI, proxy: Proxy) -> None:
    """A client that waits for the whole completion is not given half of it."""
    proxy.simulator.enqueue(BROKEN)
    with pytest.raises(APIError) as caught:
        await ask(gpt, HELLO, stream=True)
    assert caught.value.type == "server_error"


async def test_failure_before_the_end_of_a_whole_answer(gpt: AsyncOpenAI, proxy: Proxy) -> None:
    """The client has got nothing yet, so the upstream is asked once more."""
    proxy.simulator.enqueue(BROKEN)
    completion = await ask(gpt, HELLO, stream=False)
    assert read_text(completion) == HELLO_ANSWER
    assert len(proxy.simulator.generations) == 2


async def test_half_a_tool_call_is_no_tool_call(gpt: AsyncOpenAI, proxy: Proxy) -> None:
    """An answer that ends in the middle of a call raises, and is not asked for again once the client has some."""
    proxy.simulator.enqueue(HALF_A_CALL)
    with pytest.raises(APIError) as caught:
        await ask(gpt, HELLO, stream=True, tools=[WEATHER])
    assert caught.value.type == "server_error"
    assert len(proxy.simulator.generations) == 1


@both_ways
async def test_model_without_capacity(gpt: AsyncOpenAI, proxy: Proxy, *, stream: bool) -> None:
    """The service is overloaded, which clients wait and repeat for."""
    proxy.simulator.enqueue(NO_CAPACITY, NO_CAPACITY, NO_CAPACITY)
    with pytest.raises(InternalServerError) as caught:
        await ask(gpt, HELLO, stream=stream)
    assert (caught.value.status_code, caught.value.code) == (503, "overloaded")
    assert "x-should-retry" not in caught.value.response.headers
