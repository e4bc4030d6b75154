"""The program as a process: what it prints, how it starts, how it stops."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
import trio

from kiro2api import __version__
from kiro2api.simulator.script import Event, Hang
from kiro2api.simulator.server import Simulator
from tests.support.proxy import HELLO

BASE_ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name.startswith(("PATH", "PYTHON", "LANG", "SSL"))
}
CLIENT_KEY = "canary-client-key-0123456789"
REFRESH_TOKEN = "canary-refresh-token-0123456789"
PROMPT = "canary-prompt"


async def _run(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "kiro2api", *arguments]
    with trio.fail_after(30):
        return await trio.run_process(
            command, cwd=cwd, env=BASE_ENVIRONMENT | environment, capture_stdout=True, capture_stderr=True, check=False
        )


class Program:
    """A running ``kiro2api`` and all that it has said so far."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.output = ""
        self._news = trio.Event()
        self._streams = 2
        self.ended = trio.Event()
        """Set when nobody can write to its output any more: it has ended, and all that it has started."""

    @property
    def url(self) -> str:
        found = re.search(r"listens on (http://[0-9.]+:\d+)", self.output)
        return found.group(1) if found else ""

    async def read(self, stream: trio.abc.ReceiveStream) -> None:
        async for data in stream:
            self.output += data.decode()
            self._news.set()
            self._news = trio.Event()
        self._streams -= 1
        if not self._streams:
            self.ended.set()

    async def wait_for(self, text: str) -> None:
        while text not in self.output:
            await self.wait_for_more()

    async def wait_for_more(self) -> None:
        with trio.fail_after(30):
            await self._news.wait()


@asynccontextmanager
async def running_program(*arguments: str, cwd: Path, environment: Mapping[str, str]) -> AsyncIterator[Program]:
    """``python -m kiro2api`` until the end of the block, and then until SIGTERM has ended it."""
    async with trio.open_nursery() as nursery:
        process: trio.Process = await nursery.start(
            partial(
                trio.run_process,
                [sys.executable, "-m", "kiro2api", *arguments],
                cwd=cwd,
                env=BASE_ENVIRONMENT | {"PORT": "0"} | dict(environment),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                check=False,
            )
        )
        program = Program(process)
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            nursery.start_soon(program.read, stream)
        await program.wait_for("listens on http://")
        yield program
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        with trio.fail_after(20):
            await process.wait()


async def test_version_and_help(tmp_path: Path) -> None:
    """Both answer at once, without settings."""
    version = await _run("--version", cwd=tmp_path)
    helped = await _run("--help", cwd=tmp_path)
    assert version.stdout.decode() == f"kiro2api {__version__}\n"
    assert b"demo" in helped.stdout
    assert (version.returncode, helped.returncode) == (0, 0)


async def test_the_demo_s_printed_commands_work(tmp_path: Path) -> None:
    """Pasted as printed, both curl commands get an answer."""
    async with running_program("demo", cwd=tmp_path, environment={"PING_INTERVAL": "5"}) as program:
        await program.wait_for("claude -p")
        commands = re.findall(r"^  (curl .*?\n.*?)\n$", program.output, re.MULTILINE)
        outputs = [await trio.run_process(["bash", "-c", command], capture_stdout=True) for command in commands]
        assert len(outputs) == 2
        assert '"text":"You said: Hello, Kiro!' in outputs[0].stdout.decode()
        assert "data: [DONE]" in outputs[1].stdout.decode()
    assert program.process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_it_in_order(tmp_path: Path, number: signal.Signals) -> None:
    """Idle it ends at once, with exit code 0, whatever connections idle on it."""
    async with running_program("demo", cwd=tmp_path, environment={}) as program, httpx.AsyncClient() as client:
        assert (await client.get(f"{program.url}/healthz")).status_code == 200
        program.process.send_signal(number)
        with trio.fail_after(5):
            await program.process.wait()
    assert program.process.returncode == 0


async def test_a_stream_in_flight_is_told_when_the_grace_is_over(tmp_path: Path) -> None:
    """SIGTERM lets it run for the grace period, then it gets an error inside the stream."""
    simulator = Simulator()
    simulator.enqueue([Event("assistantResponseEvent", {"content": "Hello"}), Hang()])
    async with trio.open_nursery() as nursery:
        await nursery.start(simulator.serve)
        environment = point_at(simulator) | {"SHUTDOWN_GRACE": "0.8"}
        async with running_program(cwd=tmp_path, environment=environment) as program, client_of(program) as client:
            async with client.stream("POST", "/v1/messages", json=HELLO | {"stream": True}) as response:
                text = ""
                async for piece in response.aiter_text():
                    text += piece
                    if "Hello" in piece:
                        program.process.send_signal(signal.SIGTERM)
            assert '"overloaded_error"' in text
            await program.process.wait()
        assert program.process.returncode == 0
        nursery.cancel_scope.cancel()


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """Whatever it still has to do, and with the signal as the cause of its end."""
    simulator = Simulator()
    simulator.enqueue([Event("assistantResponseEvent", {"content": "Hello"}), Hang()])
    async with trio.open_nursery() as nursery:
        await nursery.start(simulator.serve)
        async with (
            running_program(cwd=tmp_path, environment=point_at(simulator)) as program,
            client_of(program) as client,
            open_stream(client),
        ):
            program.process.send_signal(signal.SIGINT)
            await program.wait_for("stopping")
            assert program.process.poll() is None
            program.process.send_signal(signal.SIGTERM)
            with trio.fail_after(5):
                assert await program.process.wait() == -signal.SIGTERM
        nursery.cancel_scope.cancel()


async def test_no_secret_and_no_prompt_is_ever_written(tmp_path: Path) -> None:
    """With debug logging, through success and failure: nothing of it in any output or file."""
    simulator = Simulator()
    async with trio.open_nursery() as nursery:
        await nursery.start(simulator.serve)
        environment = point_at(simulator) | {"LOG_LEVEL": "debug", "LOG_FILE": "log.txt", "LOG_FORMAT": "json"}
        async with running_program(cwd=tmp_path, environment=environment) as program, client_of(program) as client:
            body = HELLO | {"messages": [{"role": "user", "content": PROMPT}]}
            assert PROMPT in (await client.post("/v1/messages", json=body)).text
            await client.post("/v1/messages", json=body | {"max_tokens": PROMPT})
            await client.post("/v1/messages", content=PROMPT.encode())
            await client.post("/v1/messages", json=body, headers={"authorization": f"Bearer {PROMPT}"})
            simulator.accounts.expire_access_tokens()
            await client.post("/v1/chat/completions", json=body | {"stream": True})
            access_token = simulator.generations[-1].headers["authorization"].removeprefix("Bearer ")
        written = program.output + (tmp_path / "log.txt").read_text()
        assert '"message": "exchange"' in written
        for secret in (CLIENT_KEY, REFRESH_TOKEN, PROMPT, access_token):
            assert secret not in written
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_stream(client: httpx.AsyncClient) -> AsyncIterator[None]:
    """A stream of which the client has the beginning; that it may break off is its own affair."""
    async with client.stream("POST", "/v1/messages", json=HELLO | {"stream": True}) as response:
        async for piece in response.aiter_text():
            if "Hello" in piece:
                break
        yield


def point_at(simulator: Simulator) -> dict[str, str]:
    """The environment of a proxy in front of ``simulator``."""
    return {
        "AWS_REFRESHTOKEN": REFRESH_TOKEN,
        "KIRO_CLIENT_TOKEN": CLIENT_KEY,
        "KIRO_UPSTREAM_URL": simulator.base_url,
        "KIRO_REFRESH_URL": simulator.refresh_url,
        "KIRO_CONTROL_URL": simulator.control_url,
    }


def client_of(program: Program) -> httpx.AsyncClient:
    """Speaks to ``program`` with the right key."""
    return httpx.AsyncClient(base_url=program.url, headers={"authorization": f"Bearer {CLIENT_KEY}"}, timeout=20)
