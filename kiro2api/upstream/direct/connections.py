"""Connections to servers: opened, read, written, and kept for the next request."""

import os
import select
import ssl
from collections import deque
from dataclasses import dataclass, field
from typing import Final

import trio

READ_BYTES: Final = 65_536
"""Of one read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a connection leads; connections of one origin are worth the same."""

    scheme: str
    host: str
    """As in certificates: without brackets, in ASCII."""
    port: int


@dataclass(slots=True, kw_only=True, eq=False)
class Connection:
    """One connection; who has it closes it or gives it back."""

    origin: Origin
    socket: trio.socket.SocketType
    stream: trio.abc.Stream
    """TLS or the socket itself."""

    async def read(self) -> bytes:
        """What has come, at least a byte; nothing at the end.

        A plain socket is read without Trio's layers over it, and only when there is something: a fifth of what an
        event costs otherwise.

        Raises:
            trio.BrokenResourceError: The connection broke.
            OSError: The same.
        """
        if isinstance(self.stream, trio.SSLStream):
            return bytes(await self.stream.receive_some(READ_BYTES))
        while True:
            await trio.lowlevel.wait_readable(self.socket)
            try:
                return os.read(self.socket.fileno(), READ_BYTES)
            except BlockingIOError:
                continue

    async def write(self, data: bytes) -> None:
        """Sends all of ``data``.

        Raises:
            trio.BrokenResourceError: The connection broke.
        """
        await self.stream.send_all(data)

    def is_quiet(self) -> bool:
        """Whether nothing has come, not even the end: what has come unasked is no answer to anything."""
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        """Closes it at once, without a farewell and without waiting."""
        self.socket.close()


async def open_connection(origin: Origin, context: ssl.SSLContext | None) -> Connection:
    """A new connection; ``context`` is for TLS.

    Raises:
        OSError: Nobody listens there.
        trio.BrokenResourceError: No TLS, or a certificate that proves nothing.
    """
    plain = await trio.open_tcp_stream(origin.host, origin.port)
    if context is None:
        return Connection(origin=origin, socket=plain.socket, stream=plain)
    tls = trio.SSLStream(plain, context, server_hostname=origin.host, https_compatible=True)
    try:
        await tls.do_handshake()
    except BaseException:
        plain.socket.close()
        raise
    return Connection(origin=origin, socket=plain.socket, stream=tls)


@dataclass(slots=True, kw_only=True)
class _Idle:
    connection: Connection
    until: float


@dataclass(slots=True, kw_only=True)
class IdleConnections:
    """Connections that wait for a request, by where they lead; the one used last is the first to be used again.

    Args:
        max_count: Of all; beyond it the one that has waited longest goes.
        seconds: That one may wait.
    """

    max_count: int
    seconds: float
    _idle: dict[Origin, deque[_Idle]] = field(default_factory=dict)
    _count: int = 0

    def __len__(self) -> int:
        return self._count

    def take(self, origin: Origin) -> Connection | None:
        """A connection that is as good as new, if there is one; the caller's from now on."""
        self._drop_expired()
        while waiting := self._idle.get(origin):
            idle = waiting.pop()
            self._count -= 1
            if idle.connection.is_quiet():
                return idle.connection
            idle.connection.close()
        return None

    def give(self, connection: Connection) -> None:
        """Takes a connection whose last answer was read to its end."""
        self._drop_expired()
        until = trio.current_time() + self.seconds
        self._idle.setdefault(connection.origin, deque()).append(_Idle(connection=connection, until=until))
        self._count += 1
        if self._count > self.max_count:
            self._drop_oldest(min(filter(None, self._idle.values()), key=lambda waiting: waiting[0].until))

    def close(self) -> None:
        """Closes all."""
        for waiting in self._idle.values():
            for idle in waiting:
                idle.connection.close()
        self._idle.clear()
        self._count = 0

    def _drop_expired(self) -> None:
        """At every origin: one that is asked no more would keep its connections, and the places of others."""
        now = trio.current_time()
        for waiting in self._idle.values():
            while waiting and waiting[0].until <= now:
                self._drop_oldest(waiting)

    def _drop_oldest(self, waiting: deque[_Idle]) -> None:
        waiting.popleft().connection.close()
        self._count -= 1
