"""The short way on a connection: who is given it, and that no byte of two writers is mixed on it, or goes elsewhere."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from functools import partial

import pytest
import trio

from kiro2api.routes.life import NEW_SINK, MeasuringSink
from kiro2api.upstream.direct.bodies import ChunkedBody
from tests.support.edge import Message, Peer, Receive, Send, answer, memory_pair, serving, socket_pair, wait_disconnect
from tests.support.rawhttp import read_all, render_head

GET = render_head("GET", "/")
CLOSING = render_head("GET", "/", {"connection": "close"})
START: Message = {"type": "http.response.start", "status": 200, "headers": []}
END: Message = {"type": "http.response.body", "body": b"", "more_body": False}

type Write = Callable[[MeasuringSink], Awaitable[None]]


@asynccontextmanager
async def plainly_serving(
    app: Callable[[Message, Receive, Send], Awaitable[None]], send_seconds: float = 60
) -> AsyncIterator[Peer]:
    """A connection over sockets, which are closed in the end."""
    async with serving(app, pair=socket_pair, send_seconds=send_seconds) as peer, peer.stream:
        yield peer


def write_shortly(write: Write) -> Callable[[Message, Receive, Send], Awaitable[None]]:
    """An application whose body goes the short way."""

    async def app(scope: Message, _receive: Receive, send: Send) -> None:
        await send(START)
        await write(scope["state"][NEW_SINK]())
        await send(END)

    return app


async def put(sink: MeasuringSink, *pieces: bytes) -> None:
    """As every writer does it."""
    for piece in pieces:
        if not sink.offer(piece):
            await sink.flush()


def join(data: bytes) -> bytes:
    """The body of the one answer that ``data`` is."""
    body = ChunkedBody()
    joined = body.receive_data(data.partition(b"\r\n\r\n")[2])
    assert (body.is_over, body.has_surplus) == (True, False)
    return joined


@pytest.mark.parametrize(
    ("head", "pair", "is_given"),
    [
        pytest.param(GET, socket_pair, True, id="HTTP/1.1"),
        pytest.param(b"GET / HTTP/1.0\r\n\r\n", socket_pair, False, id="HTTP/1.0 knows no chunks"),
        pytest.param(render_head("HEAD", "/"), socket_pair, False, id="HEAD has no body"),
        pytest.param(GET, memory_pair, False, id="no plain socket, as with TLS"),
    ],
)
async def test_who_is_given_it(
    head: bytes,
    pair: Callable[[], tuple[object, object]],
    is_given: bool,  # noqa: FBT001  a parameter
) -> None:
    """Requests of HTTP/1.1 on a plain socket."""
    given: list[bool] = []

    async def app(scope: Message, _receive: Receive, send: Send) -> None:
        given.append(NEW_SINK in scope["state"])
        await answer(send)

    async with serving(app, pair=pair) as peer, peer.stream:
        await peer.stream.send_all(head)
        assert await peer.stream.receive_some()
    assert given == [is_given]


async def test_nothing_is_written_to_a_descriptor_with_a_new_owner() -> None:
    """An answer that outlives its connection by a step would else end up on somebody else's."""
    sinks: list[MeasuringSink] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(START)
        sinks.append(scope["state"][NEW_SINK]())
        await wait_disconnect(receive)

    async with plainly_serving(app) as peer:
        assert isinstance(peer.connection.stream, trio.SocketStream)
        number = peer.connection.stream.socket.fileno()
        await peer.stream.send_all(GET)
        await peer.stream.send_eof()
        await peer.ended.wait()
        ours, theirs = socket.socketpair()
        with closing(ours), closing(theirs):
            assert number in {ours.fileno(), theirs.fileno()}
            await put(sinks[0], b"secret")
            for end in (ours, theirs):
                end.settimeout(0)
                with pytest.raises(BlockingIOError):
                    end.recv(100)


async def test_two_writers_never_tear_a_piece() -> None:
    """A ping may be offered while the client is slow to take a piece, and the other way round."""
    pieces = {name: [b"<%b%d:%b>" % (name, n, name * (n * 997 % 90_000)) for n in range(60)] for name in (b"a", b"b")}

    async def write(sink: MeasuringSink) -> None:
        async with trio.open_nursery() as nursery:
            for mine in pieces.values():
                nursery.start_soon(partial(put, sink, *mine))

    async with plainly_serving(write_shortly(write)) as peer:
        await peer.stream.send_all(CLOSING)
        found = [piece + b">" for piece in join(await read_all(peer.stream)).split(b">")[:-1]]
    for name, mine in pieces.items():
        assert [piece for piece in found if piece.startswith(b"<" + name)] == mine
    assert len(found) == 120


async def test_another_task_writes_behind_what_is_left_of_a_piece() -> None:
    """A piece of which the client has taken a part is finished before anything else of that sink."""
    piece = b"x" * 5_000_000

    async def write(sink: MeasuringSink) -> None:
        assert not sink.offer(piece)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sink.flush)
            await trio.testing.wait_all_tasks_blocked()
            assert not sink.offer(b"ping")
            await sink.flush()

    async with plainly_serving(write_shortly(write)) as peer:
        await peer.stream.send_all(CLOSING)
        await trio.testing.wait_all_tasks_blocked()
        assert join(await read_all(peer.stream)) == piece + b"ping"


async def test_the_next_request_is_answered_behind_it() -> None:
    """Its head has come with the first one, and its answer waits for the end of the first."""
    async with plainly_serving(write_shortly(lambda sink: put(sink, b"hello"))) as peer:
        await peer.stream.send_all(GET * 2 + CLOSING)
        answered = await read_all(peer.stream)
    assert answered.count(b"HTTP/1.1 200") == answered.count(b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n") == 3


async def test_an_answer_that_fails_on_the_way_does_not_look_whole() -> None:
    """The connection ends without the last chunk."""

    async def write(sink: MeasuringSink) -> None:
        await put(sink, b"hello")
        raise ValueError

    async with plainly_serving(write_shortly(write)) as peer:
        await peer.stream.send_all(GET)
        assert (await read_all(peer.stream)).endswith(b"\r\n\r\n5\r\nhello\r\n")


async def test_a_client_that_does_not_read_is_dropped(autojump_clock: trio.testing.MockClock) -> None:
    """After the deadline of a write; its application hears of it, and what it writes then goes nowhere."""
    del autojump_clock
    waited: list[float] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(START)
        sink = scope["state"][NEW_SINK]()
        began = trio.current_time()
        await put(sink, b"x" * 20_000_000)
        await wait_disconnect(receive)
        waited.append(trio.current_time() - began)
        await put(sink, b"more")

    async with plainly_serving(app, send_seconds=7) as peer:
        await peer.stream.send_all(GET)
        await peer.ended.wait()
    assert waited == [pytest.approx(7)]
    assert peer.log.lines == [("client_stalled", {})]


async def test_whoever_writes_to_nobody_can_be_cancelled() -> None:
    """An answer goes on until it is cancelled, and may do nothing but write."""
    cancelled: list[bool] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(START)
        sink = scope["state"][NEW_SINK]()
        await wait_disconnect(receive)
        await put(sink, b"this drops the connection")
        with trio.CancelScope() as cancelling:
            cancelling.cancel()
            await put(sink, b"more")
        cancelled.append(cancelling.cancelled_caught)

    async with plainly_serving(app) as peer:
        await peer.stream.send_all(GET)
        assert await peer.stream.receive_some()
        await peer.stream.aclose()
        await peer.ended.wait()
    assert cancelled == [True]
