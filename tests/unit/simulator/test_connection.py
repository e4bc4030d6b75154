"""Scripts over real sockets, peers that leave, and bytes that are no HTTP."""

import socket
import struct
from contextlib import AsyncExitStack

import httpx
import pytest
import trio
import trio.testing

from kiro2api.simulator.connection import Connection
from kiro2api.simulator.script import (
    Cut,
    CutBeforeHead,
    End,
    ErrorFrame,
    Event,
    ExceptionFrame,
    Hang,
    HangBeforeHead,
    Head,
    Pause,
    Proceed,
    Respond,
    Script,
    Send,
    Step,
    WaitFor,
    encode_frame,
)
from kiro2api.simulator.server import Simulator
from kiro2api.simulator.service import GENERATE_PATH
from tests.unit.simulator.bodies import encode, request
from tests.unit.simulator.test_server import FRAMES

BODY = encode(request())
HELLO = Event("assistantResponseEvent", {"content": "Hello"})
SOON = 0.5
"""Seconds within which the simulator has to notice a peer that leaves; a few milliseconds are usual."""


async def dial(simulator: Simulator) -> trio.SocketStream:
    """A bare connection."""
    return await trio.open_tcp_stream("127.0.0.1", int(simulator.base_url.rpartition(":")[2]))


async def read_until(stream: trio.SocketStream, end: bytes) -> bytes:
    """What the peer sends up to ``end``, or all of it if it closes before."""
    data = b""
    while not data.endswith(end):
        received = await stream.receive_some()
        if not received:
            break
        data += received
    return data


def call(simulator: Simulator, *headers: str, body: bytes = BODY) -> bytes:
    """A generate call as bytes."""
    access_token = simulator.accounts.issue("mine", now=trio.current_time())
    lines = [
        f"POST {GENERATE_PATH} HTTP/1.1",
        "host: x",
        f"authorization: Bearer {access_token}",
        "content-type: application/json",
        *(headers or [f"content-length: {len(body)}"]),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.mark.parametrize(
    ("script", "content"),
    [
        ([], b""),
        ([HELLO], encode_frame(HELLO)),
        ([Head(), Send(b"ab"), Pause(0.001), Send(b"c"), End(), Send(b"d")], b"abc"),
        ([ExceptionFrame("error", {})], encode_frame(ExceptionFrame("error", {}))),
        ([ErrorFrame("a", "b")], encode_frame(ErrorFrame("a", "b"))),
        ([Pause(0.001), Proceed()], FRAMES),
        ([Head(200, {"content-type": "application/json"}), Send(b"{}")], b"{}"),
        ([Respond(200, {}, b"x"), HELLO], b"x"),
    ],
)
async def test_a_script_replaces_the_model(
    simulator: Simulator, client: httpx.AsyncClient, script: Script, content: bytes
) -> None:
    """The script's steps are the answer, once; the next call is answered by the model."""
    simulator.enqueue(script)
    answers = [(await client.post(GENERATE_PATH, content=BODY)).content for _ in range(2)]
    assert answers == [content, FRAMES]
    await simulator.requests[1].finished.wait()
    assert [record.outcome for record in simulator.requests] == ["whole", "whole"]


async def test_a_refused_call_uses_no_script(simulator: Simulator, client: httpx.AsyncClient) -> None:
    """Only a call that the service would answer takes the next script."""
    simulator.enqueue([Send(b"x")])
    refused = await client.post(GENERATE_PATH, content=b"{}")
    answered = await client.post(GENERATE_PATH, content=BODY)
    assert (refused.status_code, answered.content) == (400, b"x")


async def test_proceeding_looks_at_the_access_token_again(
    simulator: Simulator, client: httpx.AsyncClient, nursery: trio.Nursery
) -> None:
    """An access token that expires while a script holds the call is refused when the call proceeds."""
    gate = trio.Event()
    simulator.enqueue([WaitFor(gate), Proceed()])
    nursery.start_soon(_post, client)
    [record] = await simulator.wait_requests(1)
    simulator.accounts.expire_access_tokens()
    gate.set()
    await record.finished.wait()
    assert record.status == 403


async def _post(client: httpx.AsyncClient) -> None:
    await client.post(GENERATE_PATH, content=BODY)


async def test_each_frame_is_sent_when_it_happens(simulator: Simulator, client: httpx.AsyncClient) -> None:
    """A frame arrives as a chunk of its own while the rest of the answer is still to come."""
    gate = trio.Event()
    simulator.enqueue([HELLO, HELLO, WaitFor(gate), HELLO])
    async with client.stream("POST", GENERATE_PATH, content=BODY) as response:
        chunks = response.aiter_raw()
        first = b""
        while len(first) < 2 * len(encode_frame(HELLO)):
            first += await anext(chunks)
        gate.set()
        rest = b"".join([chunk async for chunk in chunks])
    assert (first, rest) == (encode_frame(HELLO) * 2, encode_frame(HELLO))


@pytest.mark.parametrize(
    ("script", "error", "status"),
    [
        ([HELLO, Cut()], httpx.ReadError, 200),
        ([HELLO, Cut(reset=False)], httpx.RemoteProtocolError, 200),
        ([CutBeforeHead()], httpx.ReadError, None),
        ([CutBeforeHead(reset=False)], httpx.RemoteProtocolError, None),
    ],
)
async def test_an_answer_can_be_cut(
    simulator: Simulator,
    client: httpx.AsyncClient,
    script: Script,
    error: type[Exception],
    status: int | None,
) -> None:
    """With a RST the peer's read fails; with a FIN the answer is incomplete; the next connection is good."""
    simulator.enqueue(script)
    with pytest.raises(error):
        await client.post(GENERATE_PATH, content=BODY)
    [record] = simulator.requests
    await record.finished.wait()
    assert (record.outcome, record.status) == ("cut_by_us", status)
    assert (await client.post(GENERATE_PATH, content=BODY)).content == FRAMES


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ([Hang()], 200),
        ([HangBeforeHead()], None),
        ([HELLO, Pause(3600)], 200),
        ([WaitFor(trio.Event())], 200),
        ([Send(b"x" * 50_000_000)], 200),
    ],
)
async def test_a_peer_that_leaves_is_noticed_at_once(simulator: Simulator, script: Script, status: int | None) -> None:
    """While the answer is silent, or stuck because nobody reads, a peer that closes ends it."""
    simulator.enqueue(script)
    async with await dial(simulator) as stream:
        await stream.send_all(call(simulator))
        [record] = await simulator.wait_requests(1)
        await trio.testing.wait_all_tasks_blocked(0.005)
        assert simulator.streams_open == 1
        left_at = trio.current_time()
    with trio.fail_after(SOON):
        await record.finished.wait()
    assert (record.outcome, record.status) == ("cut_by_peer", status)
    assert record.finished_at is not None
    assert 0 <= record.finished_at - left_at < SOON
    assert simulator.streams_open == 0


async def test_a_peer_that_resets_is_noticed(simulator: Simulator) -> None:
    """A RST from the peer counts like its FIN, also while bytes are on their way."""
    simulator.enqueue([Send(b"x" * 50_000_000)])
    stream = await dial(simulator)
    await stream.send_all(call(simulator))
    [record] = await simulator.wait_requests(1)
    await stream.receive_some(1)
    # Closing with unread bytes in the socket sends a RST: RFC 1122, section 4.2.2.13.
    await trio.aclose_forcefully(stream)
    with trio.fail_after(SOON):
        await record.finished.wait()
    assert record.outcome == "cut_by_peer"


async def test_a_peer_that_resets_before_it_asks_harms_nobody(simulator: Simulator, client: httpx.AsyncClient) -> None:
    """A RST on a connection without a request makes no record."""
    stream = await dial(simulator)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await trio.aclose_forcefully(stream)
    assert (await client.post(GENERATE_PATH, content=BODY)).status_code == 200
    assert len(simulator.requests) == 1


async def test_hundreds_of_streams_at_once(simulator: Simulator) -> None:
    """Nothing limits the streams: all are open together, and all end when they are let go."""
    gate = trio.Event()
    script: list[Step] = [WaitFor(gate)]
    simulator.responder = lambda _: script
    async with AsyncExitStack() as stack:
        for _ in range(300):
            stream = await stack.enter_async_context(await dial(simulator))
            await stream.send_all(call(simulator))
        await simulator.wait_requests(300, path=GENERATE_PATH)
        opened = simulator.streams_open
        gate.set()
        for record in simulator.requests:
            await record.finished.wait()
    assert (opened, simulator.streams_open) == (300, 0)
    assert {record.outcome for record in simulator.requests} == {"whole"}


async def test_stopping_the_server_ends_open_answers() -> None:
    """Cancelled, the simulator closes its sockets, and open answers count as cut by it."""
    simulator = Simulator()
    async with trio.open_nursery() as nursery:
        await nursery.start(simulator.serve)
        simulator.enqueue([Hang()])
        stream = await dial(simulator)
        await stream.send_all(call(simulator))
        [record] = await simulator.wait_requests(1)
        nursery.cancel_scope.cancel()
    assert record.outcome == "cut_by_us"
    with pytest.raises(OSError, match=r"."):
        await dial(simulator)
    await stream.aclose()


async def test_a_connection_serves_many_requests(simulator: Simulator) -> None:
    """Two calls written at once are answered in their order on the same connection."""
    scripts: list[list[Step]] = [[Respond(200, {}, b"first")], [Respond(200, {}, b"last")]]
    simulator.enqueue(*scripts)
    async with await dial(simulator) as stream:
        await stream.send_all(call(simulator) + call(simulator))
        data = await read_until(stream, b"last")
    assert data.count(b"HTTP/1.1 200") == 2
    assert data.index(b"first") < data.index(b"last")


async def test_a_request_may_arrive_during_an_answer(simulator: Simulator) -> None:
    """A call that is written while the one before it is held is kept, and answered in its turn."""
    gate = trio.Event()
    simulator.enqueue([WaitFor(gate), Respond(200, {}, b"first")], [Respond(200, {}, b"last")])
    async with await dial(simulator) as stream:
        await stream.send_all(call(simulator))
        await simulator.wait_requests(1)
        await stream.send_all(call(simulator))
        await trio.testing.wait_all_tasks_blocked(0.005)
        gate.set()
        data = await read_until(stream, b"last")
    assert data.index(b"first") < data.index(b"last")


async def test_a_chunked_request_is_read(simulator: Simulator) -> None:
    """A request without a length may come in chunks, and a peer that asks whether to go on is told to."""
    simulator.enqueue([Respond(200, {}, b"done")])
    async with await dial(simulator) as stream:
        head = call(simulator, "transfer-encoding: chunked", "expect: 100-continue", body=b"")
        await stream.send_all(head)
        go_on = await read_until(stream, b"\r\n\r\n")
        await stream.send_all(b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY))
        data = await read_until(stream, b"done")
    assert go_on.startswith(b"HTTP/1.1 100")
    assert data.startswith(b"HTTP/1.1 200")
    assert simulator.requests[0].raw == BODY


async def test_a_peer_that_asks_to_close_is_closed(simulator: Simulator) -> None:
    """After ``Connection: close`` the answer is the last."""
    async with await dial(simulator) as stream:
        length = f"content-length: {len(BODY)}"
        await stream.send_all(call(simulator, length, "connection: close"))
        data = await read_until(stream, b"never")
    assert data.endswith(b"0\r\n\r\n")
    assert b"connection: close" in data.lower()


async def test_a_head_request_gets_no_body(simulator: Simulator) -> None:
    """The answer to HEAD is the head, and the connection stays in step."""
    async with await dial(simulator) as stream:
        await stream.send_all(b"HEAD / HTTP/1.1\r\nhost: x\r\n\r\n" * 2)
        data = await read_until(stream, b"\r\n\r\n")
        while data.count(b"\r\n\r\n") < 2:
            data += await read_until(stream, b"\r\n\r\n")
    assert data.count(b"HTTP/1.1 404") == 2
    assert b"UnknownOperationException" in data
    assert b"{" not in data


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"hello\r\n\r\n", b"HTTP/1.1 400"),
        (b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"x" * 70_000, b"HTTP/1.1 431"),
        (b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", b"HTTP/1.1 400"),
    ],
)
async def test_bytes_that_are_no_http_are_refused(
    simulator: Simulator, client: httpx.AsyncClient, data: bytes, answer: bytes
) -> None:
    """The peer is told and its connection closed; others do not notice."""
    async with await dial(simulator) as stream:
        await stream.send_all(data)
        assert (await read_until(stream, b"never")).startswith(answer)
    assert (await client.post(GENERATE_PATH, content=BODY)).status_code == 200


@pytest.mark.parametrize("sent", [slice(0), slice(20), slice(-1)])
async def test_a_peer_that_leaves_early_leaves_no_trace(
    simulator: Simulator, client: httpx.AsyncClient, sent: slice
) -> None:
    """A connection that ends before its request is whole makes no record, and harms nobody."""
    async with await dial(simulator) as stream:
        await stream.send_all(call(simulator)[sent])
    assert (await client.post(GENERATE_PATH, content=BODY)).status_code == 200
    assert len(simulator.requests) == 1


async def test_a_peer_that_has_just_left_is_noticed(nursery: trio.Nursery) -> None:
    """In the very instant before a request takes effect, though nobody has read the end of its connection yet."""
    simulator = Simulator()
    await nursery.start(simulator.serve)
    gate = trio.Event()
    simulator.enqueue_refresh([WaitFor(gate), Proceed()])
    stream = await dial(simulator)
    await stream.send_all(b'POST /refreshToken HTTP/1.1\r\nhost: x\r\ncontent-length: 20\r\n\r\n{"refreshToken":"a"}')
    [record] = await simulator.wait_requests(1)
    await trio.testing.wait_all_tasks_blocked()
    stream.socket.close()
    gate.set()
    await record.finished.wait()
    assert (record.outcome, record.status, simulator.accounts.grants) == ("cut_by_peer", None, [])


async def test_a_peer_that_has_broken_off_is_noticed() -> None:
    """A reset counts as an end, an open connection does not."""
    listener, stream = await open_pair()
    async with listener, stream:
        connection = Connection(listener, admit=lambda _: [], proceed=lambda _: [])
        assert not connection._has_peer_left()
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        stream.socket.close()
        assert connection._has_peer_left()


async def open_pair() -> tuple[trio.SocketStream, trio.SocketStream]:
    """Two ends of a connection on the loopback interface."""
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        ours = await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])
        return await listener.accept(), ours
