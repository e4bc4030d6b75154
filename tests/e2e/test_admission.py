"""How many are served at once over real sockets, who has to wait, and who has to go."""

import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
import trio

from kiro2api.routes.admission import AdmissionStatistics
from kiro2api.simulator.record import Record
from kiro2api.simulator.script import Event, Script, WaitFor
from tests.support.proxy import CLIENT_KEY, HELLO, NO_CERTIFICATES, Proxy, running_proxy, until
from tests.support.rawhttp import connect, read_all, render_head

pytestmark = pytest.mark.slow

TEXT = Event("assistantResponseEvent", {"content": "Hello"})
STREAMED = HELLO | {"stream": True}
PATHS = ["/v1/messages", "/v1/chat/completions"]


class _Gate:
    """Answers that begin at once and end one by one, when they are told to."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._events: list[trio.Event] = []
        self._opened = 0
        self.most_leases = 0
        proxy.simulator.responder = self._respond

    def _respond(self, _record: Record) -> Script:
        self.most_leases = max(self.most_leases, self._proxy.broker.statistics().in_flight)
        self._events.append(trio.Event())
        return [TEXT, WaitFor(self._events[-1])]

    async def wait(self, count: int) -> None:
        """Until so many answers have begun."""
        await until(lambda: len(self._events) >= count)

    async def open(self) -> None:
        """Ends the answer that began first of those that have not ended, once there is one."""
        self._opened += 1
        await self.wait(self._opened)
        self._events[self._opened - 1].set()


async def _wait_for_line(proxy: Proxy, waiting: int) -> None:
    await until(lambda: proxy.service.admission.statistics().waiting == waiting)


async def _wait_for_peace(proxy: Proxy) -> None:
    """All is given back, when all have gone."""
    await until(lambda: not proxy.service.lives)
    await until(lambda: proxy.service.admission.statistics().in_use == 0)
    assert proxy.service.admission.statistics().waiting == 0


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_a_third_request_waits_for_one_of_two_places(*, stream: bool) -> None:
    """It is served when one of the two ends; its log line says how long it waited, those of the others do not."""
    async with running_proxy(max_streams=2) as proxy, trio.open_nursery() as nursery:
        gate = _Gate(proxy)
        statuses: list[int] = []

        async def ask() -> None:
            statuses.append((await proxy.client.post("/v1/messages", json=HELLO | {"stream": stream})).status_code)

        for _ in range(3):
            nursery.start_soon(ask)
        await gate.wait(2)
        await _wait_for_line(proxy, 1)
        assert len(proxy.simulator.generations) == 2
        await trio.sleep(0.01)
        for _ in range(3):
            await gate.open()
        lines = await proxy.log.wait("exchange", 3)
        assert sorted("waited_ms" in line for line in lines) == [False, False, True]
        await _wait_for_peace(proxy)
        assert (statuses, gate.most_leases) == ([200] * 3, 2)


@pytest.mark.parametrize(
    ("path", "status", "kind"), [(PATHS[0], 529, "overloaded_error"), (PATHS[1], 503, "server_error")]
)
@pytest.mark.parametrize(("room", "wait"), [(0, 60.0), (1, 0.1)], ids=["line full", "waited in vain"])
async def test_one_too_many_is_refused_in_its_dialect(
    path: str, status: int, kind: str, room: int, wait: float
) -> None:
    """With the time after which to come again; nothing of it goes upstream."""
    async with running_proxy(max_streams=1, max_waiting=room, max_wait=wait) as proxy, trio.open_nursery() as nursery:
        gate = _Gate(proxy)
        nursery.start_soon(partial(proxy.client.post, "/v1/messages", json=HELLO))
        await gate.wait(1)

        refused = await proxy.client.post(path, json=STREAMED)

        assert (refused.status_code, refused.json()["error"]["type"]) == (status, kind)
        assert refused.headers["retry-after"] == str(max(1, round(wait)))
        [line] = await proxy.log.wait("exchange")
        assert (line["outcome"], line["upstream_calls"], "waited_ms" in line) == ("overloaded", 0, room > 0)
        assert len(proxy.simulator.generations) == 1
        assert proxy.service.admission.statistics() == AdmissionStatistics(in_use=1, waiting=0, refused=1)
        await gate.open()


async def test_a_waiting_client_that_leaves_frees_its_place_in_the_line() -> None:
    """Another may wait in its stead, and is served; the one that left never was."""
    async with running_proxy(max_streams=1, max_waiting=1) as proxy, trio.open_nursery() as nursery:
        gate = _Gate(proxy)
        ask = partial(proxy.client.post, "/v1/messages", json=STREAMED)
        nursery.start_soon(ask)
        await gate.wait(1)
        async with trio.open_nursery() as leaving:
            leaving.start_soon(ask)
            await _wait_for_line(proxy, 1)
            leaving.cancel_scope.cancel()
        await _wait_for_line(proxy, 0)
        nursery.start_soon(ask)
        await _wait_for_line(proxy, 1)
        await gate.open()
        await gate.open()
        outcomes = [line["outcome"] for line in await proxy.log.wait("exchange", 3)]
        assert outcomes == ["client_disconnected", "completed", "completed"]
        assert len(proxy.simulator.generations) == 2
        await _wait_for_peace(proxy)


@pytest.mark.parametrize("told_apart_by", ["address", "session"])
async def test_a_second_client_comes_before_the_fifth_request_of_the_first(told_apart_by: str) -> None:
    """It gets the first place that comes free, though others have waited for longer."""
    address = "127.0.0.2" if told_apart_by == "address" else "127.0.0.1"
    transport = httpx.AsyncHTTPTransport(local_address=address, verify=NO_CERTIFICATES)
    async with (
        running_proxy(max_streams=2) as proxy,
        httpx.AsyncClient(base_url=proxy.url, headers=proxy.client.headers, transport=transport, timeout=30) as second,
        trio.open_nursery() as nursery,
    ):
        gate = _Gate(proxy)

        def ask(client: httpx.AsyncClient, text: str, session: str) -> None:
            body = STREAMED | {"messages": [{"role": "user", "content": text}]}
            if told_apart_by == "session":
                body |= {"metadata": {"user_id": f'{{"session_id": "{session}"}}'}}
            nursery.start_soon(partial(client.post, "/v1/messages", json=body))

        for number in range(5):
            ask(proxy.client, "of the first", "one")
            await gate.wait(min(number + 1, 2))
        await _wait_for_line(proxy, 3)
        ask(second, "of the second", "two")
        await _wait_for_line(proxy, 4)
        for number in range(6):
            await gate.open()
            await gate.wait(min(number + 3, 6))
        asked = [b"of the second" in record.raw for record in proxy.simulator.generations]
        assert asked == [False, False, True, False, False, False]


async def test_requests_that_are_cancelled_give_all_places_back() -> None:
    """Sixty clients that leave while they wait, before the head and in the middle: never more than four at once."""
    async with running_proxy(max_streams=4, max_wait=60, max_waiting=60) as proxy:
        gate = _Gate(proxy)
        scopes = [trio.CancelScope() for _ in range(60)]

        async def ask(number: int) -> None:
            with scopes[number]:
                await proxy.client.post(PATHS[number % 2], json=HELLO | {"stream": number % 3 > 0})

        async with trio.open_nursery() as nursery:
            for number in range(60):
                nursery.start_soon(ask, number)
            await gate.wait(4)
            await _wait_for_line(proxy, 56)
            for number in range(60):
                scopes[number * 7 % 60].cancel()
                for _ in range(number % 5 * 5):
                    await trio.lowlevel.checkpoint()
        await _wait_for_peace(proxy)
        await until(lambda: proxy.simulator.streams_open == 0)
        assert gate.most_leases == 4
        assert len(proxy.simulator.generations) > 4


async def test_a_stop_refuses_those_that_wait() -> None:
    """They are told at once; the one that has a place ends whole."""
    async with running_proxy(max_streams=1, max_wait=60) as proxy, trio.open_nursery() as nursery:
        gate = _Gate(proxy)
        answers: list[httpx.Response] = []

        async def ask() -> None:
            answers.append(await proxy.client.post("/v1/messages", json=STREAMED))

        nursery.start_soon(ask)
        await gate.wait(1)
        nursery.start_soon(ask)
        await _wait_for_line(proxy, 1)
        proxy.stop.set()
        await proxy.log.wait("exchange")
        await gate.open()
        await proxy.log.wait("stopped")
    assert [answer.status_code for answer in answers] == [529, 200]
    assert "message_stop" in answers[1].text


@pytest.mark.parametrize("sent", [0, 100, 150_000])
async def test_a_client_that_leaves_during_its_upload_takes_no_place(sent: int) -> None:
    """Nothing goes upstream, and no credential was asked for."""
    async with running_proxy() as proxy:
        fields = {"authorization": f"Bearer {CLIENT_KEY}", "content-length": "200000"}
        async with await connect(proxy.url) as stream:
            await stream.send_all(render_head("POST", "/v1/messages", fields) + b" " * sent)
            await until(lambda: len(proxy.service.lives) == 1)
            assert proxy.service.admission.statistics().in_use == 0
        await _wait_for_peace(proxy)
        assert proxy.simulator.generations == []


async def test_idle_connections_make_room_for_new_ones() -> None:
    """Of many more than are allowed the longest idle are closed; a request gets through, and one in flight stays."""
    async with running_proxy(max_connections=5) as proxy, AsyncExitStack() as stack:
        gate = _Gate(proxy)
        async with proxy.client.stream("POST", "/v1/messages", json=STREAMED) as response:
            await gate.wait(1)
            streams = [await stack.enter_async_context(await connect(proxy.url)) for _ in range(100)]
            for stream in streams[:96]:
                assert await read_all(stream) == b""
            async with httpx.AsyncClient(verify=NO_CERTIFICATES) as other:
                assert (await other.get(f"{proxy.url}/healthz")).status_code == 200
            await gate.open()
            assert "message_stop" in (await response.aread()).decode()
        assert proxy.log.find("connection_refused") == []


async def test_connections_beyond_the_limit_are_closed_when_all_are_in_use() -> None:
    """The log has one line for them all, for a while."""
    async with running_proxy(max_connections=2) as proxy, trio.open_nursery() as nursery:
        gate = _Gate(proxy)
        for _ in range(2):
            nursery.start_soon(partial(proxy.client.post, "/v1/messages", json=STREAMED))
        await gate.wait(2)
        for _ in range(20):
            async with await connect(proxy.url) as stream:
                assert await read_all(stream) == b""
        assert proxy.log.find("connection_refused") == [{"times": 1}]
        await gate.open()
        await gate.open()


@asynccontextmanager
async def _running_with(files: int, cwd: Path) -> AsyncIterator[tuple[str, trio.Process, trio.abc.ReceiveStream]]:
    """The demo as a process that may open so many files: its URL, itself, and what it goes on to say."""
    command = ["prlimit", f"--nofile={files}", sys.executable, "-m", "kiro2api", "demo"]
    names = ("PATH", "PYTHON", "SSL")
    environment = {name: value for name, value in os.environ.items() if name.startswith(names)} | {"PORT": "0"}
    run = partial(trio.run_process, command, cwd=cwd, env=environment, check=False)
    async with trio.open_nursery() as nursery:
        process: trio.Process = await nursery.start(partial(run, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
        assert process.stdout is not None
        said = ""
        with trio.fail_after(20):
            while (found := re.search(r"listens on (http://[0-9.:]+) ", said)) is None:
                said += (await process.stdout.receive_some()).decode()
                assert process.returncode is None, said
        yield found.group(1), process, process.stdout
        process.terminate()


async def _measure_load(process: trio.Process, seconds: float) -> float:
    """The share of one processor that it takes."""

    def read_ticks() -> int:
        fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    before = read_ticks()
    await trio.sleep(seconds)
    return (read_ticks() - before) / os.sysconf("SC_CLK_TCK") / seconds


async def test_few_descriptors_are_enough(tmp_path: Path) -> None:
    """With 96 of them 200 connections cost neither the processor nor the log nor those who ask for something."""
    async with (
        _running_with(96, tmp_path) as (url, process, output),
        httpx.AsyncClient(base_url=url, headers={"x-api-key": "123456"}, verify=NO_CERTIFICATES) as client,
        AsyncExitStack() as stack,
    ):
        for _ in range(200):
            await stack.enter_async_context(await connect(url))
        with trio.fail_after(10):  # the connecting itself costs something; what must not be is that it never ends
            while await _measure_load(process, 0.3) >= 0.8:
                pass
        answer = await client.post("/v1/messages", json=STREAMED)
        assert "message_stop" in answer.text
        assert process.returncode is None
        process.terminate()
        said = await read_all(output)
        assert len(said.splitlines()) < 30


async def test_a_waiting_stream_takes_little_memory() -> None:
    """A hundred streams that hang grow the process, clients and simulator included, by less than a megabyte each."""
    body = json.dumps(STREAMED).encode()
    fields = {"authorization": f"Bearer {CLIENT_KEY}", "content-length": str(len(body))}
    async with running_proxy() as proxy, AsyncExitStack() as stack:
        gate = _Gate(proxy)
        before = _read_resident_bytes()
        for _ in range(100):
            stream = await stack.enter_async_context(await connect(proxy.url))
            await stream.send_all(render_head("POST", "/v1/messages", fields) + body)
        await gate.wait(100)
        assert proxy.service.admission.statistics().in_use == 100
        assert _read_resident_bytes() - before < 120_000_000


def _read_resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()
