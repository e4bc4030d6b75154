"""Connections from listener to end: a loop of our own around hypercorn's protocols.

hypercorn's own loop can be given other connections only by changing a name inside its module, for the whole process;
this one is given them, runs no lifespan, and knows its connections, so that each can be told of a stop.
"""

import errno
from collections.abc import Awaitable, Callable, Sequence

import trio
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework

from kiro2api.edge.connection import Connection, Stream
from kiro2api.edge.terms import EdgeConfig

type Listener = trio.SocketListener | trio.SSLListener[trio.SocketStream]

PAUSE_SECONDS = 0.1
"""Before a connection is accepted again after it could not be."""
DROP_SECONDS = 0.01
"""The same, when another one is being closed for it."""

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
"""Errors that say nothing about the listener."""


class Edge:
    """Serves ``app`` to whoever connects.

    Args:
        app: An ASGI application; only its ``http`` scopes are used.
        config: On which terms.
    """

    def __init__(self, app: ASGIFramework, config: EdgeConfig) -> None:
        self._app = app
        self._config = config
        self._context = WorkerContext(None)
        self.connections: set[Connection] = set()
        """Those that are open now."""

    async def serve(
        self,
        listeners: Sequence[Listener],
        *,
        stop: Callable[[], Awaitable[object]],
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serves until ``stop`` returns and every connection has ended, or the grace is over; closes ``listeners``."""
        async with trio.open_nursery() as outer:
            async with trio.open_nursery() as connections:
                async with trio.open_nursery() as accepting:
                    for listener in listeners:
                        accepting.start_soon(self._accept, listener, connections)
                    task_status.started()
                    await stop()
                    accepting.cancel_scope.cancel("the server stops")
                await self._context.terminated.set()  # idle connections close now, others after their answer
                for connection in self.connections:
                    connections.start_soon(connection.say_goodbye)
                rest = connections.cancel_scope  # to cancel it when it has ended changes nothing
                outer.start_soon(self._end, rest)
            outer.cancel_scope.cancel("every connection has ended")

    async def _accept(self, listener: Listener, connections: trio.Nursery) -> None:
        """As Trio's own loop, with a limit of connections, and with few words when descriptors run out."""
        async with listener:
            while True:
                try:
                    stream = await listener.accept()
                except OSError as error:
                    if error.errno not in _EXHAUSTED:
                        raise
                    self._config.faults.report_seldom("descriptors_exhausted")
                    await trio.sleep(DROP_SECONDS if self._drop_idle() else PAUSE_SECONDS)
                else:
                    connections.start_soon(self._serve_connection, stream)

    async def _serve_connection(self, stream: Stream) -> None:
        try:
            if len(self.connections) < self._config.max_connections or self._drop_idle():
                connection = Connection(self._app, self._config, self._context, stream)
                self.connections.add(connection)
                try:
                    await connection.run()
                finally:
                    self.connections.discard(connection)
            else:
                self._config.faults.report_seldom("connection_refused")
        finally:
            await trio.aclose_forcefully(stream)

    def _drop_idle(self) -> bool:
        """Whether there was a connection without a request; the one that was so for longest is ended."""
        idle = [one for one in self.connections if one.idle_since is not None]
        if not idle:
            return False
        longest = min(idle, key=lambda one: one.idle_since or 0.0)
        self.connections.discard(longest)
        longest.drop()
        return True

    async def _end(self, scope: trio.CancelScope) -> None:
        await trio.sleep(self._config.graceful_timeout)
        async with trio.open_nursery() as ending:
            for connection in self.connections:
                ending.start_soon(connection.end)
        scope.cancel("the grace is over")
