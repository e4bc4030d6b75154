"""The client of the library coredis, with what is amiss in it put right.

Imported when the first connection is opened, not before: it takes a third of a second and 16 MiB.
"""

import logging
import ssl
from collections.abc import Coroutine
from typing import Any

import anyio
import anyio.abc
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from coredis import Redis
from coredis.connection import TCPConnection, TCPLocation
from coredis.pool import ConnectionPool
from coredis.retry import NoRetryPolicy

type Client = Redis[bytes]

MAX_CONNECTIONS = 4
"""One carries all calls; the library may open a further one while that one breaks."""

_CHANNELS = (MemoryObjectReceiveStream, MemoryObjectSendStream)

# What it logs, addresses included, its callers are told by its exceptions.
logging.getLogger("coredis").setLevel(logging.CRITICAL + 1)


class _Connection(TCPConnection):
    """A connection that, when it could not be opened, does not leave its channels to the garbage collector."""

    def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> Coroutine[Any, Any, None]:
        return self._run_and_close(super().run(task_status=task_status))

    async def _run_and_close(self, running: Coroutine[Any, Any, None]) -> None:
        try:
            await running
        finally:
            for value in vars(self).values():
                if isinstance(value, _CHANNELS):
                    value.close()


def build_client(  # noqa: PLR0913 - what an address has
    *,
    host: str,
    port: int,
    database: int,
    username: str | None,
    password: str | None,
    tls: ssl.SSLContext | None,
    connect_seconds: float,
) -> Client:
    """A client whose calls are made once: it connects with the first of them, not when it is entered."""
    pool = ConnectionPool(
        connection_class=_Connection,
        location=TCPLocation(host, port),
        max_connections=MAX_CONNECTIONS,
        db=database,
        username=username,
        password=password,
        ssl_context=tls,
        connect_timeout=connect_seconds,
    )
    return Redis(connection_pool=pool, verify_version=False, retry_policy=NoRetryPolicy())
