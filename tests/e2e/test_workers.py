"""Several processes on one port: they serve, they are started again, and they stop in order."""

import os
import re
import signal
from pathlib import Path

import httpx
import pytest
import trio

from kiro2api.simulator.script import Event, Hang, Script, WaitFor
from kiro2api.simulator.server import Simulator
from tests.e2e.test_process import Program, client_of, point_at, running_program
from tests.support.proxy import HELLO, until

TEXT = Event("assistantResponseEvent", {"content": "Hello"})
STREAMED = HELLO | {"stream": True}


def _list_processes(program: Program) -> list[int]:
    return [int(number) for number in re.findall(r"worker_started .* process=(\d+)", program.output)]


def _is_alive(number: int) -> bool:
    try:
        status = Path(f"/proc/{number}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


async def _wait_until_ready(program: Program, count: int) -> None:
    while len(re.findall(r" listening .*upstream=", program.output)) < count:
        await program.wait_for_more()


@pytest.mark.slow
async def test_a_worker_that_dies_is_started_again(tmp_path: Path) -> None:
    """The others go on meanwhile; the dead one's place is taken by a new process."""
    simulator = Simulator()
    async with trio.open_nursery() as nursery:
        await nursery.start(simulator.serve)
        environment = point_at(simulator) | {"WORKERS": "2"}
        async with running_program(cwd=tmp_path, environment=environment) as program:
            await _wait_until_ready(program, 2)
            os.kill(_list_processes(program)[0], signal.SIGKILL)
            await _wait_until_ready(program, 3)
            async with client_of(program) as client:
                assert (await client.post("/v1/messages", json=HELLO)).status_code == 200
            assert len(set(_list_processes(program))) == 3
            assert "worker_died" in program.output
        assert program.process.returncode == 0
        nursery.cancel_scope.cancel()


@pytest.mark.slow
async def test_a_worker_that_cannot_start_again_takes_nobody_along(tmp_path: Path) -> None:
    """Its file of credentials is broken by then: the others serve, and it comes back when the file is mended."""
    credentials = tmp_path / "credentials.json"
    good = '{"refreshToken": "aor-refresh-token"}'
    credentials.write_text(good)
    credentials.chmod(0o600)
    simulator = Simulator()
    async with trio.open_nursery() as nursery:
        await nursery.start(simulator.serve)
        environment = point_at(simulator) | {"WORKERS": "2", "KIRO_AUTH_TOKEN": str(credentials)}
        del environment["AWS_REFRESHTOKEN"]
        async with running_program(cwd=tmp_path, environment=environment) as program:
            await _wait_until_ready(program, 2)
            credentials.write_text("{")
            os.kill(_list_processes(program)[0], signal.SIGKILL)
            await program.wait_for("exit_code=78")
            async with client_of(program) as client:
                assert (await client.post("/v1/messages", json=HELLO)).status_code == 200
            credentials.write_text(good)
            await _wait_until_ready(program, 3)
        assert program.process.returncode == 0
        nursery.cancel_scope.cancel()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
async def test_a_stop_reaches_every_worker_and_cuts_nobody_short(tmp_path: Path, workers: int) -> None:
    """Of fifty streams the short ones end whole, the endless ones get an error event and a clean end; exit code 0."""
    simulator = Simulator()
    release = trio.Event()
    texts: list[str] = []

    async def call(client: httpx.AsyncClient) -> None:
        async with client.stream("POST", "/v1/messages", json=STREAMED) as response:
            texts.append("".join([piece async for piece in response.aiter_text()]))

    async with trio.open_nursery() as nursery:
        await nursery.start(simulator.serve)
        short: Script = [TEXT, WaitFor(release)]
        endless: Script = [TEXT, Hang()]
        simulator.enqueue(*[short] * 20, *[endless] * 30)
        environment = point_at(simulator) | {"WORKERS": str(workers), "SHUTDOWN_GRACE": "3"}
        async with running_program(cwd=tmp_path, environment=environment) as program:
            await _wait_until_ready(program, workers)
            async with client_of(program) as client, trio.open_nursery() as calls:
                for _ in range(50):
                    calls.start_soon(call, client)
                await simulator.wait_requests(50, path="/generateAssistantResponse")
                program.process.send_signal(signal.SIGTERM)
                await program.wait_for("stopping")
                release.set()
            await program.process.wait()
        assert program.process.returncode == 0
        assert sum("event: message_stop" in text for text in texts) == 20
        assert sum('"overloaded_error"' in text for text in texts) == 30
        nursery.cancel_scope.cancel()


@pytest.mark.slow
async def test_workers_end_with_their_supervisor(tmp_path: Path) -> None:
    """Also when it is killed: nobody keeps the port."""
    environment = {"AWS_REFRESHTOKEN": "a", "WORKERS": "2", "KIRO_REFRESH_URL": "http://127.0.0.1:9/refreshToken"}
    async with running_program(cwd=tmp_path, environment=environment) as program:
        await _wait_until_ready(program, 2)
        program.process.kill()
        await program.ended.wait()  # their output ends when the last of them has closed it
        await until(lambda: not any(_is_alive(number) for number in _list_processes(program)))
