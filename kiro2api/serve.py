"""The proxy as a process: its socket, its background tasks, its signals and its end.

Order of death: requests, then the server, then the background tasks, then the HTTP client. A first SIGTERM or SIGINT
begins a graceful stop: the listener closes, ``/readyz`` says so, running answers may finish within the grace period,
and those that do not are told inside the stream. A second one ends the process at once.
"""

import logging
import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import trio
from hypercorn.config import Config
from hypercorn.trio import serve

from kiro2api.app import Program, build_client, build_program
from kiro2api.auth.credentials import Credential
from kiro2api.config import Settings
from kiro2api.routes.life import ShuttingDownError
from kiro2api.routes.service import Log

NOTICE_SECONDS = 1.0
"""Before the end of the grace period, for clients whose answers are cut to be told so; at most half of it."""
HEADER_SECONDS = 10.0
"""For a request's head from the moment of connecting, and for an idle connection until it is closed."""
BACKLOG = 512
"""Connections that the kernel keeps waiting to be accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What is being served, and where."""

    url: str
    """Base URL, port 0 already resolved; no slash at the end."""
    program: Program


async def run(
    settings: Settings,
    credentials: tuple[Credential, ...],
    *,
    log: Log,
    stop: Callable[[], Awaitable[None]] | None = None,
    task_status: trio.TaskStatus[Serving] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves until ``stop`` returns (by default: a signal) and the last answer has ended.

    Raises:
        OSError: The address cannot be bound. Nothing was started.
    """
    with closing(_bind(settings)) as sock:
        url = _describe_address(sock)
        async with build_client(settings) as client, trio.open_nursery() as root:
            program = build_program(settings, credentials, client=client, log=log)
            await root.start(program.broker.run)
            draining = trio.Event()
            root.start_soon(partial(_drain, program, stop or _wait_for_signal, draining, grace=settings.shutdown_grace))
            async with trio.open_nursery() as server:
                config = _build_config(sock, grace=settings.shutdown_grace)
                await server.start(partial(serve, program.app, config, shutdown_trigger=draining.wait))
                log.info("listening", url=url, credentials=len(credentials), upstream=settings.kiro_upstream_url)
                task_status.started(Serving(url=url, program=program))
            log.info("stopped")
            root.cancel_scope.cancel("server has stopped")


async def _drain(program: Program, stop: Callable[[], Awaitable[None]], draining: trio.Event, *, grace: float) -> None:
    """Waits for the stop, lets answers finish, and aborts in time those that would be cut."""
    await stop()
    program.service.is_draining = True
    program.service.log.info("stopping", requests=len(program.service.lives), grace_seconds=grace)
    draining.set()
    await trio.sleep(grace - min(NOTICE_SECONDS, grace / 2))
    program.service.lives.abort(ShuttingDownError())


async def _wait_for_signal() -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            return


def _bind(settings: Settings) -> socket.socket:
    """A listening socket; what is accepted from it inherits its options."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux: a client that takes nothing is cut off by the kernel
            milliseconds = round(settings.server_write_timeout_minutes * 60_000)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        sock.bind(address)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _describe_address(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _build_config(sock: socket.socket, *, grace: float) -> Config:
    config = Config()
    # hypercorn closes it with the first word of a stop; a copy of ours would go on taking connections for nobody.
    config.bind = [f"fd://{sock.detach()}"]
    config.backlog = BACKLOG
    config.accesslog = None  # it copies the whole environment for each request; each exchange has a line of its own
    config.errorlog = logging.getLogger("hypercorn.error")
    config.include_server_header = False
    config.keep_alive_timeout = HEADER_SECONDS
    config.graceful_timeout = grace
    return config
