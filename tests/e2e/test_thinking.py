"""Reasoning from the client's wish to the client's answer, in both dialects, streamed and whole."""

import json
from typing import Any

import pytest

from kiro2api.protocol.jsontext import JSONObject
from kiro2api.simulator.account import Account
from kiro2api.simulator.accounts import Accounts
from kiro2api.simulator.reasoning import REDACTED, THOUGHTS
from kiro2api.simulator.server import Simulator
from tests.support.proxy import Proxy, running_proxy, until

THOUGHT = "".join(THOUGHTS)
ANSWER = "You said: Hello | turns: 1 | tools: none | images: none"
OPUS, SONNET, GPT = "claude-opus-4-6", "claude-sonnet-4-5", "gpt-5.6-sol"
ADAPTIVE: JSONObject = {"type": "adaptive"}
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


def _fold_blocks(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The content that a stream of the Messages API builds."""
    blocks: list[dict[str, Any]] = []
    for event in events:
        if event["type"] == "content_block_start":
            blocks.append(event["content_block"])
        elif event["type"] == "content_block_delta":
            kind, *_, text = event["delta"].values()
            name = kind.removesuffix("_delta")
            blocks[-1][name] += text
    return blocks


def _read_events(text: str) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


async def _ask_claude(proxy: Proxy, model: str, *, stream: bool, **fields: object) -> list[dict[str, Any]]:
    """The content of the answer."""
    messages = [{"role": "user", "content": "Hello"}]
    body = {"model": model, "max_tokens": 2000, "messages": messages, "stream": stream, **fields}
    response = await proxy.client.post("/v1/messages", json=body)
    assert response.status_code == 200, response.text
    content: list[dict[str, Any]] = response.json()["content"] if not stream else []
    return _fold_blocks(_read_events(response.text)) if stream else content


async def _ask_gpt(proxy: Proxy, model: str, *, stream: bool, effort: str) -> tuple[str, str]:
    """Reasoning and text of the answer."""
    messages = [{"role": "user", "content": "Hello"}]
    body = {"model": model, "messages": messages, "stream": stream, "reasoning_effort": effort}
    response = await proxy.client.post("/v1/chat/completions", json=body)
    assert response.status_code == 200, response.text
    chunks = _read_events(response.text) if stream else [response.json()]
    parts = [choice["delta" if stream else "message"] for chunk in chunks for choice in chunk["choices"]]
    return "".join(p.get("reasoning_content") or "" for p in parts), "".join(p.get("content") or "" for p in parts)


def _read_fields(proxy: Proxy) -> object:
    body: Any = proxy.simulator.generations[-1].body
    return body.get("additionalModelRequestFields")


@both_ways
async def test_native_thinking_comes_and_goes_back(*, stream: bool) -> None:
    """It comes first, with its signature, and stands in the next request as the model had signed it."""
    async with running_proxy() as proxy:
        content = await _ask_claude(proxy, OPUS, stream=stream, thinking=ADAPTIVE)
        assert [(block["type"], block.get("thinking") or block["text"]) for block in content] == [
            ("thinking", THOUGHT),
            ("text", ANSWER),
        ]
        history = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": content}]
        messages = [*history, {"role": "user", "content": "Again"}]
        await _ask_claude(proxy, OPUS, stream=stream, thinking=ADAPTIVE, messages=messages)
        sent: Any = proxy.simulator.generations[-1].body
        reasoning = sent["conversationState"]["history"][1]["assistantResponseMessage"]["reasoningContent"]
        assert reasoning["reasoningText"]["text"] == THOUGHT
        assert content[0]["signature"].endswith("." + reasoning["reasoningText"]["signature"])
        assert len(proxy.simulator.generations) == 2
        assert "repairs" not in (await proxy.log.wait("exchange", 2))[1]


@both_ways
async def test_a_false_signature_costs_one_call(*, stream: bool) -> None:
    """The upstream refuses it; the request goes out once more without, and the log says so."""
    async with running_proxy() as proxy:
        content = await _ask_claude(proxy, OPUS, stream=stream, thinking=ADAPTIVE)
        content[0]["thinking"] = "Changed on the way."
        history = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": content}]
        messages = [*history, {"role": "user", "content": "Again"}]
        await _ask_claude(proxy, OPUS, stream=stream, thinking=ADAPTIVE, messages=messages)
        first, refused, last = proxy.simulator.generations
        assert [first.rule, refused.rule, last.rule] == [None, "reasoning_signature", None]
        line = (await proxy.log.wait("exchange", 2))[1]
        assert (line["repairs"], line["failed_attempts"]) == (["dropped_thinking", "refused_signature"], ["form"])


@both_ways
async def test_thinking_between_tags(*, stream: bool) -> None:
    """An older model is asked in words; the client cannot tell."""
    async with running_proxy() as proxy:
        wish = {"type": "enabled", "budget_tokens": 1024}
        content = await _ask_claude(proxy, SONNET, stream=stream, thinking=wish)
        assert content[0] == {"type": "thinking", "thinking": THOUGHT + "\n", "signature": ""}
        assert content[1]["text"].startswith("You said: <thinking_mode>enabled<")
        assert _read_fields(proxy) is None
        thought, text = await _ask_gpt(proxy, SONNET, stream=stream, effort="low")
        assert (thought, text[:10]) == (THOUGHT + "\n", "You said: ")


@both_ways
async def test_reasoning_effort(*, stream: bool) -> None:
    """The effort goes to the model, the reasoning comes as ``reasoning_content``; what nobody can read does not."""
    async with running_proxy() as proxy:
        assert await _ask_gpt(proxy, OPUS, stream=stream, effort="xhigh") == (THOUGHT, ANSWER)
        thinking = {"type": "adaptive", "display": "summarized"}
        assert _read_fields(proxy) == {"thinking": thinking, "output_config": {"effort": "max"}}
        assert await _ask_gpt(proxy, GPT, stream=stream, effort="high") == ("", ANSWER)
        assert _read_fields(proxy) == {"reasoning": {"effort": "high"}}
        content = await _ask_claude(proxy, GPT, stream=stream, output_config={"effort": "low"})
        assert [block["type"] for block in content] == ["text", "redacted_thinking"]
        assert content[1]["data"].endswith("." + REDACTED)


async def test_the_list_of_models_decides() -> None:
    """What a model's own schema has, it gets, within its bounds; one without gets nothing."""
    accounts = Accounts([])
    accounts.add(Account(refresh_token="refresh-a", models=("claude-opus-4.6", "claude-opus-5.5")))
    async with running_proxy(Simulator(accounts=accounts), limits_interval=0.1) as proxy:
        await until(lambda: proxy.broker.list_models() is not None)
        omitted = {"type": "adaptive", "display": "omitted"}
        content = await _ask_claude(proxy, "claude-opus-5-5", stream=True, thinking=omitted, max_tokens=200_000)
        assert (content[0]["thinking"], bool(content[0]["signature"])) == ("", True)
        assert _read_fields(proxy) == {"thinking": omitted, "max_tokens": 128_000}
        await _ask_claude(proxy, OPUS, stream=False, thinking={"type": "disabled"}, max_tokens=64_000)
        assert _read_fields(proxy) == {"thinking": {"type": "disabled"}, "max_tokens": 64_000}
