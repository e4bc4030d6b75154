"""Every stream ends, what a client does not take waits, and no frame ends more than its own connection."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import h2.events
import pytest
import trio
from h2.errors import ErrorCodes
from hyperframe.frame import ContinuationFrame, DataFrame, HeadersFrame, PingFrame, PriorityFrame, RstStreamFrame

from kiro2api.edge.buffers import HIGH_WATER
from kiro2api.edge.http2 import MAX_REQUESTS
from kiro2api.routes.life import INVITE_BODY
from tests.support.edge import Message, Peer, Receive, Send, answer, read_request, serving, socket_pair, wait_disconnect
from tests.support.proxy import until
from tests.support.rawhttp import HUGE_WINDOW, Http2Client

KERNEL_BYTES = 1_000_000
"""More than a pair of sockets keeps."""

type App = Callable[[Message, Receive, Send], Awaitable[None]]

PSEUDO = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"proxy"), (b":path", b"/")]


async def _echo(scope: Message, receive: Receive, send: Send) -> None:
    """Answers with path and body; at once if the path says so."""
    body = b"" if scope["path"] == "/early" else await read_request(receive)
    await answer(send, scope["path"].encode() + b" " + body, status=401 if scope["path"] == "/early" else 200)


async def _pour(_scope: Message, receive: Receive, send: Send) -> None:
    """Answers without an end, until the client leaves."""
    async with trio.open_nursery() as nursery:

        async def pour() -> None:
            await answer(send, b"x" * 10_000, more=True)
            while True:
                await send({"type": "http.response.body", "body": b"x" * 10_000, "more_body": True})

        nursery.start_soon(pour)
        await wait_disconnect(receive)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def _client(
    app: App = _echo,
    *,
    window: int = 65_535,
    **terms: Any,  # noqa: ANN401  those of serving
) -> AsyncIterator[tuple[Http2Client, Peer]]:
    async with serving(app, **terms) as peer, Http2Client(peer.stream, window=window) as client:
        yield client, peer


def _replace(name: bytes, value: bytes) -> list[tuple[bytes, bytes]]:
    return [(known, value if known == name else content) for known, content in PSEUDO]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        pytest.param(_replace(b":path", b"/\xff"), "400", id="path that is no ASCII"),
        pytest.param(_replace(b":method", b"G\xffT"), "400", id="method that is no ASCII"),
        pytest.param([(b":method", b"CONNECT"), (b":authority", b"proxy:443")], "501", id="CONNECT"),
        pytest.param([*_replace(b":method", b"CONNECT"), (b":protocol", b"websocket")], "501", id="extended CONNECT"),
        pytest.param([*PSEUDO, *((b"x-%d" % n, b"y") for n in range(100))], "431", id="fields"),
    ],
)
async def test_a_head_is_refused(fields: list[tuple[bytes, bytes]], status: str) -> None:
    """With a status and a reason in JSON; the connection goes on, idle as it was."""
    async with _client() as (client, peer):
        stream_id = await client.send_head(fields, end_stream=False)
        await client.wait(h2.events.StreamEnded, stream_id)
        assert client.find_status(stream_id) == status
        assert client.join_body(stream_id).startswith(b'{"type": "error", "error": {"type": "invalid_request_error"')
        assert await client.fetch("GET", "/next") == ("200", b"/next ")
        assert peer.log.lines == []


async def test_extended_connect_is_not_offered() -> None:
    """No settings of ours invite a WebSocket."""
    async with _client() as (client, _):
        await client.wait(h2.events.RemoteSettingsChanged)
        assert client.connection.remote_settings.enable_connect_protocol == 0


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param([PriorityFrame(2 * n + 101, stream_weight=1) for n in range(1500)], id="priorities"),
        pytest.param([PingFrame(0, opaque_data=b"12345678") for _ in range(5000)], id="pings"),
        pytest.param([DataFrame(1, data=b"x") for _ in range(3)], id="data on a stream that is over"),
        pytest.param([RstStreamFrame(1, error_code=8) for _ in range(3)], id="resets of a stream that is over"),
    ],
)
async def test_frames_are_survived(frames: list[PingFrame]) -> None:
    """The connection goes on."""
    async with _client() as (client, peer):
        assert await client.fetch("GET", "/") == ("200", b"/ ")
        await client.stream.send_all(b"".join(frame.serialize() for frame in frames))
        assert await client.fetch("GET", "/next") == ("200", b"/next ")
        assert peer.log.lines == []


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x00\xff\xff\xff\xff\xff\xff\xff\xff" * 10, id="garbage"),
        pytest.param(b"\xff\xff\xff", id="the length of a frame that is too long"),
        pytest.param(
            HeadersFrame(1, data=b"\x82").serialize()
            + b"".join(ContinuationFrame(1, data=b"\x82" * 1000).serialize() for _ in range(4000)),
            id="continuations",
        ),
        pytest.param(HeadersFrame(1, data=b"\xff" * 50, flags=["END_HEADERS"]).serialize(), id="bad compression"),
        pytest.param(DataFrame(7, data=b"x").serialize(), id="data on an idle stream"),
    ],
)
async def test_a_broken_connection_is_told_so_and_closed(data: bytes) -> None:
    """It ends with GOAWAY, and is no failure of ours."""
    async with _client() as (client, peer):
        await client.stream.send_all(data)
        await client.wait(h2.events.ConnectionTerminated)
        await client.wait_closed()
        assert peer.log.lines == []


async def test_data_behind_an_early_answer_is_stopped() -> None:
    """The answer ends, the upload is reset without an error, what is under way does no harm."""
    async with _client() as (client, peer):
        stream_id = await client.request("POST", "/early", body=b"")
        frames = b"".join(DataFrame(stream_id, data=b"x" * 10_000).serialize() for _ in range(5))
        await client.stream.send_all(frames)
        await client.wait(h2.events.StreamEnded, stream_id)
        reset = await client.wait(h2.events.StreamReset, stream_id)
        await client.stream.send_all(frames)
        assert (client.find_status(stream_id), reset.error_code) == ("401", ErrorCodes.NO_ERROR)
        assert await client.fetch("GET", "/next") == ("200", b"/next ")
        assert peer.log.lines == []


async def test_a_large_body_arrives() -> None:
    """Windows are granted anew while it is read."""
    async with _client() as (client, _):
        body = b"0123456789" * 500_000
        status, echoed = await client.fetch("POST", "/", body=body)
        assert (status, echoed) == ("200", b"/ " + body)


@pytest.mark.parametrize("window", [65_535, HUGE_WINDOW])
async def test_an_answer_waits_for_its_client(window: int) -> None:
    """Neither a small window nor a huge one lets an application run ahead of what is read."""
    sent: list[int] = []

    async def app(_scope: Message, _receive: Receive, send: Send) -> None:
        await answer(send, b"", more=True)
        while True:
            await send({"type": "http.response.body", "body": b"x" * 10_000, "more_body": True})
            sent.append(10_000)

    async with _client(app, pair=socket_pair, window=window) as (client, _):
        await client.request("GET", "/")
        await client.wait(h2.events.ResponseReceived)
        client.is_granting = False
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert sum(sent) <= (65_535 if window == 65_535 else KERNEL_BYTES) + 3 * HIGH_WATER


async def test_a_stream_that_is_not_read_is_reset(autojump_clock: trio.testing.MockClock) -> None:
    """Its application is told; another stream of the connection, and its next one, are served."""
    del autojump_clock
    async with _client(_pour, send_seconds=7) as (client, peer):
        client.is_granting = False
        stalled = await client.request("GET", "/")
        began = trio.current_time()
        reset = await client.wait(h2.events.StreamReset, stalled, seconds=20)
        assert trio.current_time() - began == pytest.approx(7)
        assert reset.error_code == ErrorCodes.CANCEL
        assert peer.log.lines == [("client_stalled", {})]
        client.is_granting = True
        client.connection.increment_flow_control_window(65_535)
        other = await client.request("GET", "/")
        await client.wait(h2.events.DataReceived, other)


async def test_the_end_of_an_answer_that_is_not_read_is_waited_for_as_long(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Also the last bytes of an answer have to be taken in time."""
    del autojump_clock

    async def app(_scope: Message, _receive: Receive, send: Send) -> None:
        await answer(send, b"x" * 80_000)

    async with _client(app, send_seconds=7) as (client, _):
        client.is_granting = False
        stream_id = await client.request("GET", "/")
        began = trio.current_time()
        await client.wait(h2.events.StreamReset, stream_id, seconds=60)
        assert trio.current_time() - began == pytest.approx(7)


async def test_a_stream_that_is_read_slowly_is_served(autojump_clock: trio.testing.MockClock) -> None:
    """The deadline counts from the last progress."""
    del autojump_clock

    async def app(_scope: Message, _receive: Receive, send: Send) -> None:
        await answer(send, b"x" * 300_000)

    async with _client(app, send_seconds=7) as (client, peer):
        client.is_granting = False
        stream_id = await client.request("GET", "/")
        began = trio.current_time()
        while True:
            with trio.move_on_after(6):
                await client.wait(h2.events.StreamEnded, stream_id, seconds=60)
                break
            client.connection.increment_flow_control_window(20_000)
            client.connection.increment_flow_control_window(20_000, stream_id)
            await client.flush()
        assert len(client.join_body(stream_id)) == 300_000
        assert trio.current_time() - began > 60
        assert peer.log.lines == []


@pytest.mark.parametrize("leave", ["reset", "close"])
async def test_a_client_that_leaves_is_noticed(leave: str) -> None:
    """Also while its application waits for it to take the end of an answer."""
    gone: list[str] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await answer(send, b"x" * 200_000)
        await wait_disconnect(receive)
        gone.append(scope["path"])

    async with _client(app) as (client, peer):
        client.is_granting = False
        stream_id = await client.request("GET", "/left")
        await client.wait(h2.events.DataReceived, stream_id)
        if leave == "reset":
            await client.reset(stream_id)
            await until(lambda: bool(gone))
        await client.stream.aclose()
        with trio.fail_after(5):
            await peer.ended.wait()
        assert gone == ["/left"]


@pytest.mark.parametrize("error", [ValueError, None])
async def test_an_answer_that_does_not_end_is_reset(error: type[Exception] | None) -> None:
    """Whether its application fails or just returns; the connection goes on."""

    async def app(scope: Message, _receive: Receive, send: Send) -> None:
        await answer(send, more=scope["path"] == "/")
        if error is not None:
            raise error

    async with _client(app) as (client, _):
        stream_id = await client.request("GET", "/")
        reset = await client.wait(h2.events.StreamReset, stream_id)
        assert reset.error_code == ErrorCodes.INTERNAL_ERROR
        assert await client.fetch("GET", "/next") == ("200", b"hello")


async def test_an_answer_that_http2_cannot_carry_is_reset() -> None:
    """Its client need not wait for an end that would never come."""

    async def app(_scope: Message, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"te", b"gzip")]})
        await send({"type": "http.response.body", "body": b"hello", "more_body": False})

    async with _client(app) as (client, _):
        stream_id = await client.request("GET", "/")
        await client.wait(h2.events.StreamReset, stream_id)


async def test_a_refused_upload_does_no_harm() -> None:
    """What comes in one piece with a head that is refused is counted and dropped."""
    async with _client() as (client, peer):
        stream_id = client.connection.get_next_available_stream_id()
        client.connection.send_headers(stream_id, [*_replace(b":path", b"/\xff")])
        client.connection.send_data(stream_id, b"x" * 10_000, end_stream=True)
        await client.flush()
        await client.wait(h2.events.StreamEnded, stream_id)
        assert client.find_status(stream_id) == "400"
        assert await client.fetch("POST", "/", body=b"x" * 100_000) == ("200", b"/ " + b"x" * 100_000)
        assert peer.log.lines == []


async def test_an_application_that_fails_at_once_is_answered_for() -> None:
    """With a 500, which on HTTP/2 has no word about the connection."""

    async def app(_scope: Message, _receive: Receive, _send: Send) -> None:
        raise ValueError

    async with _client(app) as (client, _):
        assert await client.fetch("GET", "/") == ("500", b"")


async def test_a_connection_takes_so_many_requests() -> None:
    """Then it says goodbye: the open stream ends whole, a new one is refused without harm."""
    release = trio.Event()

    async def app(scope: Message, _receive: Receive, send: Send) -> None:
        if scope["path"] == "/slow":
            await release.wait()
        await answer(send)

    async with _client(app) as (client, _):
        slow = await client.request("GET", "/slow")
        for _ in range(MAX_REQUESTS - 2):
            stream_id = await client.request("GET", "/")
            await client.reset(stream_id)
        last = await client.request("GET", "/")
        # h2 takes the connection for closed when it hears GOAWAY: what comes behind it is looked at as it is.
        rest = b""
        while b"\x00\x00\x08\x07\x00" not in rest:
            rest += bytes(await client.stream.receive_some())
        release.set()
        with trio.fail_after(5):
            while DataFrame(slow, data=b"hello", flags=["END_STREAM"]).serialize() not in rest:
                rest += bytes(await client.stream.receive_some())
        head = HeadersFrame(last + 2, data=b"\x82\x86\x84\x01\x05proxy", flags=["END_HEADERS", "END_STREAM"])
        await client.stream.send_all(head.serialize())
        refused = RstStreamFrame(last + 2, error_code=ErrorCodes.REFUSED_STREAM).serialize()
        with trio.fail_after(5):
            while refused not in rest:
                rest += bytes(await client.stream.receive_some())


async def test_an_idle_connection_is_told_and_closed(autojump_clock: trio.testing.MockClock) -> None:
    """Also after its only stream was reset by the client."""
    del autojump_clock
    async with _client(_pour, header_seconds=5) as (client, _):
        stream_id = await client.request("GET", "/")
        await client.wait(h2.events.ResponseReceived, stream_id)
        await client.reset(stream_id)
        began = trio.current_time()
        await client.wait(h2.events.ConnectionTerminated, seconds=20)
        await client.wait_closed()
        assert trio.current_time() - began == pytest.approx(5)


async def test_a_stop_says_goodbye() -> None:
    """The client opens no new stream here, and the open one ends whole."""
    release = trio.Event()

    async def app(_scope: Message, _receive: Receive, send: Send) -> None:
        await release.wait()
        await answer(send)

    async with _client(app) as (client, peer):
        stream_id = await client.request("GET", "/")
        await trio.testing.wait_all_tasks_blocked()
        await peer.context.terminated.set()
        await peer.connection.say_goodbye()
        release.set()
        rest = b""
        with trio.fail_after(5):
            while piece := await client.stream.receive_some():
                rest += bytes(piece)
        assert b"\x07\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00" in rest
        assert DataFrame(stream_id, data=b"hello", flags=["END_STREAM"]).serialize() in rest


async def test_an_end_resets_what_is_open() -> None:
    """When the server's grace is over, no stream looks whole."""
    async with _client(_pour) as (client, peer):
        stream_id = await client.request("GET", "/")
        await client.wait(h2.events.ResponseReceived, stream_id)
        await peer.connection.end()
        reset = await client.wait(h2.events.StreamReset, stream_id)
        assert reset.error_code == ErrorCodes.INTERNAL_ERROR


async def test_a_body_is_asked_for_if_it_is_wanted() -> None:
    """``100 Continue`` exists here too."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await scope["state"][INVITE_BODY]()
        await answer(send, await read_request(receive))

    async with _client(app) as (client, _):
        stream_id = await client.request("POST", "/", body=b"", fields=[("expect", "100-continue")])
        await client.wait(h2.events.InformationalResponseReceived, stream_id)
        await client.upload(stream_id, b"hello")
        await client.wait(h2.events.StreamEnded, stream_id)
        assert client.join_body(stream_id) == b"hello"
        client.events.clear()
        await client.fetch("GET", "/")
        assert not [event for event in client.events if isinstance(event, h2.events.InformationalResponseReceived)]
