"""An upstream that speaks bytes: for what no HTTP server would do."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio

from kiro2api.protocol.eventstream.encoder import encode_message
from tests.support.upstream_events import text_message

HELLO_FRAME = encode_message(text_message("Hello"))
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\n"
"""Without the blank line, for further headers."""

type Play = Callable[[trio.SocketStream], Awaitable[None]]


@dataclass(slots=True, kw_only=True)
class RawUpstream:
    """What it was asked, and where it listens."""

    port: int
    plays: list[Play]
    """One for each connection; the last one for all that come after."""
    connections: int = 0
    closed: list[float] = field(default_factory=list)
    """When each connection was over, in Trio's time."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, stream: trio.SocketStream) -> None:
        """One connection, from its first byte to its last."""
        play = self.plays[min(self.connections, len(self.plays) - 1)]
        self.connections += 1
        try:
            async with stream:
                await play(stream)
        except trio.BrokenResourceError:
            pass
        finally:
            self.closed.append(trio.current_time())


@asynccontextmanager
async def raw_upstream(*plays: Play) -> AsyncIterator[RawUpstream]:
    """A server on a port of its own; connections that are still open are closed at the end."""
    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        upstream = RawUpstream(port=listener.socket.getsockname()[1], plays=list(plays))
        await nursery.start(trio.serve_listeners, upstream.serve, [listener])
        yield upstream
        nursery.cancel_scope.cancel("the test is over")


def say(data: bytes, *, read: int | None = None) -> Play:
    """Reads one request, or only ``read`` bytes of it, says ``data`` and closes."""

    async def play(stream: trio.SocketStream) -> None:
        if read is None:
            await _read_request(stream)
        else:
            await stream.receive_some(read)
        await stream.send_all(data)

    return play


def keep_silent(before: bytes = b"") -> Play:
    """Says ``before``, then nothing, until the peer has closed."""

    async def play(stream: trio.SocketStream) -> None:
        await stream.send_all(before)
        while await stream.receive_some():
            pass

    return play


def encode_chunked(*parts: bytes) -> bytes:
    """A chunked body with its header and its end."""
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return b"transfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


async def _read_request(stream: trio.SocketStream) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = await stream.receive_some()
        if not piece:
            return
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        int(line.partition(b":")[2]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
    )
    missing = length - len(body)
    while missing > 0 and (piece := await stream.receive_some()):
        missing -= len(piece)
