"""Several processes that share one port, and the one that keeps them running.

Each worker is a whole proxy with a ``trio.run`` and a listening socket of its own; the kernel spreads connections over
the sockets (SO_REUSEPORT). The supervisor holds the port without listening on it, starts a worker again that has died,
and passes a stop on: the workers end their answers as a single process would. A worker whose supervisor is gone stops
by itself, which it notices by its standard input.
"""

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Protocol

import trio

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKER_VARIABLE = "KIRO2API_WORKER"
"""Set to a worker's number in its environment, and in no other process's."""
EXIT_FAILURE = 1
BASE_SECONDS = 0.5
"""The pause before a worker that has died is started again; doubled with each death in a row."""
CAP_SECONDS = 30.0
RESET_SECONDS = 60.0
"""A worker that lived so long begins a new row."""


class Log(Protocol):
    """The part of a structured logger that is used here."""

    def info(self, event: str, **fields: object) -> object: ...

    def error(self, event: str, **fields: object) -> object: ...


@contextmanager
def reserve_port(host: str, port: int) -> "Iterator[int]":
    """The port, 0 resolved, for as long as the block lasts: workers may listen on it, and no other program can take it.

    Raises:
        OSError: The address cannot be bound.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with closing(socket.socket(family, kind, protocol)) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(address)
        yield sock.getsockname()[1]


class WorkerSupervisor:
    """Keeps ``count`` processes of ``command`` running until a signal says otherwise.

    Args:
        command: Starts one worker.
        environment: Of the workers, to which each one's number is added.
        count: Of workers.
        fatal_code: An exit code after which starting again cannot help, if it is that of a worker's first run: all are
            stopped, and it is passed on. Later on something may be amiss that is mended while the others serve.
        log: Hears of workers that die.
    """

    def __init__(
        self, command: Sequence[str], *, environment: Mapping[str, str], count: int, fatal_code: int, log: Log
    ) -> None:
        self._command = command
        self._environment = environment
        self._count = count
        self._fatal_code = fatal_code
        self._log = log
        self._processes: dict[int, trio.Process] = {}
        self._stopping = trio.Event()
        self._exit_code = 0

    async def run(self) -> int:
        """The exit code: 0 after an orderly stop, a worker's if that was fatal, 128 and the signal's if cut short."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_signals, nursery.cancel_scope)
            async with trio.open_nursery() as workers:
                for number in range(1, self._count + 1):
                    workers.start_soon(self._keep_running, number)
            nursery.cancel_scope.cancel("all workers have stopped")
        return self._exit_code

    async def _watch_signals(self, scope: trio.CancelScope) -> None:
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for number in signals:
                if self._stopping.is_set():
                    self._exit_code = 128 + number
                    self._signal_all(trio.Process.kill)
                    scope.cancel("second signal")
                self._stop()

    def _stop(self) -> None:
        self._stopping.set()
        self._signal_all(trio.Process.terminate)

    def _signal_all(self, send: Callable[[trio.Process], None]) -> None:
        for process in self._processes.values():
            send(process)

    async def _keep_running(self, number: int) -> None:
        pause = BASE_SECONDS
        is_first = True
        while not self._stopping.is_set():
            began = trio.current_time()
            code = await self._run_once(number)
            is_fatal, is_first = is_first and code == self._fatal_code, False
            if is_fatal or (self._stopping.is_set() and code != 0):
                self._exit_code = self._exit_code or (code if code == self._fatal_code else EXIT_FAILURE)
            if is_fatal:
                self._stop()
            if self._stopping.is_set():
                return
            if trio.current_time() - began >= RESET_SECONDS:
                pause = BASE_SECONDS
            self._log.error("worker_died", worker=number, exit_code=code, restart_in=pause)
            with trio.move_on_after(pause):
                await self._stopping.wait()
            pause = min(CAP_SECONDS, pause * 2)

    async def _run_once(self, number: int) -> int:
        process = await trio.lowlevel.open_process(
            self._command,
            # Closed by the end of this process, however it ends: that is how a worker notices.
            stdin=subprocess.PIPE,
            env={**self._environment, WORKER_VARIABLE: str(number)},
            # A Ctrl+C reaches a whole group: workers would take ours for a second one.
            start_new_session=True,
        )
        self._processes[number] = process
        self._log.info("worker_started", worker=number, process=process.pid)
        try:
            if self._stopping.is_set():
                process.terminate()
            return await process.wait()
        finally:
            del self._processes[number]
            if process.returncode is None:
                process.kill()
            if process.stdin is not None:
                await trio.aclose_forcefully(process.stdin)


async def wait_for_supervisor_to_end() -> None:
    """Returns when standard input ends, which in a worker means that its supervisor has."""
    async with trio.lowlevel.FdStream(os.dup(0)) as stream:
        while await stream.receive_some(1):
            pass
