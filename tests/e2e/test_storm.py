"""Hundreds of clients that leave at random moments, in every way there is: each time the upstream is let go at once."""

import gc
import json
import math
import os
import random
import re
import socket
import struct
from bisect import bisect_left
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio

from kiro2api.routes.life import RequestLife
from kiro2api.simulator.record import Record
from kiro2api.simulator.script import Event, Hang, HangBeforeHead, Pause, Script
from tests.support.proxy import CLIENT_KEY, Proxy, running_proxy, until
from tests.support.rawhttp import Http2Client, connect, render_head

pytestmark = pytest.mark.slow

CLIENTS = 500
AT_ONCE = 10
"""Clients: they share this process with the proxy and the upstream, and more would measure their own load."""
GROUP = 5
"""Clients that share an HTTP/2 connection."""
LONGEST_STAY = 0.05
"""Seconds until a client leaves."""
LETTING_GO_SECONDS = 0.1
"""From a client's leaving to the end of its call upstream."""
PULSE_SECONDS = 0.005
GROWTH_BYTES = 32 * 2**20
"""Of memory over all clients: 64 KiB for each, less than half of the largest request."""

TEXT = Event("assistantResponseEvent", {"content": "Hello"})
SCRIPTS: tuple[Script, ...] = (
    [HangBeforeHead()],
    [TEXT, Hang()],
    [step for _ in range(500) for step in (TEXT, Pause(0.02))],
)
"""The upstream is silent, falls silent after a word, or goes on and on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What one client does."""

    number: int
    path: str
    body: bytes
    sent: float
    """The part of its request that it sends."""
    is_patient: bool
    """Whether it stays at least until the upstream has its request."""
    stay: float
    """Seconds until it leaves, from its request or from there."""
    is_reset: bool
    """Whether it then leaves with a RST instead of a FIN."""


@dataclass(slots=True)
class Pulse:
    """By how much this loop is late, all told: the machine's other work is not the proxy's delay."""

    times: list[float] = field(default_factory=lambda: [0.0])
    sums: list[float] = field(default_factory=lambda: [0.0])

    async def run(self) -> None:
        while True:
            due = trio.current_time() + PULSE_SECONDS
            await trio.sleep_until(due)
            self.times.append(trio.current_time())
            self.sums.append(self.sums[-1] + self.times[-1] - due)

    def measure(self, start: float, end: float) -> float:
        """Seconds from ``start`` to ``end``, without those that the loop was late by in between."""
        last = min(bisect_left(self.times, end), len(self.times) - 1)
        late = self.sums[last] - self.sums[bisect_left(self.times, start) - 1]
        return end - start - late


@dataclass(slots=True)
class Sightings:
    """When each client left, and what the upstream saw of it, by the client's number."""

    left_at: dict[int, float] = field(default_factory=dict)
    records: dict[int, list[Record]] = field(default_factory=dict)
    pulse: Pulse = field(default_factory=Pulse)
    _news: trio.Event = field(default_factory=trio.Event)

    async def wait(self, number: int) -> None:
        """Returns when the upstream has the request of a client."""
        with trio.fail_after(10):
            while number not in self.records:
                await self._news.wait()

    def respond(self, record: Record) -> Script:
        found = re.search(rb"client (\d+)", record.raw)
        assert found is not None
        number = int(found[1])
        self.records.setdefault(number, []).append(record)
        self._news.set()
        self._news = trio.Event()
        return SCRIPTS[number % len(SCRIPTS)]

    def list_delays(self) -> list[float]:
        """Seconds from each client's leaving to the end of its call."""
        return [
            self.pulse.measure(self.left_at[number], record.finished_at or 0.0)
            for number, records in self.records.items()
            for record in records
        ]


type Come = Callable[[Proxy, Sightings, list[Visit]], Awaitable[None]]


def _draw_visits(seed: int, numbers: range) -> list[Visit]:
    draw = random.Random(seed)  # noqa: S311  chance, no secret
    visits = []
    for number in numbers:
        content = f"client {number} says " + "x" * draw.choice([10, 10, 1000, 150_000])
        body = {"model": "claude-sonnet-4-5", "max_tokens": 100, "stream": draw.random() < 0.7}
        visit = Visit(
            number=number,
            path=draw.choice(["/v1/messages", "/v1/chat/completions"]),
            body=json.dumps(body | {"messages": [{"role": "user", "content": content}]}).encode(),
            sent=1.0 if (is_patient := draw.random() < 0.5) else draw.choice([1.0, draw.random()]),
            is_patient=is_patient,
            stay=draw.uniform(0, LONGEST_STAY),
            is_reset=draw.random() < 0.5,
        )
        visits.append(visit)
    return visits


async def _come_by_http1(proxy: Proxy, sightings: Sightings, visits: list[Visit]) -> None:
    """Each client has its own connection, and leaves with it."""
    for visit in visits:
        fields = {"authorization": f"Bearer {CLIENT_KEY}", "content-length": str(len(visit.body))}
        request = render_head("POST", visit.path, fields) + visit.body
        stream = await connect(proxy.url)
        with trio.CancelScope() as scope:
            scope.deadline = math.inf if visit.is_patient else trio.current_time() + visit.stay
            await stream.send_all(request[: int(len(request) * visit.sent)])
            if visit.is_patient:
                await sightings.wait(visit.number)
                scope.deadline = trio.current_time() + visit.stay
            while await stream.receive_some():
                pass
        await _leave(stream, sightings, visit)


async def _come_by_http2(proxy: Proxy, sightings: Sightings, visits: list[Visit]) -> None:
    """The clients share a connection and reset their streams; the last one leaves with the connection."""
    stream = await connect(proxy.url)
    client = Http2Client(stream)
    await client.flush()
    streams = {visit.number: await _request_by_http2(client, visit) for visit in visits}
    *others, last = sorted(visits, key=lambda visit: (visit.is_patient, visit.stay))
    for visit in (*others, last):
        if visit.is_patient:
            await sightings.wait(visit.number)
        with trio.move_on_after(visit.stay):
            while not client.is_closed:
                await client.receive()
        assert not client.is_closed
        if visit is not last:
            sightings.left_at[visit.number] = trio.current_time()
            await client.reset(streams[visit.number])
    await _leave(stream, sightings, last)


async def _request_by_http2(client: Http2Client, visit: Visit) -> int:
    fields = {"authorization": f"Bearer {CLIENT_KEY}"}.items()
    if visit.sent == 1.0:
        return await client.request("POST", visit.path, body=visit.body, fields=fields)
    stream_id = await client.request("POST", visit.path, body=b"", fields=fields)
    part = visit.body[: min(int(len(visit.body) * visit.sent), client.connection.max_outbound_frame_size)]
    client.connection.send_data(stream_id, part)
    await client.flush()
    return stream_id


async def _leave(stream: trio.abc.Stream, sightings: Sightings, visit: Visit) -> None:
    assert isinstance(stream, trio.SocketStream)
    sightings.left_at[visit.number] = trio.current_time()
    if visit.is_reset:
        # Lingering for no time at all turns the FIN into a RST: socket(7).
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await stream.aclose()


async def _storm(proxy: Proxy, come: Come, visits: list[Visit]) -> Sightings:
    """All clients come and leave; returns when the proxy has let go of the last one."""
    sightings = Sightings()
    proxy.simulator.responder = sightings.respond
    send, receive = trio.open_memory_channel[list[Visit]](len(visits))
    with send:
        for start in range(0, len(visits), GROUP):
            send.send_nowait(visits[start : start + GROUP])

    async def come_in_groups() -> None:
        async for group in receive:
            await come(proxy, sightings, group)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(sightings.pulse.run)
        async with trio.open_nursery() as clients:
            for _ in range(AT_ONCE // (1 if come is _come_by_http1 else GROUP)):
                clients.start_soon(come_in_groups)
        await until(
            lambda: not (proxy.simulator.streams_open or proxy.broker.statistics().in_flight or proxy.service.lives)
        )
        nursery.cancel_scope.cancel("all have left")
    return sightings


def _count_tasks() -> int:
    return trio.lowlevel.current_statistics().tasks_living


def _count_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _measure_memory(proxy: Proxy) -> int:
    """Bytes that this process has, without what only the upstream remembers."""
    proxy.simulator.requests.clear()
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


by_both = pytest.mark.parametrize(
    "come", [pytest.param(_come_by_http1, id="HTTP/1.1"), pytest.param(_come_by_http2, id="HTTP/2")]
)


@by_both
async def test_clients_that_leave_at_random_moments_leave_nothing_behind(come: Come) -> None:
    """No call upstream outlives its client by 100 ms; tasks, descriptors, memory, leases and lives are back at base.

    Nobody is called again after that, and none of it is worth a warning.
    """
    async with running_proxy() as proxy:
        await _storm(proxy, come, _draw_visits(1, range(50)))
        visits = _draw_visits(2, range(CLIENTS))
        tasks, descriptors, memory = _count_tasks(), _count_descriptors(), _measure_memory(proxy)
        sightings = await _storm(proxy, come, visits)
        await until(lambda: _count_tasks() <= tasks and _count_descriptors() <= descriptors)
        calls = [record for records in sightings.records.values() for record in records]
        assert not {entry.event for entry in proxy.log.entries if entry.level != "info"} - {"loop_lag"}
        assert {record.outcome for record in calls} == {"cut_by_peer"}
        assert {len(records) for records in sightings.records.values()} == {1}
        assert max(sightings.list_delays()) < LETTING_GO_SECONDS
        calls.clear()
        sightings.records.clear()
        assert _measure_memory(proxy) - memory < GROWTH_BYTES
        assert not [found for found in gc.get_objects() if type(found) is RequestLife]
