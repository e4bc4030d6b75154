"""One connection: whatever happens on it ends it, in bounded time, and nothing else.

hypercorn's own class leaves its nursery to any exception but OSError, and shields its writes without a deadline. Here
every wait has one: for the handshake, a head, the progress of a write, the close.
"""

import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import cast

import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H2ProtocolAssumedError
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import MAX_RECV, TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import (
    AppWrapper,
    ASGIFramework,
    ASGIReceiveEvent,
    ASGISendEvent,
    ConnectionState,
    Scope,
)
from hypercorn.utils import parse_socket_addr

from kiro2api.edge.http1 import Http1Protocol
from kiro2api.edge.http2 import Http2Protocol
from kiro2api.edge.sinks import ChunkSink
from kiro2api.edge.terms import EdgeConfig

WRITE_BYTES = 65_536
"""In one write: a client that takes so much within the deadline is slow, but not stalled."""
LINGER_SECONDS = 2.0
"""For a client that is still sending when it has its answer: closed at once, it might lose the answer to a reset."""
CLOSE_SECONDS = 1.0
"""For closing."""
HURRY_SECONDS = 0.5
"""For a write to a client that has left or been idle, or when the server's grace is over."""

type Stream = trio.SSLStream[trio.SocketStream] | trio.SocketStream
type Send = Callable[[ASGISendEvent | None], Awaitable[None]]
type _Address = tuple[str, int] | None
type _Description = tuple[
    AppWrapper,
    EdgeConfig,
    WorkerContext,
    TaskGroup,
    ConnectionState,
    bool,
    _Address,
    _Address,
    Callable[[Event], Awaitable[None]],
]


class Tasks(TaskGroup):
    """A connection's tasks. One that runs the application fails alone, and what nobody receives blocks nobody."""

    _nursery: trio.Nursery  # type: ignore[mutable-override]  # while tasks are spawned, there is one

    async def spawn_app(
        self, app: AppWrapper, config: Config, scope: Scope, send: Send
    ) -> Callable[[ASGIReceiveEvent], Awaitable[None]]:
        put, take = trio.open_memory_channel[ASGIReceiveEvent](config.max_app_queue_size)

        async def put_unless_over(event: ASGIReceiveEvent) -> None:
            with suppress(trio.BrokenResourceError):
                await put.send(event)

        async def run_app() -> None:
            with take:
                try:
                    await cast("ASGIFramework", app)(scope, take.receive, send)
                except* Exception as group:  # noqa: BLE001  reported; other streams of the connection go on
                    cast("EdgeConfig", config).faults.report("answer_failed", group)
            await send(None)

        self._nursery.start_soon(run_app)
        return put_unless_over


class Connection(TCPServer):
    """One connection of a client; ``run`` serves it to its end, and raises nothing but ``Cancelled``."""

    config: EdgeConfig  # type: ignore[mutable-override]  # nobody sets another one
    protocol: Http1Protocol | Http2Protocol  # type: ignore[assignment]  # without the wrapper that builds hypercorn's own
    stream: Stream  # type: ignore[assignment]  # either; hypercorn asks for the one and looks for the other

    def __init__(self, app: ASGIFramework, config: EdgeConfig, context: WorkerContext, stream: Stream) -> None:
        secure = cast("trio.SSLStream[trio.SocketStream]", stream)
        super().__init__(cast("AppWrapper", app), config, context, {}, secure)
        self._send_seconds = config.send_seconds
        self._writing = trio.CancelScope()
        self._reading = trio.CancelScope()
        self._serving = trio.CancelScope()
        self.idle_since: float | None = trio.current_time()
        """Since when no request is being answered or read beyond its head."""
        self._dropped = trio.Event()
        self._is_lingering = False
        self._is_over = False
        """Nothing more will be read."""

    async def run(self) -> None:
        try:
            with self._serving:
                await self._serve()
        except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
            pass  # the client has gone, or has never said anything
        except* Exception as group:  # noqa: BLE001  reported; other connections go on
            self.config.faults.report("connection_failed", group)

    def drop(self) -> None:
        """Ends an idle connection at once, without a word: its client will open another."""
        self._hurry()
        self._serving.cancel("room is needed")

    async def say_goodbye(self) -> None:
        """Tells the client, if its version of HTTP knows a way, that no new request is served here."""
        if isinstance(protocol := getattr(self, "protocol", None), Http2Protocol):
            await protocol.say_goodbye()

    async def end(self) -> None:
        """Cuts what is still being answered, in a way that the client cannot take for an end."""
        self._hurry()
        if isinstance(protocol := getattr(self, "protocol", None), Http2Protocol):
            await protocol.end_streams()

    async def protocol_send(self, event: Event) -> None:
        if isinstance(event, Updated):
            self.idle_since = trio.current_time() if event.idle else None
        if isinstance(event, RawData):
            await self._write(event.data)
        elif isinstance(event, Closed):
            await self._close()
            await self.protocol.handle(Closed())
        elif not (isinstance(event, Updated) and event.idle and self._is_over):
            await super().protocol_send(event)

    async def _serve(self) -> None:
        kind: type[Http1Protocol | Http2Protocol] = Http1Protocol
        if isinstance(self.stream, trio.SSLStream):
            with trio.fail_after(self.config.keep_alive_timeout):
                await self.stream.do_handshake()
            if self.stream.selected_alpn_protocol() == "h2":
                kind = Http2Protocol
        async with Tasks() as tasks:
            self._task_group = tasks
            self.protocol = kind(*self._describe())
            if isinstance(self.protocol, Http1Protocol) and isinstance(self.stream, trio.SocketStream):
                try_write = partial(self._try_write, self.stream.socket)
                self.protocol.new_sink = partial(ChunkSink, try_write, self._write)
            try:
                await self.protocol.initiate()
                await self.idle_task.restart(tasks, self._idle_timeout)
                await self._read_data()
            finally:
                with trio.move_on_after(CLOSE_SECONDS, shield=True):
                    await super()._close()

    def _describe(self) -> _Description:
        """What either protocol is built from."""
        is_tls = isinstance(self.stream, trio.SSLStream)
        socket = (self.stream.transport_stream if isinstance(self.stream, trio.SSLStream) else self.stream).socket
        return (
            self.app,
            self.config,
            self.context,
            self._task_group,
            ConnectionState({}),
            is_tls,
            parse_socket_addr(socket.family, socket.getpeername()),
            parse_socket_addr(socket.family, socket.getsockname()),
            self.protocol_send,
        )

    async def _read_data(self) -> None:
        try:
            with self._reading:
                while data := bytes(await self.stream.receive_some(MAX_RECV)):
                    if not self._is_lingering:
                        await self._receive(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # an end like any other
        self._is_over = True
        self._hurry()
        await self.idle_task.stop()
        await self.protocol.handle(Closed())

    async def _receive(self, data: bytes) -> None:
        try:
            await self.protocol.handle(RawData(data))
        except H2ProtocolAssumedError as error:
            self.protocol = Http2Protocol(*self._describe())
            await self.protocol.initiate()
            await self.protocol.handle(RawData(error.data))

    def _try_write(self, socket: trio.socket.SocketType, data: bytes) -> bytes:
        """Sends what the client takes of ``data`` at once, and returns the rest, which must be sent next.

        The socket is asked for its descriptor each time: it has none when it is closed, and the number that it had may
        be that of somebody else's connection by then.
        """
        if self.send_lock.locked() or self._dropped.is_set():
            return data
        try:
            sent = os.write(socket.fileno(), data)
        except OSError:  # it would block; or the connection is broken or closed, which shows when the rest is sent
            return data
        return data[sent:]

    async def _write(self, data: bytes) -> None:
        """Sends all of ``data``, or drops the connection: a cancelled task must not leave half of a frame behind."""
        # Bounded without a deadline at first: whoever holds the lock has one, and when it passes all who wait give up.
        if self._dropped.is_set():
            await trio.lowlevel.checkpoint()  # where an application that only writes learns that it is cancelled
            return
        with trio.CancelScope(shield=True) as scope:
            async with self.send_lock:
                if self._dropped.is_set():
                    return
                self._writing = scope
                # Busy: the reading task has met the end, and is closing what is written to here.
                with suppress(trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
                    for start in range(0, len(data), WRITE_BYTES):
                        scope.deadline = trio.current_time() + self._send_seconds
                        await self.stream.send_all(data[start : start + WRITE_BYTES])
                    return
        self._dropped.set()
        if scope.cancelled_caught and not self._is_over:
            self.config.faults.report("client_stalled")
        # The task that writes is often one that this ends: cancelled half-way, it would leave other streams untold.
        with trio.CancelScope(shield=True, deadline=trio.current_time() + CLOSE_SECONDS):
            await trio.aclose_forcefully(self.stream)
            await self.protocol.handle(Closed())

    def _hurry(self) -> None:
        self._send_seconds = min(self._send_seconds, HURRY_SECONDS)
        self._writing.deadline = min(self._writing.deadline, trio.current_time() + HURRY_SECONDS)

    async def _close(self) -> None:
        if self._is_over or not self.protocol.is_unread:
            with trio.move_on_after(CLOSE_SECONDS):
                await super()._close()
            return
        # TLS has no half-close: that the answer is whole stands in its head.
        self._is_lingering = True
        self._reading.deadline = trio.current_time() + LINGER_SECONDS
        if isinstance(self.stream, trio.abc.HalfCloseableStream):
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
                await self.stream.send_eof()

    async def _idle_timeout(self) -> None:
        with trio.move_on_after(self.config.keep_alive_timeout):
            await self.context.terminated.wait()
        with trio.CancelScope(shield=True, deadline=trio.current_time() + CLOSE_SECONDS) as scope:
            await self._initiate_server_close()
        if scope.cancelled_caught:
            await trio.aclose_forcefully(self.stream)

    async def _initiate_server_close(self) -> None:
        self._hurry()
        await self.say_goodbye()
        await super()._initiate_server_close()
