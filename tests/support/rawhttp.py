"""Clients that send what they are told, also what no decent client would."""

import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.events
import h2.settings
import trio

type Fields = Iterable[tuple[str | bytes, str | bytes]]

HUGE_WINDOW = 2**31 - 1


async def connect(
    url: str, context: ssl.SSLContext | None = None
) -> trio.SocketStream | trio.SSLStream[trio.SocketStream]:
    """A connection to the host and port of ``url``."""
    parts = urlsplit(url)
    stream = await trio.open_tcp_stream(parts.hostname or "", parts.port or 0)
    if context is None:
        return stream
    secure = trio.SSLStream(stream, context, server_hostname=parts.hostname, https_compatible=True)
    await secure.do_handshake()
    return secure


async def read_all(stream: trio.abc.ReceiveStream, *, seconds: float = 5.0) -> bytes:
    """Everything until the peer closes; a reset counts as closing.

    Raises:
        trio.TooSlowError: It does not.
    """
    answer = b""
    with trio.fail_after(seconds):
        try:
            while piece := await stream.receive_some():
                answer += piece
        except trio.BrokenResourceError:
            pass
    return answer


async def exchange(url: str, data: bytes, *, seconds: float = 5.0) -> bytes:
    """What comes back for ``data`` until the server closes."""
    async with await connect(url) as stream:
        await stream.send_all(data)
        return await read_all(stream, seconds=seconds)


class Http2Client:
    """One HTTP/2 connection; nothing is checked on the way out.

    Args:
        stream: To the server.
        window: Bytes that the server may send on a stream, and on the whole connection, before it must wait.
    """

    def __init__(self, stream: trio.abc.Stream, *, window: int = 65_535) -> None:
        self.stream = stream
        self.events: list[h2.events.Event] = []
        self.is_granting = True
        """Whether what has been received is granted anew."""
        self.is_closed = False
        config = h2.config.H2Configuration(
            client_side=True,
            header_encoding="latin-1",
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self.connection = h2.connection.H2Connection(config)
        self.connection.initiate_connection()
        if window > 65_535:
            self.connection.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
            self.connection.increment_flow_control_window(window - 65_535)

    async def __aenter__(self) -> Self:
        await self.flush()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await trio.aclose_forcefully(self.stream)

    async def flush(self) -> None:
        if data := self.connection.data_to_send():
            await self.stream.send_all(data)

    async def request(self, method: str, path: str, *, body: bytes | None = None, fields: Fields = ()) -> int:
        """Sends a request, without the end of its body if ``body`` is empty, and returns the number of its stream."""
        head = [(":method", method), (":scheme", "http"), (":authority", "proxy"), (":path", path)]
        stream_id = await self.send_head([*head, *fields], end_stream=body is None)
        if body:
            await self.upload(stream_id, body)
        return stream_id

    async def send_head(self, fields: Fields, *, end_stream: bool = True) -> int:
        stream_id = self.connection.get_next_available_stream_id()
        self.connection.send_headers(stream_id, list(fields), end_stream=end_stream)
        await self.flush()
        return stream_id

    async def upload(self, stream_id: int, body: bytes) -> None:
        """All of ``body``, as fast as the server allows, and the end."""
        sent = 0
        while sent < len(body):
            room = min(self.connection.local_flow_control_window(stream_id), self.connection.max_outbound_frame_size)
            if room:
                self.connection.send_data(stream_id, body[sent : sent + room], end_stream=len(body) <= sent + room)
                sent += room
                await self.flush()
            else:
                await self.receive()

    async def reset(self, stream_id: int) -> None:
        self.connection.reset_stream(stream_id, 8)
        await self.flush()

    async def receive(self) -> None:
        """Waits for the next bytes, and keeps the events that they hold."""
        try:
            data = bytes(await self.stream.receive_some(65_536))
        except trio.BrokenResourceError:
            data = b""
        if not data:
            self.is_closed = True
            return
        found = self.connection.receive_data(data)
        self.events.extend(found)
        for event in found:
            if isinstance(event, h2.events.DataReceived) and self.is_granting and event.flow_controlled_length:
                self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        await self.flush()

    async def wait[E: h2.events.Event](self, kind: type[E], stream_id: int | None = None, *, seconds: float = 5) -> E:
        """The first event of a kind, of one stream if it is given.

        Raises:
            ConnectionError: The server closes before there is one.
            trio.TooSlowError: There is none in time.
        """
        with trio.fail_after(seconds):
            while True:
                for event in self.events:
                    if isinstance(event, kind) and stream_id in {None, getattr(event, "stream_id", None)}:
                        return event
                if self.is_closed:
                    raise ConnectionError("closed")
                await self.receive()

    async def wait_closed(self, *, seconds: float = 5) -> None:
        with trio.fail_after(seconds):
            while not self.is_closed:
                await self.receive()

    def find_status(self, stream_id: int) -> str:
        """The status of the answer, as far as it has come; empty if it has not."""
        for event in self.events:
            if isinstance(event, h2.events.ResponseReceived) and event.stream_id == stream_id:
                return next(str(value) for name, value in event.headers if str(name) == ":status")
        return ""

    def join_body(self, stream_id: int) -> bytes:
        """What has come of the answer's body."""
        return b"".join(
            event.data
            for event in self.events
            if isinstance(event, h2.events.DataReceived) and event.stream_id == stream_id
        )

    async def fetch(
        self, method: str, path: str, *, body: bytes | None = None, fields: Fields = ()
    ) -> tuple[str, bytes]:
        """Status and body of a whole exchange."""
        stream_id = await self.request(method, path, body=body, fields=fields)
        await self.wait(h2.events.StreamEnded, stream_id)
        return self.find_status(stream_id), self.join_body(stream_id)


@asynccontextmanager
async def http2(url: str, context: ssl.SSLContext | None = None, *, window: int = 65_535) -> AsyncIterator[Http2Client]:
    """A connection that begins with HTTP/2's preface."""
    async with Http2Client(await connect(url, context), window=window) as client:
        yield client


def render_head(method: str, path: str, fields: Mapping[str, str] | None = None) -> bytes:
    """The head of an HTTP/1.1 request."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "host: proxy",
        *(f"{name}: {value}" for name, value in (fields or {}).items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode()
