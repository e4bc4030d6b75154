"""One connection of the edge in front of a small application, over streams in memory."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import trio
import trio.testing
from hypercorn.trio.worker_context import WorkerContext

from kiro2api.edge.connection import Connection
from kiro2api.edge.terms import EdgeConfig, Faults

type Message = dict[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]


class _Socket:
    """What the edge asks of a socket."""

    family = socket.AF_INET

    def getpeername(self) -> tuple[str, int]:
        return "127.0.0.1", 50_000

    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", 8080


@dataclass(slots=True)
class Lines:
    """Keeps what is logged."""

    lines: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def warning(self, event: str, **fields: object) -> None:
        self.lines.append((event, fields))


@dataclass(slots=True, kw_only=True)
class Peer:
    """The other end of a connection that is being served."""

    stream: Any
    """A half-closeable one."""
    connection: Connection
    config: EdgeConfig
    context: WorkerContext
    log: Lines
    ended: trio.Event
    """Set when the connection has ended."""
    scope: trio.CancelScope
    """Of the connection's task."""


def memory_pair() -> tuple[Any, Any]:
    """Streams that take everything at once."""
    return trio.testing.memory_stream_pair()


def lockstep_pair() -> tuple[Any, Any]:
    """Streams on which a write waits until the other end reads."""
    return trio.testing.lockstep_stream_pair()


def socket_pair() -> tuple[Any, Any]:
    """Streams on which a write waits when the kernel's buffer is full."""
    ours, theirs = trio.socket.socketpair()
    return trio.SocketStream(ours), trio.SocketStream(theirs)


@asynccontextmanager
async def serving(
    app: Callable[[Message, Receive, Send], Awaitable[None]],
    *,
    kind: type[Connection] = Connection,
    pair: Callable[[], tuple[Any, Any]] = memory_pair,
    **terms: Any,  # noqa: ANN401  those of EdgeConfig
) -> AsyncIterator[Peer]:
    """A connection to ``app`` over a pair of streams."""
    ours, theirs = pair()
    if not hasattr(theirs, "socket"):
        theirs.socket = _Socket()
    log = Lines()
    config = EdgeConfig(faults=Faults(log), **terms)
    context = WorkerContext(None)
    connection = kind(cast("Any", app), config, context, theirs)
    ended = trio.Event()
    async with trio.open_nursery() as nursery:

        async def serve(*, task_status: trio.TaskStatus[None]) -> None:
            task_status.started()
            try:
                await connection.run()
            finally:
                ended.set()
                await trio.aclose_forcefully(theirs)

        await nursery.start(serve)
        yield Peer(
            stream=ours,
            connection=connection,
            config=config,
            context=context,
            log=log,
            ended=ended,
            scope=nursery.cancel_scope,
        )
        nursery.cancel_scope.cancel("test is over")


async def answer(send: Send, body: bytes = b"hello", *, status: int = 200, more: bool = False) -> None:
    """The head of an answer with its body, or with the first piece of it."""
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def read_request(receive: Receive) -> bytes:
    """The body of a request, until its end or the client's."""
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body", False):
            return body


async def wait_disconnect(receive: Receive) -> None:
    """Returns when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
