"""Requests that begin conversations: a conversation stays with its credential, and most tests want none that does."""

from tests.support.proxy import HELLO, Proxy


def greet(number: int, **fields: object) -> dict[str, object]:
    """The first request of the conversation with that number."""
    return HELLO | {"messages": [{"role": "user", "content": f"Hello, for the {number}th time"}]} | fields


async def ask(proxy: Proxy, count: int = 1, *, first: int = 0, **fields: object) -> list[int]:
    """The statuses of so many requests, one after the other, each in a conversation of its own from ``first`` on."""
    bodies = [greet(number, **fields) for number in range(first, first + count)]
    return [(await proxy.client.post("/v1/messages", json=body)).status_code for body in bodies]
