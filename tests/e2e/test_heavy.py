"""Requests of many megabytes: all are served, and nobody else notices."""

import base64
from functools import partial

import pytest
import trio

from kiro2api.protocol.jsontext import JSON, encode_json
from tests.support.proxy import CLIENT_KEY, Proxy, running_proxy
from tests.support.rawhttp import exchange, render_head
from tests.support.upstream_events import encode_stream, text_message

pytestmark = pytest.mark.slow

PICTURE = base64.b64encode(b"\x89PNG\r\n\x1a\n".ljust(9_900_000, b"\0")).decode()
PROMPT = 'The model reads "all" of this, 全部, \N{GRINNING FACE}.\n' * 100_000
HALF_A_CHARACTER = b"\\ud83d"

ANSWER = encode_stream([text_message("Hello")])
REPLY = b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\ncontent-length: %d\r\n\r\n" % len(
    ANSWER
)

PROBE_PERIOD = 0.02
MAX_PROBE_SECONDS = 1.0
"""Ten times what it takes on a machine that has nothing else to do, and what other clients would still put up with."""


class _Sink:
    """An upstream that reads requests without looking at them; one that did would hold up the loop that it shares."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    async def serve(self, stream: trio.SocketStream) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += await stream.receive_some()
        head, _, rest = data.partition(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        missing = size - len(rest)
        while missing:
            missing -= len(await stream.receive_some(262_144))
        self.sizes.append(size)
        await stream.send_all(REPLY + ANSWER)


def _anthropic(content: JSON) -> tuple[str, JSON]:
    return "/v1/messages", {"max_tokens": 10, "messages": [{"role": "user", "content": content}]}


def _openai(content: JSON) -> tuple[str, JSON]:
    return "/v1/chat/completions", {"messages": [{"role": "user", "content": content}]}


def _render(path: str, body: JSON) -> bytes:
    assert isinstance(body, dict)
    data = encode_json({"model": "claude-sonnet-4-5", "stream": True, **body}).replace(b"HALF", HALF_A_CHARACTER)
    key = f"Bearer {CLIENT_KEY}"
    fields = {"authorization": key, "content-length": str(len(data)), "connection": "close"}
    return render_head("POST", path, fields) + data


PNG_BLOCK: JSON = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}}
PNG_PART: JSON = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}
REQUESTS = [
    _anthropic([PNG_BLOCK, PNG_BLOCK]),
    _anthropic([{"type": "tool_result", "tool_use_id": "t", "content": [PNG_BLOCK, PNG_BLOCK]}]),
    _openai([PNG_PART, PNG_PART]),
    _anthropic(PROMPT),
    _anthropic("HALF" + PROMPT),
    _openai(PROMPT),
]


async def _probe(proxy: Proxy, delays: list[float]) -> None:
    while True:
        began = trio.current_time()
        response = await proxy.client.get("/healthz")
        assert response.status_code == 200
        delays.append(trio.current_time() - began)
        await trio.sleep(PROBE_PERIOD)


async def test_heavy_requests_hold_up_nobody() -> None:
    """Six at once, in both dialects, while probes are answered in time."""
    sink, answers, delays = _Sink(), list[bytes](), list[float]()

    async def ask(url: str, data: bytes) -> None:
        answers.append(await exchange(url, data, seconds=30))

    async with trio.open_nursery() as nursery:
        [listener] = await nursery.start(partial(trio.serve_tcp, sink.serve, 0, host="127.0.0.1"))
        url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        async with running_proxy(kiro_upstream_url=url) as proxy, trio.open_nursery() as probes:
            datas = [_render(*request) for request in REQUESTS]
            probes.start_soon(_probe, proxy, delays)
            async with trio.open_nursery() as clients:
                for data in datas:
                    clients.start_soon(ask, proxy.url, data)
            probes.cancel_scope.cancel()
        nursery.cancel_scope.cancel()
    assert [answer.partition(b" ")[2][:3] for answer in answers] == [b"200"] * len(REQUESTS)
    assert all(b"Hello" in answer for answer in answers)
    assert [size > 26_000_000 for size in sorted(sink.sizes)] == [False, False, False, True, True, True]
    assert max(delays) < MAX_PROBE_SECONDS
