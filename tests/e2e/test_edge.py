"""Hostile and clumsy clients on real sockets, while others are served."""

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import h2.events
import pytest
import trio
from hyperframe.frame import DataFrame, Frame, HeadersFrame, PriorityFrame, SettingsFrame

from kiro2api.simulator.script import Event, Hang, WaitFor
from tests.support.memory import MIB, measure_rss
from tests.support.proxy import CLIENT_KEY, HELLO, Proxy, running_proxy, until
from tests.support.rawhttp import connect, exchange, http2, read_all, render_head

pytestmark = pytest.mark.slow

TEXT = Event("assistantResponseEvent", {"content": "Hello"})
PAGE = Event("assistantResponseEvent", {"content": "x" * 16_000})
PLENTY = [PAGE] * 12_800
"""200 MB."""
STREAMED = HELLO | {"stream": True}
KEY = {"x-api-key": CLIENT_KEY}

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SettingsFrame(0).serialize()


def _render_post(body: bytes, **fields: str) -> bytes:
    return render_head("POST", "/v1/messages", KEY | {"content-length": str(len(body))} | fields) + body


def _h2(*frames: Frame) -> bytes:
    return PREFACE + b"".join(frame.serialize() for frame in frames)


def _head(method: bytes, path: bytes | None) -> HeadersFrame:
    """A request with its fields written out, in the simplest form of the compression."""
    fields = [(b":method", method), (b":scheme", b"http"), (b":authority", b"proxy")]
    fields += [] if path is None else [(b":path", path)]
    data = b"".join(b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value for name, value in fields)
    return HeadersFrame(1, data=data, flags=["END_HEADERS"])


@asynccontextmanager
async def _a_stream_beside(proxy: Proxy) -> AsyncIterator[None]:
    """Meanwhile a client streams; its stream completes afterwards, and the server is healthy."""
    release = trio.Event()
    proxy.simulator.enqueue([TEXT, WaitFor(release), TEXT])
    async with proxy.client.stream("POST", "/v1/messages", json=STREAMED) as response:
        pieces = response.aiter_text()
        text = await anext(pieces)
        yield
        assert (await proxy.client.get("/healthz")).status_code == 200
        release.set()
        text += "".join([piece async for piece in pieces])
    assert text.count('"text":"Hello"') == 2
    assert "event: message_stop" in text


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(_h2(_head(b"GET", b"/\xff")), id="path that is no ASCII"),
        pytest.param(_h2(_head(b"G\xff", b"/")), id="method that is no ASCII"),
        pytest.param(_h2(_head(b"CONNECT", None)), id="CONNECT without a path"),
        pytest.param(_h2(_head(b"CONNECT", b"/\xff")), id="CONNECT with a path that is no ASCII"),
        pytest.param(_h2(*(PriorityFrame(2 * n + 1) for n in range(1, 1200))), id="1200 priorities"),
        pytest.param(
            _h2(_head(b"POST", b"/v1/messages"), *(DataFrame(1, data=b"x" * 1000) for _ in range(30))),
            id="data behind an early 401",
        ),
        pytest.param(
            render_head(
                "GET", "/", {"connection": "upgrade, http2-settings", "upgrade": "h2c", "http2-settings": "no base64!"}
            ),
            id="bad HTTP2-Settings",
        ),
        pytest.param(
            render_head(
                "GET",
                "/v1/models",
                {
                    "connection": "upgrade",
                    "upgrade": "websocket",
                    "sec-websocket-version": "13",
                    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
                },
            )
            + b"x",
            id="websocket and a byte",
        ),
    ],
)
async def test_no_packet_stops_the_server(packet: bytes) -> None:
    """What would end stock hypercorn with every stream is answered or closed, and is not even a failure."""
    async with running_proxy() as proxy, _a_stream_beside(proxy), await connect(proxy.url) as stream:
        await stream.send_all(packet)
        with trio.fail_after(5):
            assert await stream.receive_some()
        assert not proxy.log.find("connection_failed")


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nx: a\0b\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost : x\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /" + b"x" * 4_000_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\n" + b"x: y\r\n" * 200_000 + b"\r\n",
        _render_post(b"{}", **{"Content-Length": "3"}),
        render_head("POST", "/v1/messages", {"content-length": "+5"}),
        render_head("POST", "/v1/messages", {"content-length": "1e3"}),
        render_head("POST", "/v1/messages", {"transfer-encoding": "gzip, chunked"}),
        PREFACE + b"\x00\xff\xff\xff" * 30_000,
    ],
    ids=lambda sent: repr(sent[:40]),
)
async def test_garbage_is_refused(sent: bytes) -> None:
    """With one answer at most, and the connection is closed; others are served."""
    async with running_proxy() as proxy:
        answer = await exchange(proxy.url, sent)
        assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5", b"\x00")) or not answer
        assert answer.count(b"HTTP/1.1 ") <= 1
        assert (await proxy.client.get("/healthz")).status_code == 200
        assert not proxy.log.find("connection_failed")


async def test_a_smuggled_request_is_not_served() -> None:
    """A body that two readers would frame differently is refused, and what stands in it never answered."""
    async with running_proxy() as proxy:
        head = render_head("POST", "/v1/messages", KEY | {"content-length": "5", "transfer-encoding": "chunked"})
        answer = await exchange(proxy.url, head + b"0\r\n\r\n" + render_head("GET", "/healthz"))
        assert answer.startswith(b"HTTP/1.1 400")
        assert answer.count(b"HTTP/1.1 ") == 1
        assert not proxy.simulator.generations


async def test_slow_heads_are_cut_while_others_are_served() -> None:
    """Eighty clients that drip their heads are all gone with the deadline of a head."""
    async with running_proxy(header_timeout=0.6) as proxy, trio.open_nursery() as nursery:
        lasted: list[float] = []

        async def drip() -> None:
            async with await connect(proxy.url) as stream:
                began = trio.current_time()
                try:
                    while trio.current_time() < began + 10:
                        await stream.send_all(b"G")
                        with trio.move_on_after(0.1):
                            await stream.receive_some()
                            break
                except trio.BrokenResourceError:
                    pass
                lasted.append(trio.current_time() - began)

        for _ in range(80):
            nursery.start_soon(drip)
        await trio.sleep(0.2)
        with trio.fail_after(1):
            assert (await proxy.client.post("/v1/messages", json=HELLO)).status_code == 200
        await until(lambda: len(lasted) == 80)
        assert max(lasted) < 3


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/2", "HTTP/2 with huge windows"])
async def test_a_client_that_does_not_read_is_dropped(version: str) -> None:
    """It holds little memory and not for long: its exchange ends and the upstream is closed."""
    async with running_proxy(send_timeout=1) as proxy:
        proxy.simulator.enqueue(PLENTY)
        await proxy.client.get("/healthz")
        before, peak = measure_rss(), 0
        async with _stalled(proxy, version):
            with trio.fail_after(10):
                await proxy.simulator.wait_requests(2)
                [record] = proxy.simulator.generations
                while not record.finished.is_set():
                    peak = max(peak, measure_rss())
                    await trio.sleep(0.02)
                [line] = await proxy.log.wait("exchange")
            assert record.outcome == "cut_by_peer"
            assert line["outcome"] == "client_disconnected"
            assert peak - before < 70 * MIB
            assert proxy.broker.statistics().in_flight == 0


@asynccontextmanager
async def _stalled(proxy: Proxy, version: str) -> AsyncIterator[None]:
    """A client that has asked for a stream and reads nothing of it."""
    body = json.dumps(STREAMED).encode()
    if version == "HTTP/1.1":
        sock = trio.socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host, port = proxy.url.removeprefix("http://").split(":")
        await sock.connect((host, int(port)))
        async with trio.SocketStream(sock) as stream:
            await stream.send_all(_render_post(body))
            yield
    else:
        async with http2(proxy.url, window=2**31 - 1 if "huge" in version else 65_535) as client:
            await client.request("POST", "/v1/messages", body=body, fields=KEY.items())
            yield


async def test_pipelined_requests_are_answered_in_order() -> None:
    """Twenty in one write, each answered before the next; the last one closes."""
    async with running_proxy() as proxy:
        requests = [render_head("GET", "/healthz", {"x-request-id": f"number-{n}"}) for n in range(20)]
        last = render_head("GET", "/healthz", {"connection": "close", "x-request-id": "last"})
        answer = await exchange(proxy.url, b"".join(requests) + last)
        found = [line.split(b": ")[1] for line in answer.split(b"\r\n") if line.startswith(b"x-request-id: ")]
        assert found == [*(f"number-{n}".encode() for n in range(20)), b"last"]


@pytest.mark.parametrize("rest", [b"", b"\r\n"], ids=["nothing", "a line"])
@pytest.mark.parametrize("is_half", [False, True], ids=["closes", "closes its side"])
async def test_a_client_that_leaves_is_noticed(rest: bytes, is_half: bool) -> None:  # noqa: FBT001  a parameter
    """Whatever stands behind its request, and also if it closes only the side on which it sends."""
    async with running_proxy() as proxy:
        proxy.simulator.enqueue([Hang()])
        async with await connect(proxy.url) as stream:
            await stream.send_all(_render_post(json.dumps(STREAMED).encode()) + rest)
            await proxy.simulator.wait_requests(2)
            left = trio.current_time()
            if is_half:
                assert isinstance(stream, trio.SocketStream)
                await stream.send_eof()
            else:
                await stream.aclose()
            [record] = proxy.simulator.generations
            with trio.fail_after(5):
                await record.finished.wait()
            assert record.finished_at is not None
            assert record.finished_at - left < 0.5


async def test_an_endless_upload_is_refused() -> None:
    """300 MB in chunks: 413 as soon as the limit is passed, and nothing of the rest is kept."""
    async with running_proxy(max_body_bytes=1000) as proxy:
        await proxy.client.get("/healthz")
        before, sent = measure_rss(), 0
        chunk = b"%x\r\n" % 1_000_000 + b"x" * 1_000_000 + b"\r\n"
        async with await connect(proxy.url) as stream:
            await stream.send_all(render_head("POST", "/v1/messages", KEY | {"transfer-encoding": "chunked"}))
            try:
                while sent < 300_000_000:
                    await stream.send_all(chunk)
                    sent += 1_000_000
            except trio.BrokenResourceError:
                pass
            answer = await read_all(stream)
        assert answer.startswith(b"HTTP/1.1 413")
        assert b"connection: close" in answer
        assert measure_rss() - before < 20 * MIB


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        pytest.param({"x-api-key": "wrong", "content-length": "10000"}, b"401", id="wrong key"),
        pytest.param(KEY | {"content-length": "4000000000"}, b"413", id="too large"),
        pytest.param({"x-api-key": "wrong", "transfer-encoding": "chunked"}, b"401", id="wrong key, no length"),
    ],
)
async def test_a_body_that_is_not_wanted_is_not_asked_for(fields: dict[str, str], status: bytes) -> None:
    """A client that waits for ``100 Continue`` gets the final answer at once, without one."""
    async with running_proxy() as proxy:
        head = render_head("POST", "/v1/messages", fields | {"expect": "100-continue"})
        began = trio.current_time()
        async with await connect(proxy.url) as stream:
            await stream.send_all(head)
            answer = bytes(await stream.receive_some())
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert trio.current_time() - began < 1


async def test_a_body_that_is_wanted_is_asked_for() -> None:
    """``100 Continue``, the body, the answer."""
    async with running_proxy() as proxy, await connect(proxy.url) as stream:
        body = json.dumps(HELLO).encode()
        head = _render_post(body, expect="100-continue", connection="close").removesuffix(body)
        await stream.send_all(head)
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 100")
        await stream.send_all(body)
        assert (await read_all(stream)).startswith(b"HTTP/1.1 200")


async def test_rapid_resets_end_one_connection_only() -> None:
    """A client that opens and resets two thousand streams runs into the limit of its connection."""
    async with running_proxy() as proxy, _a_stream_beside(proxy), http2(proxy.url) as client:
        for _ in range(2000):
            stream_id = client.connection.get_next_available_stream_id()
            head = [(":method", "GET"), (":scheme", "http"), (":authority", "proxy"), (":path", "/healthz")]
            client.connection.send_headers(stream_id, head, end_stream=True)
            client.connection.reset_stream(stream_id, 8)
        await client.flush()
        await client.wait(h2.events.ConnectionTerminated)
