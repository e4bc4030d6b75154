"""The proxy of a soak as a process of its own: started, read, measured from outside, stopped."""

import http.client
import math
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import trio

START_SECONDS = 30
STOP_SECONDS = 30
"""From SIGTERM to the end of an idle proxy; far more than it takes, as a soak that hangs tells nothing."""
PROBE_SECONDS = 0.05
"""Between two probes."""
MEGABYTE = 2**20
NANOSECONDS = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What the proxy had of the machine at one time."""

    seconds: float
    """Since the start of the soak."""
    memory: float
    """Resident, in megabytes."""
    descriptors: int
    threads: int
    used: float
    """Seconds that the loop's thread has had of a processor."""
    waited: float
    """Seconds that it was ready and had to wait for one, because of others."""


def take_sample(pid: int, *, seconds: float) -> Sample:
    """A sample of a running process."""
    process = Path("/proc") / str(pid)
    used, waited, _ = (process / "schedstat").read_text().split()
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines() if ":" in line)
    return Sample(
        seconds=seconds,
        memory=int(status["VmRSS"].split()[0]) * 1024 / MEGABYTE,
        descriptors=sum(1 for _ in (process / "fd").iterdir()),
        threads=int(status["Threads"]),
        used=int(used) / NANOSECONDS,
        waited=int(waited) / NANOSECONDS,
    )


def fit_slope(times: Sequence[float], values: Sequence[float]) -> float:
    """By how much ``values`` grow a second, by the line that fits them best; 0 for fewer than three."""
    if len(times) < 3:  # noqa: PLR2004  two always lie on a line
        return 0.0
    return statistics.linear_regression(times, values).slope


@dataclass(slots=True)
class Probe:
    """Round trips of ``GET /healthz``, by a thread of its own, which the traffic does not hold up."""

    trips: list[float] = field(default_factory=list)
    """Seconds."""
    failures: int = 0

    def run(self, url: str, stop: threading.Event) -> None:
        """Probes until ``stop`` is set."""
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=START_SECONDS)
        while not stop.wait(PROBE_SECONDS):
            began = time.perf_counter()
            try:
                connection.request("GET", "/healthz")
                connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                self.failures += 1
                connection.close()
            self.trips.append(time.perf_counter() - began)
        connection.close()


def rank(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of all do not exceed; 0 if there are none."""
    ranked = sorted(values)
    return ranked[math.ceil(len(ranked) * share) - 1] if ranked else 0.0


class ProxyProcess:
    """A running proxy."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.url = ""
        self._is_listening = trio.Event()

    async def wait_listening(self) -> None:
        """Returns when ``url`` is set.

        Raises:
            trio.TooSlowError: The proxy has not come up.
        """
        with trio.fail_after(START_SECONDS):
            await self._is_listening.wait()

    async def read_output(self) -> None:
        """Reads standard output to its end; its first line names the address."""
        async for line in _read_lines(self.process.stdout):
            if found := re.search(rb"listens on (http://\S+)", line):
                self.url = found[1].decode()
                self._is_listening.set()

    async def read_log(self, receive: Callable[[bytes], None]) -> None:
        """Reads the log to its end, and hands on its lines."""
        async for line in _read_lines(self.process.stderr):
            receive(line)

    async def stop(self) -> int:
        """The exit code after a SIGTERM.

        Raises:
            trio.TooSlowError: It does not end.
        """
        self.process.send_signal(signal.SIGTERM)
        with trio.fail_after(STOP_SECONDS):
            return await self.process.wait()


@asynccontextmanager
async def running_proxy(
    environment: Mapping[str, str], *, receive_line: Callable[[bytes], None]
) -> AsyncIterator[ProxyProcess]:
    """A proxy on a free port of this machine, with nothing of our own environment but where programs are.

    Args:
        environment: Its settings.
        receive_line: Is handed each line of its log.
    """
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PATH", "PYTHON", "LANG"))}
    with tempfile.TemporaryDirectory() as folder:
        async with trio.open_nursery() as nursery:
            run = partial(
                trio.run_process,
                [sys.executable, "-m", "kiro2api"],
                cwd=folder,  # where no .env is
                env=kept | {"PORT": "0", "LOG_FORMAT": "json"} | dict(environment),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                check=False,
            )
            proxy = ProxyProcess(await nursery.start(run))
            nursery.start_soon(proxy.read_output)
            nursery.start_soon(proxy.read_log, receive_line)
            await proxy.wait_listening()
            yield proxy
            nursery.cancel_scope.cancel("the soak is over")


async def _read_lines(stream: trio.abc.ReceiveStream | None) -> AsyncIterator[bytes]:
    if stream is None:
        return
    rest = b""
    async for data in stream:
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line
