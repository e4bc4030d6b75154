"""Cheap processes for tests: a clean Python process, started once, forks a child for each function to run.

::

    async with running_zygote(__name__) as zygote:      # modules that it imports before it forks
        child = await zygote.fork(refresh, "/a/path")   # an async function of a module, and JSON values for it
        assert await child.told.receive() == "begun"    # what the function has told with tell("begun")
        await child.kill()                              # SIGKILL, or another signal
        assert await child.wait() == -signal.SIGKILL    # the exit code, negative for a signal

The zygote has one thread, no Trio and nothing open, so that a child is as clean as a new program and costs a few
milliseconds. In the child the function runs under ``trio.run``; an exception's traceback goes to standard error and the
exit code is 1. What a child has told before it dies arrives before its end. All children die with the block.
"""

import gc
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn, TypedDict

import trio

if TYPE_CHECKING:
    from types import FrameType

MAX_LINE_BYTES = select.PIPE_BUF
"""Pipes keep lines apart, whoever writes them, up to this length."""
MAX_TOLD = 100_000
"""Told by one child and not yet received."""


class Command(TypedDict, total=False):
    """What the zygote is asked: to fork, or to send a signal to a child."""

    ticket: int
    function: str
    arguments: list[object]
    signal: int


class Report(TypedDict, total=False):
    """What the zygote, or one of its children, says."""

    ticket: int
    started: int
    told: object
    ended: int


@dataclass(slots=True, eq=False)
class Child:
    """A process that runs one function."""

    _zygote: "Zygote"
    _ticket: int
    told: "trio.MemoryReceiveChannel[object]"
    """What it tells, in order; ends with the process."""
    _teller: "trio.MemorySendChannel[object]"
    pid: int = 0
    returncode: int | None = None
    _started: trio.Event = field(default_factory=trio.Event)
    _ended: trio.Event = field(default_factory=trio.Event)

    async def kill(self, number: int = signal.SIGKILL) -> None:
        """Sends it a signal; does nothing if it has ended."""
        await self._zygote.command({"ticket": self._ticket, "signal": number})

    async def wait(self) -> int:
        """Its exit code, when it has ended."""
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    async def wait_started(self) -> None:
        await self._started.wait()

    def receive(self, report: Report) -> None:
        if "started" in report:
            self.pid = report["started"]
            self._started.set()
        elif "told" in report:
            self._teller.send_nowait(report["told"])
        else:
            self.returncode = report["ended"]
            self._teller.close()
            self._ended.set()


class Zygote:
    """The process that forks children, as seen from the test."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._children: list[Child] = []
        self._lock = trio.Lock()
        self.is_closing = False

    async def fork(self, function: Callable[..., Awaitable[object]], *arguments: object) -> Child:
        """A child that runs ``function``, which it finds by its module and name."""
        teller, told = trio.open_memory_channel[object](MAX_TOLD)
        child = Child(self, len(self._children), told, teller)
        name = f"{function.__module__}:{function.__qualname__}"
        self._children.append(child)
        await self.command({"ticket": len(self._children) - 1, "function": name, "arguments": list(arguments)})
        await child.wait_started()
        return child

    async def command(self, command: Command) -> None:
        assert self._process.stdin is not None
        async with self._lock:
            await self._process.stdin.send_all(json.dumps(command).encode() + b"\n")

    async def receive_reports(self) -> None:
        """Passes on what the children tell, until the zygote ends as it should."""
        assert self._process.stdout is not None
        rest = b""
        async for data in self._process.stdout:
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                report: Report = json.loads(line)
                self._children[report["ticket"]].receive(report)
        if not self.is_closing:
            raise RuntimeError("the zygote has ended by itself")


@asynccontextmanager
async def running_zygote(*modules: str) -> AsyncIterator[Zygote]:
    """A zygote that has imported ``modules``; its children die with the block."""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-c", f"from {__name__} import main; main()", *modules],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    try:
        async with trio.open_nursery() as nursery:
            zygote = Zygote(process)
            nursery.start_soon(zygote.receive_reports)
            yield zygote
            zygote.is_closing = True
            await process.stdin.aclose()
    finally:
        with trio.move_on_after(10, shield=True):
            await process.stdin.aclose()
            await process.wait()


_own_ticket = -1
_report_pipe = -1


def tell(value: object) -> None:
    """For a function that runs in a child: says ``value``, which is JSON and short, to the test; in order, at once."""
    _report({"ticket": _own_ticket, "told": value})


def _report(report: Report) -> None:
    line = json.dumps(report).encode() + b"\n"
    assert len(line) <= MAX_LINE_BYTES
    os.write(_report_pipe, line)


def _serve() -> None:
    """Forks on demand until standard input ends; then kills what is left."""
    children: dict[int, int] = {}
    wakeup, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, _ignore)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    rest = b""
    while True:
        ready, _, _ = select.select([0, wakeup], [], [])
        if wakeup in ready:
            os.read(wakeup, 4096)
            _reap(children)
        if 0 in ready:
            data = os.read(0, 65536)
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                _obey(json.loads(line), children, (wakeup, waker))
    for pid in children:
        os.kill(pid, signal.SIGKILL)


def _ignore(_number: int, _frame: "FrameType | None") -> None:
    """The wakeup pipe tells of the signal; one that is ignored would not be."""


def _reap(children: dict[int, int]) -> None:
    for pid, ticket in list(children.items()):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            del children[pid]
            _report({"ticket": ticket, "ended": os.waitstatus_to_exitcode(status)})


def _obey(command: Command, children: dict[int, int], inherited: tuple[int, ...]) -> None:
    if "function" not in command:
        for pid, ticket in children.items():
            if ticket == command["ticket"]:
                os.kill(pid, command["signal"])  # not reaped: the number is still this child's
        return
    pid = os.fork()
    if pid == 0:
        _run_child(command, inherited)
    children[pid] = command["ticket"]
    _report({"ticket": command["ticket"], "started": pid})


def _run_child(command: Command, inherited: tuple[int, ...]) -> NoReturn:
    global _own_ticket  # noqa: PLW0603 - a child is one task: its ticket belongs to the process
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for descriptor in inherited:
            os.close(descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        _own_ticket = command["ticket"]
        module, _, name = command["function"].partition(":")
        trio.run(getattr(importlib.import_module(module), name), *command["arguments"])
        code = 0
    except BaseException:  # noqa: BLE001 - the child ends here, whatever it is; the test sees the code
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)  # nothing of the zygote's is to run in the child


def main() -> None:
    """Runs the zygote: commands come by standard input, reports leave by what was standard output."""
    global _report_pipe  # noqa: PLW0603 - it belongs to the process, and to those forked from it
    _report_pipe = os.dup(1)
    os.dup2(2, 1)
    for name in sys.argv[1:]:
        importlib.import_module(name)
    gc.freeze()
    _serve()
