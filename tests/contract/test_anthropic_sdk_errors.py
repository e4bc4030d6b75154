"""Anthropic's own Python client understands what went wrong."""

import httpx2
import pytest
from anthropic import (
    APIStatusError,
    AsyncAnthropic,
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    OverloadedError,
    RateLimitError,
)

from tests.support.claude import HELLO, HELLO_ANSWER, MODEL, WEATHER, ask, both_ways, read_text
from tests.support.proxy import Proxy
from tests.support.troubles import BROKEN, HALF_A_CALL, NO_CAPACITY, THROTTLED, TOO_LONG, USED_UP


@both_ways
async def test_wrong_key(claude: AsyncAnthropic, proxy: Proxy, *, stream: bool) -> None:
    """It is the client's own key that is wrong, and the upstream hears nothing."""
    with pytest.raises(AuthenticationError, match="invalid x-api-key") as caught:
        await ask(claude.with_options(api_key="another-key"), HELLO, stream=stream)
    assert caught.value.request_id
    assert proxy.simulator.generations == []


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages"),
        ({"messages": [{"role": "nobody", "content": "Hello"}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "hologram"}]}]}, "hologram"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"tool_choice": {"type": "tool", "name": "absent"}}, "tool_choice"),
    ],
    ids=["empty", "content", "role", "block", "max_tokens", "tool_choice"],
)
async def test_malformed_request(claude: AsyncAnthropic, fields: dict[str, object], place: str) -> None:
    """It is refused before the answer begins, streamed or not, and the message says where it is wrong."""
    for stream in (False, True):
        with pytest.raises(BadRequestError) as caught:
            await claude.messages.create(model=MODEL, max_tokens=1000, messages=HELLO, stream=stream, extra_body=fields)
        assert caught.value.type == "invalid_request_error"
        assert place in caught.value.message


@both_ways
async def test_unknown_model(claude: AsyncAnthropic, *, stream: bool) -> None:
    """It is not found, and named."""
    with pytest.raises(NotFoundError, match="no-such-model") as caught:
        await claude.messages.create(model="no-such-model", max_tokens=1000, messages=HELLO, stream=stream)
    assert caught.value.type == "not_found_error"


@both_ways
async def test_throttled_upstream(claude: AsyncAnthropic, proxy: Proxy, *, stream: bool) -> None:
    """The client learns that it is too fast, and when to come again."""
    proxy.simulator.enqueue(THROTTLED)
    with pytest.raises(RateLimitError) as caught:
        await ask(claude, HELLO, stream=stream)
    assert caught.value.type == "rate_limit_error"
    assert int(caught.value.response.headers["retry-after"]) >= 1


@both_ways
async def test_used_up_quota_is_not_asked_again(
    claude: AsyncAnthropic,
    proxy: Proxy,
    sent: list[httpx2.Request],
    *,
    stream: bool,
) -> None:
    """It is a matter of billing, and a client that repeats what it can does not repeat this."""
    proxy.simulator.enqueue(USED_UP)
    with pytest.raises(APIStatusError) as caught:
        await ask(claude.with_options(max_retries=2), HELLO, stream=stream)
    assert (caught.value.status_code, caught.value.type) == (402, "billing_error")
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert len(sent) == 1


@both_ways
async def test_dead_credential_is_not_the_clients_fault(
    claude: AsyncAnthropic,
    proxy: Proxy,
    sent: list[httpx2.Request],
    *,
    stream: bool,
) -> None:
    """It is the service that is not available, not the key that is wrong, and a repetition is no use."""
    proxy.simulator.accounts.revoke("refresh-a")
    proxy.simulator.accounts.expire_access_tokens()
    with pytest.raises(APIStatusError) as caught:
        await ask(claude.with_options(max_retries=2), HELLO, stream=stream)
    assert (caught.value.status_code, caught.value.type) == (503, "api_error")
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert len(sent) == 1


@both_ways
async def test_too_long_prompt(claude: AsyncAnthropic, proxy: Proxy, *, stream: bool) -> None:
    """The client hears the words that agents compact a conversation for."""
    proxy.simulator.enqueue(TOO_LONG)
    with pytest.raises(BadRequestError) as caught:
        await ask(claude, HELLO, stream=stream)
    body = caught.value.response.json()
    assert body["error"]["type"] == "invalid_request_error"
    assert body["error"]["message"].startswith("prompt is too long")


async def test_failure_in_the_middle_of_a_stream(claude: AsyncAnthropic, proxy: Proxy) -> None:
    """What was said is delivered, then the client raises."""
    proxy.simulator.enqueue(BROKEN)
    stream = await claude.messages.create(model=MODEL, max_tokens=1000, messages=HELLO, stream=True)
    pieces: list[str] = []

    async def read() -> None:
        async for event in stream:
            if event.type == "content_block_delta" and event.delta.type == "text_delta":
                pieces.append(event.delta.text)  # noqa: PERF401  kept although the loop raises

    with pytest.raises(APIStatusError) as caught:
        await read()
    assert caught.value.type == "api_error"
    assert "".join(pieces) == "The answer"


async def test_broken_stream_has_no_final_message(claude: AsyncAnthropic, proxy: Proxy) -> None:
    """A client that waits for the whole message is not given half of it."""
    proxy.simulator.enqueue(BROKEN)
    with pytest.raises(APIStatusError) as caught:
        await ask(claude, HELLO, stream=True)
    assert caught.value.type == "api_error"


async def test_failure_before_the_end_of_a_whole_answer(claude: AsyncAnthropic, proxy: Proxy) -> None:
    """The client has got nothing yet, so the upstream is asked once more."""
    proxy.simulator.enqueue(BROKEN)
    message = await ask(claude, HELLO, stream=False)
    assert read_text(message) == HELLO_ANSWER
    assert len(proxy.simulator.generations) == 2


async def test_half_a_tool_use_is_no_tool_use(claude: AsyncAnthropic, proxy: Proxy) -> None:
    """An answer that ends in the middle of a tool use raises, and is not asked for again once the client has some."""
    proxy.simulator.enqueue(HALF_A_CALL)
    with pytest.raises(APIStatusError) as caught:
        await ask(claude, HELLO, stream=True, tools=[WEATHER])
    assert caught.value.type == "api_error"
    assert len(proxy.simulator.generations) == 1


@both_ways
async def test_model_without_capacity(claude: AsyncAnthropic, proxy: Proxy, *, stream: bool) -> None:
    """It is overloaded, in the word that clients wait and repeat for."""
    proxy.simulator.enqueue(NO_CAPACITY, NO_CAPACITY, NO_CAPACITY)
    with pytest.raises(OverloadedError) as caught:
        await ask(claude, HELLO, stream=stream)
    assert (caught.value.status_code, caught.value.type) == (529, "overloaded_error")
