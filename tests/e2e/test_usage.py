"""Counts of model tokens through the whole proxy: what the upstream counts corrects what is estimated."""

import json

import pytest

from kiro2api.simulator.script import Event, Script
from tests.support.proxy import HELLO, Proxy, running_proxy

TEXT = "The harbour office keeps two calendars. " * 500
QUESTION = HELLO | {"messages": [{"role": "user", "content": TEXT}]}


def say(*trailers: Event) -> Script:
    """An answer of one word, with ``trailers`` behind it."""
    return [Event("assistantResponseEvent", {"content": "Yes"}), *trailers]


def count(tokens: int) -> Event:
    """The upstream's count of the input."""
    usage = {"uncachedInputTokens": tokens, "outputTokens": 3, "totalTokens": tokens + 3}
    return Event("metadataEvent", {"tokenUsage": usage, "stopReason": "END_TURN"})


async def count_tokens(proxy: Proxy, **changes: object) -> int:
    """What ``count_tokens`` says of the question."""
    answer = await proxy.client.post("/v1/messages/count_tokens", json=QUESTION | changes)
    return int(answer.json()["input_tokens"])


async def ask(proxy: Proxy) -> tuple[int, int]:
    """The input's count at the beginning of a streamed answer and at its end."""
    answer = await proxy.client.post("/v1/messages", json=QUESTION | {"stream": True})
    told = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data:")]
    return told[0]["message"]["usage"]["input_tokens"], told[-2]["usage"]["input_tokens"]


async def test_counts_correct_the_estimate() -> None:
    """After one count, every figure that is estimated is nearer to it, for this model only."""
    async with running_proxy() as proxy:
        plain = await count_tokens(proxy)
        proxy.simulator.enqueue(say(count(2 * plain)), say())
        assert await ask(proxy) == (plain, 2 * plain)
        corrected = await count_tokens(proxy)
        assert 1.8 * plain < corrected < 2 * plain
        first, last = await ask(proxy)
        assert corrected < first == last < 2 * plain
        assert await count_tokens(proxy, model="claude-haiku-4-5") == plain
        responses = {"model": "claude-sonnet-4-5", "input": TEXT}
        counted = await proxy.client.post("/v1/responses/input_tokens", json=responses)
        assert counted.json()["input_tokens"] == corrected


@pytest.mark.parametrize(
    ("trailers", "source", "total"),
    [
        ([count(12_345)], "wire", 12_345),
        ([Event("contextUsageEvent", {"contextUsagePercentage": 10.0})], "context", None),
        ([], "estimate", None),
    ],
)
async def test_log_names_the_source(trailers: list[Event], source: str, total: int | None) -> None:
    """The line of the exchange has the source of the count and the estimate beside it."""
    async with running_proxy() as proxy:
        estimate = await count_tokens(proxy)
        proxy.simulator.enqueue(say(*trailers))
        first, last = await ask(proxy)
        [line] = await proxy.log.wait("exchange")
        assert line["usage_source"] == source
        assert line["estimated_input_tokens"] == first == estimate
        assert line["input_tokens"] == last
        assert total in {None, last}
