"""Streamed answers on their way from the upstream to the client.

A *pump* task in the request's nursery makes the answer. The response's head waits for its first bytes, so that an early
failure still gets its own status; when nothing has come for as long as a client should be left without a sign of life,
the head goes out, and from then on a failure is told inside the stream.

Until the head is out, the answer waits in a bounded channel. From then on there are two ways. On the short one the pump
itself writes to the client, and only a client that does not keep up costs a task switch. On the other one, for TLS and
HTTP/2, the response body takes the answer out of the channel and the server sends it. On both, a client that reads
slowly slows the pump, and the pump the upstream.
"""

from types import TracebackType
from typing import Protocol, Self

import trio
from quart.wrappers.response import ResponseBody

from kiro2api.errors import Kiro2ApiError
from kiro2api.protocol.exchange import Exchange
from kiro2api.routes.life import RequestLife
from kiro2api.routes.service import Log, Service
from kiro2api.upstream.sinks import Sink

CHANNEL_SIZE = 16
"""Upstream reads that may wait for a client; one has 64 KiB at most."""


class InternalError(Kiro2ApiError):
    """Our own defect; the text says nothing, the log says all."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__("Internal error of the proxy.", detail=repr(cause))


class Relay(Protocol):
    """Gets the answer and hands its bytes to a sink."""

    async def __call__(self, sink: Sink) -> None: ...


async def open_stream(
    service: Service, life: RequestLife, exchange: Exchange, relay: Relay, *, ping: bytes
) -> "EventBody":
    """The body of a response whose head may go out.

    Raises:
        Kiro2ApiError: There will be no answer, and nothing of one was sent.
    """
    channel = ChannelSink()
    pump = Pump(life, exchange, relay, channel, service.log)
    life.nursery.start_soon(pump.run)
    with trio.move_on_after(service.ping_seconds):
        await pump.decided.wait()
    if pump.failure is not None:
        raise pump.failure
    first = pump.commit()
    return EventBody(pump, channel, first=first, ping=ping, ping_seconds=service.ping_seconds)


class ChannelSink:
    """A sink whose other end takes out of a bounded channel what was offered."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[bytes](CHANNEL_SIZE)
        self._held = b""

    def offer(self, data: bytes) -> bool:
        try:
            self._send.send_nowait(data)
        except trio.WouldBlock:
            self._held = data
            return False
        return True

    async def flush(self) -> None:
        held, self._held = self._held, b""
        await self._send.send(held)

    def close(self) -> None:
        """Nothing more will be offered."""
        self._send.close()

    def stop(self) -> None:
        """Nothing more will be taken: who offers it learns that."""
        self._receive.close()

    async def receive(self) -> bytes:
        """What was offered first of what is left.

        Raises:
            trio.EndOfChannel: There is nothing left, and nothing to come.
        """
        return await self._receive.receive()

    def receive_waiting(self) -> bytes:
        """All that waits."""
        parts: list[bytes] = []
        try:
            while len(parts) < CHANNEL_SIZE:
                parts.append(self._receive.receive_nowait())
        except (trio.WouldBlock, trio.EndOfChannel):
            pass
        return b"".join(parts)


class Pump:
    """Makes the answer; never raises, since its failure would cut the response off."""

    def __init__(self, life: RequestLife, exchange: Exchange, relay: Relay, channel: ChannelSink, log: Log) -> None:
        self._life = life
        self._exchange = exchange
        self._relay = relay
        self._channel = channel
        self._sink: Sink = channel
        self._log = log
        self._is_committed = False
        self.decided = trio.Event()
        """Set when the first bytes of the answer are there, or it is certain that there will be none."""
        self.failure: Kiro2ApiError | None = None
        """Why there will be none; not set any more once the response is committed."""

    def commit(self) -> bytes:
        """Promises the client a stream; returns what it begins with if the answer itself has not begun."""
        self._is_committed = True
        return b"" if self.decided.is_set() else self._exchange.open()

    def turn_to(self, sink: Sink) -> None:
        """From now on the answer goes to ``sink``; nothing may wait in the channel."""
        self._sink = sink

    async def run(self) -> None:
        """Relays until the answer is over, then closes the channel, whichever way the answer went."""
        try:
            error = await self._run_relay()
            if error is not None:
                await self._fail(error)
        except trio.BrokenResourceError:
            pass  # the response is over before its body is: nobody is left to be told
        finally:
            self._channel.close()

    async def _run_relay(self) -> Kiro2ApiError | None:
        """Why there was no whole answer, if there was none."""
        try:
            with self._life.work:
                await self._relay(self)
        except Kiro2ApiError as error:
            return error
        except trio.BrokenResourceError:
            raise
        except Exception as defect:  # noqa: BLE001  told to the client and to the log; see the class
            self._log.error("pump_failed", request_id=self._life.request_id, exc_info=defect)
            return InternalError(defect)
        return self._life.abort_error if self._life.work.cancelled_caught else None

    def offer(self, data: bytes) -> bool:
        if not self._is_committed:
            self.decided.set()
        return self._sink.offer(data)

    async def flush(self) -> None:
        await self._sink.flush()

    async def _fail(self, error: Kiro2ApiError) -> None:
        self._life.fail(error)
        if not self._is_committed and not self.decided.is_set():
            self.failure = error
            self.decided.set()
        elif not self._sink.offer(self._exchange.render_failure(error)):
            await self._sink.flush()


class Turnable(Protocol):
    """Whoever makes the answer."""

    def turn_to(self, sink: Sink) -> None: ...


class EventBody(ResponseBody):
    """A streamed response body, which goes either way; silence is broken by pings."""

    def __init__(self, pump: Turnable, channel: ChannelSink, *, first: bytes, ping: bytes, ping_seconds: float) -> None:
        self._pump = pump
        self._channel = channel
        self._first = first
        self._ping = ping
        self._ping_seconds = ping_seconds

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._channel.stop()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """What waits, in one piece: the way through the server."""
        if self._first:
            first, self._first = self._first, b""
            return first + self._ping
        data: bytes | None = None
        with trio.move_on_after(self._ping_seconds):
            try:
                data = await self._channel.receive()
            except trio.EndOfChannel:
                raise StopAsyncIteration from None
        return self._ping if data is None else data + self._channel.receive_waiting()

    async def write_to(self, sink: Sink) -> None:
        """Writes what waits, then leaves the rest to the pump: the short way."""
        watched = WatchedSink(sink)
        waiting = self._first + self._ping if self._first else self._channel.receive_waiting()
        while waiting:
            if not watched.offer(waiting):
                await watched.flush()
            waiting = self._channel.receive_waiting()
        self._pump.turn_to(watched)
        due = trio.current_time() + self._ping_seconds
        while True:
            with trio.move_on_at(due):
                try:
                    await self._channel.receive()
                except trio.EndOfChannel:
                    return
            is_silent = trio.current_time() >= watched.used_at + self._ping_seconds and not watched.is_full
            if is_silent and not watched.offer(self._ping):
                await watched.flush()
            due = (trio.current_time() if watched.is_full else watched.used_at) + self._ping_seconds


class WatchedSink:
    """A sink of which is known when something went into it last, or was taken out of it after a wait."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.used_at = trio.current_time()
        self._waiting = 0

    @property
    def is_full(self) -> bool:
        """Whether something waits for the client to take it: a piece of the answer, a ping, or both."""
        return self._waiting > 0

    def offer(self, data: bytes) -> bool:
        self.used_at = trio.current_time()
        return self._sink.offer(data)

    async def flush(self) -> None:
        self._waiting += 1
        try:
            await self._sink.flush()
        finally:
            self._waiting -= 1
            self.used_at = trio.current_time()
