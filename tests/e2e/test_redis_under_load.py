"""Whole proxies over a Redis server that is stopped, stalled and started again: their clients notice nothing of it.

Latencies are compared within one run: phases of an outage with those in which the server was well. Noise makes single
moments slow, and harm makes the same phase slow each time: each phase is judged by the best of several rounds.
"""

import itertools
import json
import os
import statistics
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from kiro2api.app import write_log
from kiro2api.auth.credentials import build_fingerprint
from kiro2api.auth.pool import Standing
from kiro2api.auth.sharing import NOTES_SECONDS
from kiro2api.auth.state.files import open_file_store
from kiro2api.auth.state.redis import RedisStore
from kiro2api.auth.state.sealing import Seal
from kiro2api.auth.state.store import StateStore
from kiro2api.config import Settings
from kiro2api.provision import open_supply
from kiro2api.simulator.accounts import Accounts
from kiro2api.simulator.record import Record
from kiro2api.simulator.script import Proceed, Respond, Script, WaitFor
from kiro2api.simulator.server import Simulator
from tests.support.proxy import HELLO, Proxy, RecordingLog, running_proxy
from tests.support.redis import RedisServer, redis_server

pytestmark = pytest.mark.slow

MIN_ROUNDS = int(os.environ.get("OUTAGES", "2"))
"""Of an outage of each kind under load; more for a long look."""
MAX_ROUNDS = MIN_ROUNDS + 3
"""If the machine is noisy."""
CLIENTS = 4
"""At once, which keeps the loop of this test busy."""
REQUESTS = 300
"""In each phase at least: what holds up all clients at once, be it a single time, shows in the 99th percentile."""
MAX_RATIO = 2.0
MAX_LONGER_SECONDS = 0.1
"""The 99th percentile of a phase may be so many times, or so much longer than without an outage, whichever is more. A
request that waited for a call to a stalled server would take 0.2 s longer."""
MAX_MEDIAN_RATIO = 1.5
MAX_MEDIAN_LONGER_SECONDS = 0.01
"""The same for the median."""
RECOVERY_SECONDS = 20.0
"""For a connection that is opened again, after pauses of some seconds."""
NEWS_SECONDS = 2 * NOTES_SECONDS + 1.0
"""For a cooldown to reach another process: until the one tells, until the other listens, and some room."""

STATE_KEY = "a-key-for-tests-that-seals"
TOKENS = ("refresh-a", "refresh-b")
THROTTLED = {"message": "Too many requests, please wait.", "reason": "USER_REQUEST_RATE_EXCEEDED"}

_numbers = itertools.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """A proxy with its store, as the settings make them."""

    proxy: Proxy
    store_log: RecordingLog
    """What the store of states tells."""

    async def ask(self) -> int:
        """The status of a short conversation of its own."""
        message = {"role": "user", "content": f"Hello {next(_numbers)}"}
        response = await self.proxy.client.post("/v1/messages", json=HELLO | {"messages": [message]})
        return response.status_code

    async def ask_until(self, condition: Callable[[], object]) -> None:
        """Asks until ``condition`` holds; every answer is a good one."""
        with trio.fail_after(RECOVERY_SECONDS):
            while not condition():
                assert await self.ask() == 200

    def find_standing(self, label: str) -> Standing:
        """What this proxy thinks of a credential."""
        states = self.proxy.broker.statistics().credentials
        return next(state.standing for state in states if state.label == label)

    def count(self, event: str) -> int:
        """How often the store has told of ``event``."""
        return len(self.store_log.find(event))


@asynccontextmanager
async def running_replica(
    simulator: Simulator,
    state_url: str,
    *,
    home: Path | None = None,
    tokens: Iterable[str] = TOKENS[:1],
    replicas: int = 1,
    **others: object,
) -> AsyncIterator[Replica]:
    """A proxy that keeps its states at ``state_url``, and beside a Redis in ``home``, else in memory."""
    values: dict[str, Any] = {"state_url": state_url, "state_key": STATE_KEY, "replicas": replicas, **others}
    settings = Settings.model_validate(values | {"aws_refreshtoken": ",".join(tokens)}, by_name=True)
    log = RecordingLog()
    environ = {} if home is None else {"XDG_STATE_HOME": str(home)}
    supply = open_supply(settings, environ, log=partial(write_log, log))
    async with running_proxy(simulator, supply=supply, **values) as proxy:
        yield Replica(proxy=proxy, store_log=log)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    """A server with nothing in it."""
    folder = tmp_path / "redis"
    folder.mkdir()
    async with redis_server(folder) as server:
        yield server


def rotating(*refresh_tokens: str, expires_in: int = 3600) -> Simulator:
    """An upstream that rotates refresh tokens, and ends an account that shows one twice."""
    return Simulator(accounts=Accounts(refresh_tokens, rotate=True, detect_reuse=True, expires_in=expires_in))


@dataclass(slots=True)
class Load:
    """Many short requests, and how long they took."""

    replica: Replica
    statuses: Counter[int] = field(default_factory=Counter)
    phases: defaultdict[str, list[list[float]]] = field(default_factory=lambda: defaultdict(list))
    """Seconds of each request, by phase and round."""

    async def run(
        self, phase: str, act: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint, *, downs: int, ups: int
    ) -> None:
        """Asks while ``act`` happens, until that has shown in so many changes of the store and there are enough."""
        taken: list[float] = []

        async def ask_again_and_again() -> None:
            while (
                len(taken) < REQUESTS
                or self.replica.count("state_store_down") < downs
                or self.replica.count("state_store_up") < ups
            ):
                began = trio.current_time()
                self.statuses[await self.replica.ask()] += 1
                taken.append(trio.current_time() - began)

        with trio.fail_after(3 * RECOVERY_SECONDS):
            async with trio.open_nursery() as nursery:
                for _ in range(CLIENTS):
                    nursery.start_soon(ask_again_and_again)
                await act()
        self.phases[phase].append(taken)

    def find_harm(self) -> Iterator[str]:
        """A line for each phase that was slower than when the server was well."""
        usual, usual_median = self.measure("up")
        limit = max(MAX_RATIO * usual, usual + MAX_LONGER_SECONDS)
        median_limit = max(MAX_MEDIAN_RATIO * usual_median, usual_median + MAX_MEDIAN_LONGER_SECONDS)
        for phase in self.phases:
            slow, median = self.measure(phase)
            if slow > limit or median > median_limit:
                yield f"{phase}: {slow:.3f} s, median {median:.3f} s; well: {usual:.3f} s, median {usual_median:.3f} s"

    def measure(self, phase: str) -> tuple[float, float]:
        """The 99th percentile and the median, each of the round in which it was best."""
        rounds = self.phases[phase]
        slow = min(statistics.quantiles(taken, n=100)[98] for taken in rounds)
        return slow, min(statistics.median(taken) for taken in rounds)


async def run_round(load: Load, server: RedisServer) -> None:
    """The server is well, stalls, goes on, stops and comes back with nothing, all under load."""

    async def stall() -> None:
        server.pause()

    async def go_on() -> None:
        server.resume()

    changes = 2 * len(load.phases["up"])
    await load.run("up", downs=changes, ups=changes)
    await load.run("stalled", stall, downs=changes + 1, ups=changes)
    await load.run("resumed", go_on, downs=changes + 1, ups=changes + 1)
    await load.run("stopped", server.stop, downs=changes + 2, ups=changes + 1)
    await load.run("restarted", server.start, downs=changes + 2, ups=changes + 2)


async def test_valid_tokens_are_served_whatever_redis_does(server: RedisServer, tmp_path: Path) -> None:
    """Every answer is good, none is late, and each outage is told of once."""
    simulator = rotating(*TOKENS)
    async with running_replica(simulator, server.url, home=tmp_path, tokens=TOKENS, replicas=2) as replica:
        load = Load(replica)
        await load.run("warming up", downs=0, ups=0)
        del load.phases["warming up"]
        for count in range(1, MAX_ROUNDS + 1):
            await run_round(load, server)
            if count >= MIN_ROUNDS and not any(load.find_harm()):
                break

    assert list(load.statuses) == [200]
    assert list(load.find_harm()) == []
    assert (replica.count("state_store_down"), replica.count("state_store_up")) == (2 * count, 2 * count)
    assert (len(simulator.refreshes), dict(simulator.accounts.reuses)) == (len(TOKENS), {})


async def read_until(store: StateStore, refresh_token: str, generation: int) -> None:
    """Waits until ``store`` has the record of that generation."""
    with trio.fail_after(RECOVERY_SECONDS):
        while True:
            record = await store.read(build_fingerprint(refresh_token))
            if record is not None and record.generation == generation:
                return
            await trio.sleep(0.02)  # nothing tells of it


async def test_what_is_refreshed_in_an_outage_is_published_after_it(server: RedisServer, tmp_path: Path) -> None:
    """A replica that is alone refreshes, keeps it on its own disk, and gives it to a server that came back empty."""
    simulator = rotating("refresh-a")
    async with trio.open_nursery() as nursery:
        async with running_replica(simulator, server.url, home=tmp_path / "one") as one:
            assert await one.ask() == 200
            await server.kill()
            simulator.accounts.expire_access_tokens()
            assert await one.ask() == 200
            await read_until(open_file_store(tmp_path / "one/kiro2api", STATE_KEY), "refresh-a", 2)
            await server.start()
            shared = RedisStore(server.url, Seal(STATE_KEY))
            await nursery.start(shared.run)
            await read_until(shared, "refresh-a", 2)
        async with running_replica(simulator, server.url, home=tmp_path / "two") as two:
            assert await two.ask() == 200
        nursery.cancel_scope.cancel("the test is over")
    assert (len(simulator.refreshes), dict(simulator.accounts.reuses)) == (2, {})


async def test_of_several_replicas_none_trades_a_rotating_token_in_an_outage(server: RedisServer) -> None:
    """The access token is used as long as it lives, then nobody is served, and soon after the outage everybody is."""
    simulator = rotating("refresh-a", expires_in=8)
    async with running_replica(simulator, server.url, replicas=2) as replica:
        assert await replica.ask() == 200
        await server.kill()
        await replica.ask_until(lambda: replica.proxy.log.find("credential_refresh_failed"))
        assert await replica.ask() == 200
        with trio.fail_after(RECOVERY_SECONDS):
            while await replica.ask() == 200:
                pass
        assert await replica.ask() == 503
        assert len(simulator.refreshes) == 1
        await server.start()
        with trio.fail_after(RECOVERY_SECONDS):
            while await replica.ask() != 200:  # noqa: ASYNC110 - as a client would, which would wait for longer
                await trio.sleep(0.05)
        assert (len(simulator.refreshes), dict(simulator.accounts.reuses)) == (2, {})


def throttle(simulator: Simulator, credential: str) -> None:
    """Has the upstream refuse one credential's calls for a minute."""
    head = {"content-type": "application/json", "retry-after": "60"}

    def respond(record: Record) -> Script | None:
        return [Respond(429, head, json.dumps(THROTTLED).encode())] if record.credential == credential else None

    simulator.responder = respond


async def wait_throttled(replica: Replica, label: str, *, seconds: float) -> None:
    """Waits until ``replica`` knows that a credential is throttled; it asks nobody itself meanwhile."""
    with trio.fail_after(seconds):
        while replica.find_standing(label) is not Standing.RATE_LIMITED:  # noqa: ASYNC110 - nothing tells of it
            await trio.sleep(0.02)


async def list_asked(replica: Replica) -> set[str | None]:
    """The credentials that some new conversations of ``replica`` come to."""
    simulator = replica.proxy.simulator
    before = len(simulator.generations)
    assert {await replica.ask() for _ in range(6)} == {200}
    return {record.credential for record in simulator.generations[before:]}


@pytest.mark.parametrize("kind", ["files", "redis"])
async def test_a_throttled_credential_is_left_alone_by_all(kind: str, server: RedisServer, tmp_path: Path) -> None:
    """One process is told by the upstream, and another one stops asking within seconds."""
    state_url = server.url if kind == "redis" else f"file:{tmp_path / 'state'}"
    simulator = rotating(*TOKENS)
    async with (
        running_replica(simulator, state_url, tokens=TOKENS) as one,
        running_replica(simulator, state_url, tokens=TOKENS) as two,
    ):
        assert await list_asked(two) == set(TOKENS)
        throttle(simulator, "refresh-a")
        await one.ask_until(lambda: one.find_standing("social-1") is Standing.RATE_LIMITED)
        await wait_throttled(two, "social-1", seconds=NEWS_SECONDS)
        assert await list_asked(two) == {"refresh-b"}


async def test_a_cooldown_of_an_outage_is_shared_after_it(server: RedisServer) -> None:
    """Meanwhile each replica has its own."""
    simulator = rotating(*TOKENS)
    async with (
        running_replica(simulator, server.url, tokens=TOKENS, replicas=2) as one,
        running_replica(simulator, server.url, tokens=TOKENS, replicas=2) as two,
    ):
        assert await list_asked(two) == set(TOKENS)
        await server.kill()
        await two.store_log.wait("state_store_down")
        throttle(simulator, "refresh-a")
        await one.ask_until(lambda: one.find_standing("social-1") is Standing.RATE_LIMITED)
        assert two.find_standing("social-1") is Standing.USABLE
        await server.start()
        await wait_throttled(two, "social-1", seconds=RECOVERY_SECONDS)
        assert await list_asked(two) == {"refresh-b"}


async def test_a_refresh_that_outlives_the_proxy_reaches_the_shared_store(server: RedisServer) -> None:
    """One that is under way at the stop is seen through, and its refresh token kept where the next replica finds it."""
    simulator = rotating("refresh-a")
    released = trio.Event()
    async with trio.open_nursery() as nursery:
        async with running_replica(simulator, server.url, replicas=2, shutdown_grace=0.2) as replica:
            assert await replica.ask() == 200
            simulator.enqueue_refresh([WaitFor(released), Proceed()])
            simulator.accounts.expire_access_tokens()
            nursery.start_soon(replica.ask)
            await simulator.wait_requests(2, path="/refreshToken")
            replica.proxy.stop.set()
            await replica.proxy.log.wait("stopped")
            released.set()
            await replica.proxy.log.wait("credential_refreshed", 2)
        async with running_replica(simulator, server.url, replicas=2) as replica:
            assert await replica.ask() == 200
    assert (len(simulator.refreshes), dict(simulator.accounts.reuses)) == (2, {})
