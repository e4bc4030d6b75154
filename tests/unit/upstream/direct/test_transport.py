"""Requests over real sockets, without any server's own HTTP."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import httpx
import pytest
import trio
import trustme

from kiro2api.upstream.direct import PIECES, DirectTransport
from tests.support.raw_upstream import Play, RawUpstream, keep_silent, raw_upstream, say

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
TIMEOUT = httpx.Timeout(None, connect=5, write=5)


@asynccontextmanager
async def talking(*plays: Play, **options: float) -> AsyncIterator[tuple[httpx.AsyncClient, RawUpstream]]:
    """A client on the direct way, and a server that plays."""
    transport = DirectTransport(max_idle=int(options.get("max_idle", 4)), idle_seconds=options.get("idle_seconds", 60))
    async with raw_upstream(*plays) as server, httpx.AsyncClient(transport=transport, timeout=TIMEOUT) as client:
        yield client, server


def answer_each(*answers: bytes) -> Play:
    """Reads a request, then says the next answer, on one connection."""

    async def play(stream: trio.SocketStream) -> None:
        for answer in answers:
            data = b""
            while not data.endswith(b"\r\n\r\nask"):
                more = await stream.receive_some()
                if not more:
                    return
                data += more
            await stream.send_all(answer)
        while await stream.receive_some():
            pass

    return play


async def ask(client: httpx.AsyncClient, server: RawUpstream) -> httpx.Response:
    """One request that ends in ``ask``."""
    return await client.post(server.url, content=b"ask")


def count_idle(client: httpx.AsyncClient) -> int:
    """How many connections wait for a request."""
    transport = client._transport
    assert isinstance(transport, DirectTransport)
    return transport.count_idle()


async def test_a_connection_is_used_again() -> None:
    """As long as both sides keep it."""
    async with talking(answer_each(ANSWER, ANSWER, ANSWER)) as (client, server):
        assert [(await ask(client, server)).content for _ in range(3)] == [b"ok"] * 3
        assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        ANSWER.replace(b"OK\r\n", b"OK\r\nconnection: close\r\n"),
        ANSWER.replace(b"1.1", b"1.0"),
        ANSWER + b"surplus",
        b"HTTP/1.1 204 None\r\n\r\nsurplus",
    ],
    ids=["it is said", "old", "something behind it", "something instead of a body"],
)
async def test_a_connection_is_not_used_again(answer: bytes) -> None:
    """Where it must not be, or where nobody knows what would come."""
    async with talking(answer_each(answer), answer_each(ANSWER)) as (client, server):
        await ask(client, server)
        with trio.fail_after(5):
            assert (await ask(client, server)).content == b"ok"
        assert server.connections == 2


async def test_a_connection_that_the_server_has_closed_is_not_used_again() -> None:
    """Although the answer was read to its end."""
    async with talking(say(ANSWER), say(ANSWER)) as (client, server):
        await ask(client, server)
        while not server.closed:
            await trio.lowlevel.checkpoint()
        assert (await ask(client, server)).content == b"ok"
        assert server.connections == 2


async def test_an_idle_connection_is_kept_for_so_long_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Later a new one is safer."""
    now = trio.current_time()
    async with talking(answer_each(ANSWER), answer_each(ANSWER), idle_seconds=5) as (client, server):
        await ask(client, server)
        monkeypatch.setattr("kiro2api.upstream.direct.connections.trio.current_time", lambda: now + 10_000)
        await ask(client, server)
        assert server.connections == 2


async def test_so_many_idle_connections_are_kept() -> None:
    """Of three that are free at once, one is used again."""
    async with talking(answer_each(ANSWER, ANSWER), max_idle=1) as (client, server):
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(ask, client, server)
        assert server.connections == 3
        await ask(client, server)
        while len(server.closed) < 2:
            await trio.lowlevel.checkpoint()
        assert server.connections == 3


async def test_an_origin_that_is_asked_no_more_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connections are closed when their time is over, at the next request to whomever."""
    now = trio.current_time()
    async with (
        raw_upstream(answer_each(ANSWER)) as left,
        talking(answer_each(ANSWER), idle_seconds=5) as (
            client,
            server,
        ),
    ):
        await ask(client, left)
        with monkeypatch.context() as later:
            later.setattr("kiro2api.upstream.direct.connections.trio.current_time", lambda: now + 10_000)
            await ask(client, server)
        with trio.fail_after(5):
            while not left.closed:
                await trio.lowlevel.checkpoint()


async def test_the_connection_that_has_waited_longest_makes_room() -> None:
    """Wherever it leads: the newest one is the likeliest to be used again."""
    async with (
        raw_upstream(answer_each(ANSWER)) as left,
        talking(answer_each(ANSWER, ANSWER), max_idle=1) as (
            client,
            server,
        ),
    ):
        await ask(client, left)
        await ask(client, server)
        assert (await ask(client, server)).content == b"ok"
        assert (left.connections, server.connections) == (1, 1)


async def test_an_answer_is_closed_once() -> None:
    """What is closed again has been given to another request since."""
    async with talking(answer_each(ANSWER, ANSWER)) as (client, server):
        async with client.stream("POST", server.url, content=b"ask") as response:
            stream = response.extensions[PIECES]
            assert [piece async for piece in stream] == [b"ok"]
        async with client.stream("POST", server.url, content=b"ask") as response:
            await stream.aclose()
            assert count_idle(client) == 0
            assert await response.aread() == b"ok"
        assert (server.connections, count_idle(client)) == (1, 1)


async def test_a_connection_that_ends_with_its_answer_is_closed() -> None:
    """It is not kept for nothing."""
    async with talking(say(b"HTTP/1.1 200 OK\r\n\r\nok")) as (client, server):
        assert (await ask(client, server)).content == b"ok"
        assert count_idle(client) == 0


@pytest.mark.parametrize("headers", [{"authorization": "a\r\nb: c"}, {"transfer-encoding": "chunked"}])
async def test_what_would_not_be_one_request_is_not_sent(headers: dict[str, str]) -> None:
    """Not even a connection is opened for it."""
    async with talking(answer_each(ANSWER)) as (client, server):
        with pytest.raises(httpx.LocalProtocolError):
            await client.post(server.url, headers=headers)
        assert server.connections == 0


@pytest.mark.parametrize("number", range(1, 60, 3))
async def test_a_request_that_is_cancelled_anywhere_leaves_no_connection(number: int) -> None:
    """After so many steps of the loop; one that was answered whole may wait for the next request."""
    async with talking(answer_each(ANSWER)) as (client, server):
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask, client, server)
                for _ in range(number):
                    await trio.lowlevel.checkpoint()
                scope.cancel()
        idle = count_idle(client)
        with trio.fail_after(5):
            while server.connections - len(server.closed) > idle:
                await trio.lowlevel.checkpoint()


async def test_leaving_an_answer_closes_its_connection() -> None:
    """The service stops to work on it at once."""
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"
    async with talking(keep_silent(head)) as (client, server):
        async with client.stream("POST", server.url, content=b"ask") as response:
            assert await anext(response.aiter_raw()) == b"hello"
        with trio.fail_after(5):
            while not server.closed:
                await trio.lowlevel.checkpoint()


async def test_a_cancelled_request_closes_its_connection() -> None:
    """While the answer is awaited, too."""
    async with talking(keep_silent()) as (client, server):
        with trio.move_on_after(0.05):
            await ask(client, server)
        with trio.fail_after(5):
            while not server.closed:
                await trio.lowlevel.checkpoint()


async def test_announcements_before_the_answer_are_skipped() -> None:
    """They are no answer."""
    async with talking(answer_each(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\na: b\r\n\r\n" + ANSWER)) as (
        client,
        server,
    ):
        response = await ask(client, server)
        assert (response.status_code, response.content) == (200, b"ok")


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\n", httpx.RemoteProtocolError),
        (b"SSH-2.0-x\r\n\r\n", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\na: " + b"b" * 70_000, httpx.RemoteProtocolError),
        (ANSWER[:-1], httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", httpx.RemoteProtocolError),
    ],
)
async def test_what_is_no_answer_is_an_error(said: bytes, error: type[Exception]) -> None:
    """Under httpx's name for it."""
    async with talking(say(said)) as (client, server):
        with pytest.raises(error):
            await ask(client, server)


async def test_nobody_listens() -> None:
    """An error of its own kind: nothing was sent."""
    async with talking(say(b"")) as (client, server):
        url = server.url
    transport = DirectTransport(max_idle=1, idle_seconds=1)
    async with httpx.AsyncClient(transport=transport, timeout=TIMEOUT) as client:
        with pytest.raises(httpx.ConnectError):
            await client.post(url)


async def test_an_answer_to_half_a_request_counts() -> None:
    """A server that refuses a large body may close before it has read it."""
    refusal = b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    async with talking(say(refusal, read=10)) as (client, server):
        try:
            response = await client.post(server.url, content=b"x" * 30_000_000)
        except httpx.ReadError:
            pytest.skip("this system has thrown the answer away with the connection")
        assert response.status_code == 413


async def test_an_answer_that_does_not_come() -> None:
    """The caller's limit for reading holds for the head."""
    async with talking(keep_silent()) as (client, server):
        with pytest.raises(httpx.ReadTimeout):
            await client.post(server.url, content=b"ask", timeout=httpx.Timeout(5, read=0.05))


async def test_an_answer_that_does_not_go_on() -> None:
    """And for each piece of the body."""
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok"
    async with talking(keep_silent(head)) as (client, server):
        with pytest.raises(httpx.ReadTimeout):
            await client.post(server.url, content=b"ask", timeout=httpx.Timeout(5, read=0.05))


async def test_a_request_that_nobody_reads() -> None:
    """The caller's limit for writing holds for each piece."""

    async def ignore(_stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    async with talking(ignore) as (client, server):
        with pytest.raises(httpx.WriteTimeout):
            await client.post(server.url, content=b"x" * 30_000_000, timeout=httpx.Timeout(5, write=0.05))


@asynccontextmanager
async def tls_server(authority: trustme.CA) -> AsyncIterator[str]:
    """Where a server answers over TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    async def serve(stream: trio.SSLStream[trio.SocketStream]) -> None:
        async with stream:
            try:
                for _ in range(2):
                    await stream.receive_some()
                    await stream.send_all(ANSWER)
                await stream.receive_some()
            except trio.BrokenResourceError:
                pass

    async with trio.open_nursery() as nursery:
        [listener] = await nursery.start(partial(trio.serve_ssl_over_tcp, serve, 0, context, host="127.0.0.1"))
        yield f"https://127.0.0.1:{listener.transport_listener.socket.getsockname()[1]}"
        nursery.cancel_scope.cancel("the test is over")


@pytest.mark.parametrize("is_trusted", [True, False])
async def test_tls(*, is_trusted: bool) -> None:
    """With a certificate that proves who it is, and not otherwise."""
    authority = trustme.CA()
    context = ssl.create_default_context()
    (authority if is_trusted else trustme.CA()).configure_trust(context)
    transport = DirectTransport(max_idle=1, idle_seconds=60, context=context)
    async with tls_server(authority) as url, httpx.AsyncClient(transport=transport, timeout=TIMEOUT) as client:
        if is_trusted:
            assert [(await client.post(url, content=b"ask")).content for _ in range(2)] == [b"ok", b"ok"]
        else:
            with pytest.raises(httpx.ConnectError) as caught:
                await client.post(url)
            assert isinstance(caught.value.__cause__, trio.BrokenResourceError)
