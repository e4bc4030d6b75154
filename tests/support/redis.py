"""A real Redis or Valkey server on a loopback port of its own, to be stopped, stalled, killed and started again."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio

BINARIES = ("redis-server", "valkey-server")
START_SECONDS = 20.0


@dataclass(slots=True, kw_only=True)
class RedisServer:
    """A server; it keeps nothing from one start to the next unless ``arguments`` say so."""

    binary: str
    directory: Path
    port: int
    arguments: tuple[str, ...] = ()
    process: trio.Process | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    async def start(self) -> None:
        """Starts it, on the same port each time, and waits until it answers."""
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory), "--save", ""]
        quiet = ["--loglevel", "warning", "--daemonize", "no"]
        command = [self.binary, *options, *quiet, *self.arguments]
        self.process = await trio.lowlevel.open_process(command, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        with trio.fail_after(START_SECONDS):
            while not await self._answers():
                assert self.process.poll() is None, f"{self.binary} ended with {self.process.returncode}"
                await trio.sleep(0.01)

    async def stop(self) -> None:
        """Lets it end in order."""
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """Lets it die."""
        await self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Lets it take connections and bytes, but answer nothing."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets it go on where it stood."""
        self._send(signal.SIGCONT)

    async def _end(self, number: signal.Signals) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):
                self._send(number)
                self._send(signal.SIGCONT)
            await self.process.wait()
            self.process = None

    def _send(self, number: signal.Signals) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    async def _answers(self) -> bool:
        try:
            async with await trio.open_tcp_stream("127.0.0.1", self.port) as stream:
                await stream.send_all(b"PING\r\n")
                # One that wants a password says so.
                return (await stream.receive_some(100)).startswith((b"+PONG", b"-NOAUTH"))
        except (OSError, trio.BrokenResourceError):
            return False


@asynccontextmanager
async def redis_server(directory: Path, *arguments: str) -> AsyncIterator[RedisServer]:
    """A server that answers, and its end; skips the test where none is installed."""
    binary = next(filter(None, map(shutil.which, BINARIES)), None)
    if binary is None:
        pytest.skip(f"none of {', '.join(BINARIES)} is installed")
    server = RedisServer(binary=binary, directory=directory, port=find_free_port(), arguments=arguments)
    try:
        await server.start()
        yield server
    finally:
        with trio.CancelScope(shield=True):
            await server.kill()


def find_free_port() -> int:
    """A loopback port on which nobody listens now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
