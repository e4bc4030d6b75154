"""Requests that are repeated because their answers are cut in the middle of a tool call, time and again."""

import json

import pytest

from kiro2api.simulator.script import Event, Script
from tests.support.proxy import Proxy, running_proxy

pytestmark = pytest.mark.slow

WORDS = 'The last 3 calls of the tool "Write" were cut off after about '
REQUEST = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 1000,
    "messages": [{"role": "user", "content": "Write it all."}],
    "tools": [{"name": "Write", "input_schema": {"type": "object", "properties": {"text": {"type": "string"}}}}],
}
CHAT = REQUEST | {"tools": [{"type": "function", "function": {"name": "Write", "parameters": {"type": "object"}}}]}


def cut(size: int) -> Script:
    """An answer that ends in the middle of a call, as if it were whole."""
    return [
        Event("toolUseEvent", {"name": "Write", "toolUseId": "tooluse_1"}),
        Event("toolUseEvent", {"name": "Write", "toolUseId": "tooluse_1", "input": '{"text":"'.ljust(size, "x")}),
    ]


def list_words(proxy: Proxy) -> list[str]:
    """What each request upstream says last."""
    bodies = [json.loads(record.raw) for record in proxy.simulator.generations]
    return [body["conversationState"]["currentMessage"]["userInputMessage"]["content"] for body in bodies]


async def ask(proxy: Proxy, *, session: str = "s1", stream: bool = True, request: dict[str, object] = REQUEST) -> str:
    """The body of the answer."""
    path = "/v1/chat/completions" if request is CHAT else "/v1/messages"
    headers = {"x-session-id": session}
    response = await proxy.client.post(path, json=request | {"stream": stream}, headers=headers)
    return response.text


@pytest.mark.parametrize("request_body", [REQUEST, CHAT], ids=["anthropic", "chat"])
async def test_fourth_of_equal_requests_is_told(request_body: dict[str, object]) -> None:
    """The client can do nothing but repeat its request; the model then learns what happened, until an answer is whole.

    The log names it.
    """
    async with running_proxy() as proxy:
        proxy.simulator.enqueue(*map(cut, (500, 400, 600, 700)))
        for _ in range(4):
            assert "cut in the middle of a tool call" in await ask(proxy, request=request_body)
        for _ in range(2):
            assert "cut in the middle" not in await ask(proxy, request=request_body)
        *first, fourth, fifth, sixth = list_words(proxy)
        assert first == ["Write it all."] * 3
        assert fourth.startswith(f"Write it all.\n\n{WORDS}400 characters")
        assert "The last 4 calls" in fifth
        assert sixth == "Write it all."
        lines = await proxy.log.wait("exchange", 6)
        assert ["explained_truncation" in str(line.get("repairs")) for line in lines] == [False] * 3 + [True] * 2 + [
            False
        ]


async def test_other_conversations_are_not_told() -> None:
    """Neither another session, nor another agent in the same one."""
    async with running_proxy() as proxy:
        proxy.simulator.enqueue(*[cut(500)] * 3)
        for _ in range(3):
            await ask(proxy)
        await ask(proxy, session="s2")
        await ask(proxy, request=REQUEST | {"system": "You search."})
        assert not any(WORDS in words for words in list_words(proxy))
        await ask(proxy)
        assert WORDS in list_words(proxy)[-1]


async def test_third_cut_within_a_request() -> None:
    """Unstreamed, a request that was cut is asked once more by itself: the fourth call upstream is the second's own."""
    async with running_proxy() as proxy:
        proxy.simulator.enqueue(*[cut(500)] * 3)
        assert "cut in the middle" in await ask(proxy, stream=False)
        assert "You said: Write it all." in await ask(proxy, stream=False)
        assert [WORDS in words for words in list_words(proxy)] == [False, False, False, True]
