"""The proxy as a process: its socket, its background tasks, its signals and its end.

Order of death: requests, then the server, then the background tasks, then the store of states, in which a refresh that
is seen through has to be kept, then the HTTP client. A first SIGTERM or SIGINT begins a graceful stop: the listener
closes, ``/readyz`` says so, running answers may finish within the grace period, and those that do not are told inside
the stream. A second one ends the process at once.
"""

import resource
import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import aclosing, closing
from dataclasses import dataclass
from functools import partial

import trio

from kiro2api.app import Program, build_client, build_program, write_log
from kiro2api.config import Settings
from kiro2api.edge.hooks import check_hooks
from kiro2api.edge.server import Edge, Listener
from kiro2api.edge.terms import EdgeConfig, Faults
from kiro2api.provision import Supply
from kiro2api.routes.life import ShuttingDownError
from kiro2api.routes.service import Log
from kiro2api.supervision import supervise

NOTICE_SECONDS = 1.0
"""Before the end of the grace period, for clients whose answers are cut to be told so; at most half of it."""
BACKLOG = 512
"""Connections that the kernel keeps waiting to be accepted."""
MAX_CONNECTIONS = 1024
"""Of clients, at once, unless the settings say otherwise."""
STORE_SECONDS = 5.0
"""For the store of states to be reached at the start; after that, each refresh finds out by itself."""
PROBE_SECONDS = 30
"""Of silence on a connection, after which the kernel asks whether the client's machine is still there."""
PROBE_INTERVAL = 10
PROBES = 3
"""Unanswered ones that end a connection, each ``PROBE_INTERVAL`` seconds after the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What is being served, and where."""

    url: str
    """Base URL, port 0 already resolved; no slash at the end."""
    program: Program


async def run(  # noqa: ASYNC128 - its second half tells that it has started
    settings: Settings,
    supply: Supply,
    *,
    log: Log,
    stop: Callable[[], Awaitable[None]] | None = None,
    task_status: trio.TaskStatus[Serving] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves until ``stop`` returns (by default: a signal) and the last answer has ended; then closes the store.

    Raises:
        HookError: The installed hypercorn does not fit. Nothing was started.
        OSError: The address cannot be bound. The same.
    """
    check_hooks()
    with closing(_bind(settings)) as sock:
        async with aclosing(supply.store), build_client(settings) as client, trio.open_nursery() as outer:
            program = build_program(settings, supply, client=client, log=log)
            await _start_store(supply, program, outer)
            await _serve(settings, supply, program, sock, stop=stop or wait_for_signal, task_status=task_status)
            outer.cancel_scope.cancel("nobody writes to the store any more")


async def _start_store(supply: Supply, program: Program, nursery: trio.Nursery) -> None:
    """Starts what has to run for the store, and waits until it is up, or known to be down."""
    to_log, health = partial(write_log, program.service.log), program.service.health
    for name, task in supply.tasks:
        nursery.start_soon(partial(supervise, name, task, health, log=to_log, is_vital=False))
    if supply.ready is not None:
        with trio.move_on_after(STORE_SECONDS):
            await supply.ready.wait()


async def _serve(  # noqa: PLR0913 - what was built, and how it is to begin and to end
    settings: Settings,
    supply: Supply,
    program: Program,
    sock: socket.socket,
    *,
    stop: Callable[[], Awaitable[None]],
    task_status: trio.TaskStatus[Serving],
) -> None:
    """Everything that ends before the store of states does."""
    log = program.service.log
    url = _describe_address(sock, is_tls=settings.tls_cert_file is not None)
    async with trio.open_nursery() as root:
        for task in program.background:
            root.start_soon(task)
        await root.start(program.broker.run)
        draining = trio.Event()
        root.start_soon(partial(_drain, program, stop, draining, grace=settings.shutdown_grace))
        async with trio.open_nursery() as server:
            config = _build_config(settings, Faults(log))
            edge = Edge(program.app, config)
            await server.start(partial(edge.serve, [_build_listener(sock, config)], stop=draining.wait))
            upstream = ", ".join(settings.kiro_upstream_url) or "by region"
            log.info("listening", url=url, credentials=len(supply.loaded.credentials), upstream=upstream)
            task_status.started(Serving(url=url, program=program))
        log.info("stopped")
        root.cancel_scope.cancel("server has stopped")


async def _drain(program: Program, stop: Callable[[], Awaitable[None]], draining: trio.Event, *, grace: float) -> None:
    """Waits for the stop, lets answers finish, and aborts in time those that would be cut."""
    await stop()
    program.service.is_draining = True
    program.service.admission.close()
    program.service.log.info("stopping", requests=len(program.service.lives), grace_seconds=grace)
    draining.set()
    await trio.sleep(grace - min(NOTICE_SECONDS, grace / 2))
    program.service.lives.abort(ShuttingDownError())


async def wait_for_signal() -> None:
    """Returns at the first SIGTERM or SIGINT; the next one ends the process at once, whatever it is doing."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            break
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def _bind(settings: Settings) -> socket.socket:
    """A listening socket; what is accepted from it inherits its options."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if settings.workers > 1:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux: what the edge's own deadlines do not see, the kernel ends
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(_limit_send(settings) * 1000))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, PROBE_SECONDS)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PROBE_INTERVAL)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)
        sock.bind(address)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _describe_address(sock: socket.socket, *, is_tls: bool) -> str:
    host, port = sock.getsockname()[:2]
    scheme = "https" if is_tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _build_config(settings: Settings, faults: Faults) -> EdgeConfig:
    config = EdgeConfig(
        faults=faults,
        header_seconds=settings.header_timeout,
        send_seconds=_limit_send(settings),
        grace_seconds=settings.shutdown_grace,
        http2=settings.http2,
        max_connections=settings.max_connections or _limit_connections(),
    )
    if settings.tls_cert_file is not None and settings.tls_key_file is not None:
        config.certfile = str(settings.tls_cert_file)
        config.keyfile = str(settings.tls_key_file)
    return config


def _limit_connections() -> int:
    """Connections at once that leave two more descriptors for each: one to the upstream, one for all else."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if files == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, max(1, files // 3))


def _limit_send(settings: Settings) -> float:
    """Seconds that a client may take nothing."""
    return min(settings.send_timeout, settings.server_write_timeout_minutes * 60)


def _build_listener(sock: socket.socket, config: EdgeConfig) -> Listener:
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))
    context = config.create_ssl_context()
    # Clients of HTTP close without TLS's own goodbye, and so may we.
    return listener if context is None else trio.SSLListener(listener, context, https_compatible=True)
