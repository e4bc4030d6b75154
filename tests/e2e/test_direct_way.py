"""Streamed answers on the short way to their clients, seen as bytes on the clients' sockets."""

import json
import socket

import pytest
import trio

from kiro2api.simulator.script import Cut, Event, Hang, Pause, WaitFor
from kiro2api.upstream.direct.bodies import ChunkedBody
from tests.support.proxy import CLIENT_KEY, HELLO, Proxy, running_proxy, until
from tests.support.rawhttp import connect, exchange, http2, read_all, render_head

pytestmark = pytest.mark.slow

TEXT = Event("assistantResponseEvent", {"content": "Hello"})
PAGE = Event("assistantResponseEvent", {"content": "x" * 16_000})
KEY = {"x-api-key": CLIENT_KEY}
BODY = json.dumps(HELLO | {"stream": True}).encode()
LAST_CHUNK = b"\r\n0\r\n\r\n"
STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


def _render_post(**fields: str) -> bytes:
    return render_head("POST", "/v1/messages", KEY | {"content-length": str(len(BODY))} | fields) + BODY


def _join(answer: bytes) -> bytes:
    """The body of one answer in chunks, which nothing follows."""
    body = ChunkedBody()
    joined = body.receive_data(answer.partition(b"\r\n\r\n")[2])
    assert (body.is_over, body.has_surplus) == (True, False)
    return joined


async def _stall(proxy: Proxy) -> trio.SocketStream:
    """A client that has asked for a stream, and reads nothing."""
    sock = trio.socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    host, port = proxy.url.removeprefix("http://").split(":")
    await sock.connect((host, int(port)))
    stream = trio.SocketStream(sock)
    await stream.send_all(_render_post())
    return stream


async def test_streams_follow_each_other_on_one_connection() -> None:
    """Three requests in one write: three answers, each with head, body and last chunk, in their order."""
    async with running_proxy() as proxy:
        proxy.simulator.responder = lambda _record: [TEXT, Pause(0.02), TEXT, Pause(0.02), TEXT]
        answered = await exchange(proxy.url, _render_post() * 2 + _render_post(connection="close"))
        answers = answered.split(b"HTTP/1.1 200 ")
        assert answers[0] == b""
        bodies = [_join(answer) for answer in answers[1:]]
        assert [(body.count(b'"text":"Hello"'), body.endswith(STOP)) for body in bodies] == [(3, True)] * 3


async def test_a_failure_in_a_stream_ends_the_answer_and_not_the_connection() -> None:
    """The error is the last event; the last chunk follows, and then the next answer."""
    async with running_proxy() as proxy:
        proxy.simulator.enqueue([TEXT, Cut()])
        answered = await exchange(proxy.url, _render_post() + _render_post(connection="close"))
        [failed, whole] = [_join(answer) for answer in answered.split(b"HTTP/1.1 200 ")[1:]]
        assert b'"text":"Hello"' in failed
        assert failed.rstrip().splitlines()[-2] == b"event: error"
        assert b"message_stop" not in failed
        assert whole.endswith(STOP)


async def test_a_client_of_the_old_version_gets_no_chunks() -> None:
    """Its answer ends with the connection."""
    async with running_proxy() as proxy:
        answered = await exchange(proxy.url, _render_post().replace(b"HTTP/1.1", b"HTTP/1.0"))
        head, _, body = answered.partition(b"\r\n\r\n")
        assert b"transfer-encoding" not in head
        assert body.startswith(b"event: message_start\n")
        assert body.endswith(STOP)


async def test_over_http2_the_same_events_come() -> None:
    """By the other way, and in the same order."""
    async with running_proxy() as proxy, http2(proxy.url) as client:
        proxy.simulator.responder = lambda _record: [TEXT, Pause(0.1), TEXT]
        short = _join(await exchange(proxy.url, _render_post(connection="close")))
        status, long = await client.fetch("POST", "/v1/messages", body=BODY, fields=KEY.items())
        names = [[line for line in body.splitlines() if line.startswith(b"event")] for body in (short, long)]
        assert (status, names[0]) == ("200", names[1])


async def test_the_log_counts_what_was_sent() -> None:
    """The body's own bytes, whichever way they went, pings among them."""
    async with running_proxy(ping_interval=0.05) as proxy, http2(proxy.url) as client:
        proxy.simulator.responder = lambda _record: [TEXT, Pause(0.3), TEXT]
        short = _join(await exchange(proxy.url, _render_post(connection="close")))
        _, long = await client.fetch("POST", "/v1/messages", body=BODY, fields=KEY.items())
        lines = await proxy.log.wait("exchange", 2)
        assert [line["bytes_sent"] for line in lines] == [len(short), len(long)]
        assert short.count(b"event: ping") >= 3
        assert [line["outcome"] for line in lines] == ["completed"] * 2


async def test_a_flood_starves_nobody() -> None:
    """While a client gets 16 MB as fast as it reads, others are answered at once."""
    async with running_proxy() as proxy, await connect(proxy.url) as stream, trio.open_nursery() as nursery:
        proxy.simulator.enqueue([PAGE] * 1000)
        answers: list[bytes] = []

        async def read() -> None:
            answers.append(await read_all(stream, seconds=30))

        await stream.send_all(_render_post(connection="close"))
        nursery.start_soon(read)
        worst, asked = 0.0, 0
        while not answers:
            began = trio.current_time()
            assert (await proxy.client.get("/healthz")).status_code == 200
            worst, asked = max(worst, trio.current_time() - began), asked + 1
        assert _join(answers[0]).endswith(STOP)
        assert asked > 5
        assert worst < 1


@pytest.mark.parametrize("is_half", [False, True], ids=["closes", "closes its side"])
async def test_a_client_that_does_not_read_and_leaves_is_noticed(is_half: bool) -> None:  # noqa: FBT001  a parameter
    """The upstream is closed, although a write to the client is under way."""
    async with running_proxy() as proxy:
        proxy.simulator.enqueue([PAGE] * 6400)
        async with await _stall(proxy) as stream:
            await proxy.simulator.wait_requests(2)
            [record] = proxy.simulator.generations
            await trio.sleep(0.5)
            assert not record.finished.is_set()
            left = trio.current_time()
            await (stream.send_eof() if is_half else stream.aclose())
            with trio.fail_after(5):
                await record.finished.wait()
            assert record.finished_at is not None
            assert record.finished_at - left < 1
        [line] = await proxy.log.wait("exchange")
        assert line["outcome"] == "client_disconnected"


async def test_a_stop_waits_for_no_client_that_does_not_read() -> None:
    """The server ends soon after its grace, whatever waits in a write."""
    async with running_proxy(shutdown_grace=0.5) as proxy:
        proxy.simulator.enqueue([PAGE] * 6400)
        async with await _stall(proxy):
            await proxy.simulator.wait_requests(2)
            await trio.sleep(0.3)
            proxy.stop.set()
            with trio.fail_after(5):
                await proxy.log.wait("stopped")
        assert proxy.broker.statistics().in_flight == 0


async def test_a_stop_closes_the_connection_behind_its_answer() -> None:
    """A stream that is running ends whole, and what was pipelined behind it is not served."""
    release = trio.Event()
    async with running_proxy(shutdown_grace=5) as proxy, await connect(proxy.url) as stream:
        proxy.simulator.enqueue([TEXT, WaitFor(release), TEXT])
        await stream.send_all(_render_post() * 2)
        answered = b""
        while b"Hello" not in answered:
            answered += await stream.receive_some()
        proxy.stop.set()
        await proxy.log.wait("stopping")
        await until(lambda: proxy.service.is_draining)
        release.set()
        answered += await read_all(stream)
        assert _join(answered).endswith(STOP)
        assert answered.count(b"HTTP/1.1 ") == 1


async def test_a_client_that_leaves_is_noticed_at_once() -> None:
    """In the middle of its stream, within 100 ms."""
    async with running_proxy() as proxy, await connect(proxy.url) as stream:
        proxy.simulator.enqueue([TEXT, Hang()])
        await stream.send_all(_render_post())
        answered = b""
        while b"Hello" not in answered:
            answered += await stream.receive_some()
        left = trio.current_time()
        await stream.aclose()
        [record] = proxy.simulator.generations
        with trio.fail_after(5):
            await record.finished.wait()
        assert record.finished_at is not None
        assert record.finished_at - left < 0.1
