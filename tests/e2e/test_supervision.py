"""What goes on in the background: it may fail, and the loop may be late, without anybody's request suffering for it."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
import trio

from kiro2api.auth.actor import TokenActor
from kiro2api.logs import CLOSE_SECONDS
from kiro2api.supervision import TaskState, supervise
from kiro2api.watchdog import LoopWatchdog
from tests.support.proxy import HELLO, Proxy, running_proxy, until

PIPE_BYTES = 4096


async def _fail() -> None:
    raise ValueError("hidden")


@asynccontextmanager
async def _failing_task(proxy: Proxy) -> AsyncIterator[None]:
    """A background task beside the proxy's own that has failed three times."""
    failed = 0

    def log(_level: int, _event: str, /, **_fields: object) -> None:
        nonlocal failed
        failed += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(supervise, "test task", _fail, proxy.service.health, log=log, jitter=lambda: 0.0))
        await until(lambda: failed == 3)
        yield
        nursery.cancel_scope.cancel("the test has seen it")


async def test_a_task_that_keeps_failing_is_told_by_readiness_alone() -> None:
    """``/readyz`` names it from the third failure on; liveness and requests do not know it."""
    async with running_proxy() as proxy:
        await proxy.client.post("/v1/messages", json=HELLO)
        assert (await proxy.client.get("/readyz")).status_code == 200
        async with _failing_task(proxy):
            refused = await proxy.client.get("/readyz")
            assert (await proxy.client.get("/healthz")).json() == {"status": "ok"}
            assert (await proxy.client.post("/v1/messages", json=HELLO)).status_code == 200
        assert (await proxy.client.get("/readyz")).json() == {"status": "ready"}
    assert refused.status_code == 503
    assert refused.json() == {"status": "not ready", "reason": "background task down", "tasks": ["test task"]}


async def test_the_first_reason_is_told() -> None:
    """Without a credential readiness says so, and a process that ends says that."""
    async with running_proxy(kiro_refresh_url="http://127.0.0.1:9/refreshToken") as proxy, _failing_task(proxy):
        first = await proxy.client.get("/readyz")
        proxy.service.is_draining = True
        second = await proxy.client.get("/readyz")
    reasons = [response.json() for response in (first, second)]
    assert reasons == [
        {"status": "not ready", "reason": "no usable credential"},
        {"status": "not ready", "reason": "draining"},
    ]


async def test_a_defect_in_a_token_actor(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is started again, and the others serve meanwhile."""
    run = TokenActor.run
    crashed: list[str] = []

    async def crash_once(actor: TokenActor) -> None:
        if not crashed:
            crashed.append(actor.credential.label)
            raise ZeroDivisionError("hidden")
        await run(actor)

    monkeypatch.setattr(TokenActor, "run", crash_once)
    async with running_proxy(refresh_tokens="refresh-a,refresh-b") as proxy:
        with trio.fail_after(10):
            assert (await proxy.client.post("/v1/messages", json=HELLO)).status_code == 200
            await until(lambda: any(task.restarts for task in proxy.service.health.tasks))
        (line,) = proxy.log.find("background_task_failed")
        restarts = {task.name: task.restarts for task in proxy.service.health.tasks if task.state is TaskState.UP}
    assert line["task"] == f"token actor {crashed[0]}"
    assert str(line["reason"]).startswith("ZeroDivisionError at test_supervision.py:")
    assert len(restarts) == 4  # two actors, the watchdog, the exchange of notes
    assert restarts.pop(f"token actor {crashed[0]}") == 1
    assert set(restarts.values()) == {0}


async def test_a_defect_in_the_watchdog(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that a background task raises reaches the server."""

    async def crash(_watchdog: LoopWatchdog) -> None:
        raise ValueError("hidden")

    monkeypatch.setattr(LoopWatchdog, "run", crash)
    async with running_proxy() as proxy:
        (line,) = await proxy.log.wait("background_task_failed")
        assert (await proxy.client.post("/v1/messages", json=HELLO)).status_code == 200
    assert line["task"] == "loop watchdog"
    assert "hidden" not in str(line)


async def test_a_loop_that_was_held_up_is_told() -> None:
    """One line and the gauge; the request that came meanwhile is answered."""
    async with running_proxy() as proxy:
        await until(lambda: proxy.service.watchdog.statistics().last > 0)
        time.sleep(0.4)  # noqa: ASYNC251 - that is the fault
        (line,) = await proxy.log.wait("loop_lag")
        assert (await proxy.client.get("/healthz")).status_code == 200
        assert proxy.service.watchdog.statistics().max > 0.2
    assert isinstance(line["lag_seconds"], float)


async def test_nobody_reads_the_log(tmp_path: Path) -> None:
    """With standard error full it serves on, and a signal ends it in time, with exit code 0."""
    reading, writing = os.pipe()
    fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    with os.fdopen(reading, "rb") as pipe:  # noqa: ASYNC231  nothing is read before the process has ended
        with trio.fail_after(60):
            await _run(tmp_path, writing)
        os.set_blocking(pipe.fileno(), False)
        assert len(pipe.read()) > PIPE_BYTES / 2


async def _run(folder: Path, writing: int) -> None:
    environment = {name: value for name, value in os.environ.items() if name.startswith(("PATH", "PYTHON", "SSL"))}
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "kiro2api", "demo"],
        cwd=folder,
        env=environment | {"PORT": "0", "LOG_LEVEL": "debug"},
        stdout=subprocess.PIPE,
        stderr=writing,
    )
    os.close(writing)
    try:
        await _use_and_stop(process)
    finally:
        process.kill()


async def _use_and_stop(process: trio.Process) -> None:
    assert process.stdout is not None
    url = (await process.stdout.receive_some()).decode().partition("listens on ")[2].split()[0]
    async with httpx.AsyncClient(base_url=url, timeout=10) as client:
        for number in range(40):  # each is refused with a line of its own
            assert (await client.get(f"/{number:0>100}")).status_code == 401
        assert (await client.get("/healthz")).status_code == 200
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
    assert time.monotonic() - began < CLOSE_SECONDS + 3
    await process.stdout.aclose()
