"""A soak: mixed traffic against a proxy of its own, with faults and clients that leave, and what it leaves behind.

``python benchmarks/soak.py --minutes 10``: all of it runs on this machine (Linux), in front of a simulated Kiro. Prints
what was measured, and ends with exit code 1 if a bound is broken.
"""

import argparse
import json
import random
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import httpx
import trio

from benchmarks.soak_books import LEFT, Books
from benchmarks.soak_process import Probe, ProxyProcess, Sample, fit_slope, rank, running_proxy, take_sample
from benchmarks.soak_traffic import Order, draw_order
from kiro2api.simulator.server import Simulator
from kiro2api.simulator.service import GENERATE_PATH

WORKERS = 20
"""Clients at a time, each with one request at a time."""
HTTP2_WORKERS = 5
"""Of them, that speak HTTP/2. They never leave: their library cannot reset a single stream."""
LONGEST_PAUSE = 1.0
"""Seconds from an answer to the next request: some 20 requests a second, which keeps a core half busy."""
CREDENTIALS = 8
"""So many that a few of them resting after a fault are not missed."""
EVENT_SECONDS = 0.01
"""Between two events of the simulated Kiro."""
KEPT_REQUESTS = 10
"""That the simulated Kiro remembers; the books have what is needed of the others."""
ANSWER_SECONDS = 60
"""Of silence, after which a client gives its answer up as broken; the proxy's own limits are far shorter."""
SETTLE_SECONDS = 10
"""For the last lines of the log, after the last answer."""
CLOSE_SECONDS = 1.0
"""For the proxy to close the connections of clients that have gone."""

WARM_UP_SHARE = 1 / 3
"""Of the samples, that no slope is read from: caches fill, and the allocator finds its size."""
MEMORY_SLOPE = 1.0
"""Megabytes an hour that memory may grow: 24 in a day."""
MEMORY_NOISE = 12.0
"""Megabytes on top: the allocator's ups and downs with the largest requests, which minutes do not even out."""
DESCRIPTOR_GROWTH = 20
"""From the end of the warm-up to the end: as many as there are clients, who come and go."""
DESCRIPTORS_LEFT = WORKERS + 4
"""More than before the first request, when all clients have gone: connections kept to the upstream, one a worker."""
LAG = 0.05
"""Seconds of a probe's round trip at the 99th percentile: nobody notices so much."""
WAITING_SHARE = 0.05
"""Of the time, that the proxy may wait for a processor: where others take more, the lag is theirs and is not judged."""

EXPECTED_LINES = ("info ", "warning loop_lag")
"""Of the proxy's log, besides those of exchanges: a lag is judged by the probes."""
RANKS = {"p50": 0.5, "p99": 0.99, "max": 1.0}

CLIENT_KEY = "a-key-for-the-soak-only"
ENVIRONMENT = {
    "AWS_REFRESHTOKEN": ",".join(f"refresh-token-of-the-soak-{number}" for number in range(CREDENTIALS)),
    "KIRO_CLIENT_TOKEN": CLIENT_KEY,
    "PING_INTERVAL": "0.5",
    "KIRO_FIRST_BYTE_TIMEOUT": "2",
    "KIRO_IDLE_TIMEOUT": "2",
}
"""Silences are short, so that each of their limits is met often."""


@dataclass(slots=True, kw_only=True)
class Soak:
    """A run and what was measured in it."""

    seconds: float
    draw: random.Random
    simulator: Simulator
    books: Books = field(default_factory=Books)
    samples: list[Sample] = field(default_factory=list)
    """One before the first request, one after the last, the others evenly in between."""
    probe: Probe = field(default_factory=Probe)
    exit_code: int | None = None
    _number: int = 0

    async def run(self) -> None:
        """From the start of the proxy to its end."""
        self.simulator.responder = self.books.respond
        async with trio.open_nursery() as nursery:
            await nursery.start(self.simulator.serve)
            addresses = {"KIRO_UPSTREAM_URL": self.simulator.base_url, "KIRO_REFRESH_URL": self.simulator.refresh_url}
            async with running_proxy(ENVIRONMENT | addresses, receive_line=self._receive_line) as proxy:
                await self._load(proxy)
                await self._settle()
                self.samples.append(take_sample(proxy.process.pid, seconds=self.seconds))
                self.exit_code = await proxy.stop()
            nursery.cancel_scope.cancel("the proxy has stopped")
        self.books.finish()

    async def _load(self, proxy: ProxyProcess) -> None:
        stop = threading.Event()
        async with trio.open_nursery() as watchers:
            watchers.start_soon(trio.to_thread.run_sync, self.probe.run, proxy.url, stop)
            watchers.start_soon(self._sample, proxy.process.pid)
            try:
                async with trio.open_nursery() as workers:
                    for number in range(WORKERS):
                        workers.start_soon(partial(self._work, proxy.url, is_http2=number < HTTP2_WORKERS))
            finally:
                stop.set()
            watchers.cancel_scope.cancel("all answers are there")

    async def _work(self, url: str, *, is_http2: bool) -> None:
        """A client that asks until the time is over."""
        end = trio.current_time() + self.seconds
        async with httpx.AsyncClient(
            base_url=url,
            headers={"authorization": f"Bearer {CLIENT_KEY}"},
            timeout=ANSWER_SECONDS,
            trust_env=False,
            http1=not is_http2,
            http2=is_http2,
        ) as client:
            while trio.current_time() < end:
                await trio.sleep(self.draw.uniform(0, LONGEST_PAUSE))
                self._number += 1
                order = draw_order(self.draw, self._number, may_leave=not is_http2)
                self.books.open(order)
                self.books.close(order.number, await _ask(client, order))

    async def _sample(self, pid: int) -> None:
        began = trio.current_time()
        while True:
            self.samples.append(take_sample(pid, seconds=trio.current_time() - began))
            await trio.sleep(min(5.0, self.seconds / 50))

    async def _settle(self) -> None:
        with trio.move_on_after(SETTLE_SECONDS):
            await self.books.wait_settled()
        await trio.sleep(CLOSE_SECONDS)

    def _receive_line(self, line: bytes) -> None:
        try:
            self.books.receive_line(json.loads(line))
        except ValueError:
            self.books.receive_line(line.decode("utf-8", "replace"))


async def _ask(client: httpx.AsyncClient, order: Order) -> str:
    """How a request ended, as its client sees it."""
    status, text = 0, b""
    headers = {"content-type": "application/json", "x-request-id": str(order.number)}
    content = order.upload() if order.is_slow else order.body
    try:
        with trio.move_on_after(ANSWER_SECONDS if order.stay is None else order.stay) as scope:
            async with client.stream("POST", order.path, content=content, headers=headers) as response:
                status = response.status_code
                text = await response.aread()
    except httpx.HTTPError as error:
        return f"broken: {type(error).__name__}"
    if scope.cancelled_caught:
        return "broken: no end" if order.stay is None else LEFT
    return order.judge(status, text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slopes:
    """What grew after the warm-up."""

    hours: float
    memory: float
    """Megabytes an hour."""
    descriptors: float
    """An hour."""


def fit_slopes(samples: list[Sample]) -> Slopes:
    """The slopes of the samples but the first and the last, which are taken at rest."""
    steady = samples[1 + int(len(samples) * WARM_UP_SHARE) : -1]
    times = [sample.seconds / 3600 for sample in steady]
    return Slopes(
        hours=times[-1] - times[0] if times else 0.0,
        memory=fit_slope(times, [sample.memory for sample in steady]),
        descriptors=fit_slope(times, [float(sample.descriptors) for sample in steady]),
    )


def list_broken_bounds(soak: Soak) -> Iterator[str]:
    """What is not as it should be, each in a line."""
    books, slopes, first, last = soak.books, fit_slopes(soak.samples), soak.samples[0], soak.samples[-1]
    if slopes.memory * slopes.hours > (limit := MEMORY_SLOPE * slopes.hours + MEMORY_NOISE):
        yield f"memory grew by {slopes.memory * slopes.hours:.1f} MB; {limit:.1f} are allowed in that time"
    if slopes.descriptors * slopes.hours > DESCRIPTOR_GROWTH:
        yield f"descriptors grew by {slopes.descriptors * slopes.hours:.0f}; {DESCRIPTOR_GROWTH} are allowed"
    if last.descriptors - first.descriptors > DESCRIPTORS_LEFT:
        yield f"{last.descriptors} descriptors are left of {first.descriptors}; {DESCRIPTORS_LEFT} more are allowed"
    if (lag := rank(soak.probe.trips, 0.99)) > LAG and (last.waited - first.waited) / soak.seconds <= WAITING_SHARE:
        yield f"the loop is late by {lag * 1000:.0f} ms at the 99th percentile; {LAG * 1000:.0f} are allowed"
    if soak.probe.failures:
        yield f"{soak.probe.failures} probes failed"
    if (calls := soak.simulator.counts[GENERATE_PATH]) != books.sums["calls seen"]:
        yield f"{calls} calls upstream, {books.sums['calls seen']} of them accounted for"
    if soak.simulator.streams_open:
        yield f"{soak.simulator.streams_open} calls upstream are still open"
    if soak.exit_code != 0:
        yield f"exit code {soak.exit_code} on SIGTERM"
    yield from (f"{count} x {line}" for line, count in books.lines.items() if not line.startswith(EXPECTED_LINES))
    yield from (f"{count} x {what}" for what, count in books.wrongs.items())
    yield from books.examples


def render_report(soak: Soak) -> Iterator[str]:
    """What was measured, each in a line."""
    books, slopes, trips = soak.books, fit_slopes(soak.samples), soak.probe.trips
    first, busy, last = soak.samples[0], soak.samples[1:-1] or soak.samples, soak.samples[-1]
    yield f"requests      {books.outcomes.total()} in {soak.seconds:.0f} s, {WORKERS} at a time"
    yield from (f"  {outcome:<42} {count}" for outcome, count in books.outcomes.most_common())
    yield f"faults        {books.faults.total() - books.faults['']} requests, {len(books.faults.keys() - {''})} kinds"
    yield f"calls         {soak.simulator.counts[GENERATE_PATH]} upstream"
    yield f"  = {books.sums['requests that got there']} requests + {books.sums['retries']} allowed retries"
    yield from (f"  {what:<42} {count}" for what, count in sorted(books.sums.items()))
    yield f"memory        {first.memory:.1f} MB at rest before, {last.memory:.1f} MB at rest after"
    yield f"  at most {max(sample.memory for sample in busy):.1f} MB; slope {slopes.memory:+.1f} MB/h"
    yield f"descriptors   {first.descriptors} at rest before, {last.descriptors} at rest after"
    yield f"  at most {max(sample.descriptors for sample in busy)}; slope {slopes.descriptors:+.1f}/h"
    yield f"  (slopes over {slopes.hours * 60:.1f} min, after the warm-up)"
    yield f"threads       {max(sample.threads for sample in busy)} at most, {last.threads} at rest after"
    lags = ", ".join(f"{name} {rank(trips, share) * 1000:.1f} ms" for name, share in RANKS.items())
    yield f"loop lag      {lags} in {len(trips)} probes"
    used, waited = ((last.used - first.used) / soak.seconds, (last.waited - first.waited) / soak.seconds)
    yield f"processor     used for {used:.0%} of the time, waited for {waited:.0%}"
    yield from (f"log           {count} x {line}" for line, count in sorted(books.lines.items()))


def main() -> int:
    """The exit code: 0, or 1 if a bound is broken."""
    parser = argparse.ArgumentParser(description="Mixed traffic against a proxy, and what it leaves behind.")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default: 10)")
    parser.add_argument("--seed", type=int, default=1, help="of what is left to chance (default: 1)")
    arguments = parser.parse_args()
    simulator = Simulator(demo_delay=EVENT_SECONDS, keep=KEPT_REQUESTS)
    soak = Soak(seconds=arguments.minutes * 60, draw=random.Random(arguments.seed), simulator=simulator)
    trio.run(soak.run)
    print("\n".join(render_report(soak)))
    broken = list(list_broken_bounds(soak))
    print("\n".join(["broken bounds:", *broken]) if broken else "all bounds hold")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
