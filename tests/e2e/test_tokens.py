"""Refreshes over real sockets: how many there are, what outlives a process, and what a strange answer does."""

import json
import resource
import statistics
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

from kiro2api.auth.sources import Loaded, parse_refresh_tokens
from kiro2api.auth.state.files import open_file_store
from kiro2api.provision import Supply
from kiro2api.simulator.accounts import Accounts
from kiro2api.simulator.addresses import USAGE_LIMITS_PATH
from kiro2api.simulator.record import Record
from kiro2api.simulator.script import CutBeforeHead, Hang, Proceed, Respond, Script, WaitFor
from kiro2api.simulator.server import Simulator
from kiro2api.simulator.service import build_error, build_refresh_failure
from tests.support.greetings import ask, greet
from tests.support.proxy import CLIENT_KEY, HELLO, Proxy, running_proxy, until
from tests.support.rawhttp import exchange, render_head

STATE_KEY = "a-key-for-tests-that-seals"
STORM = 1000
STORM_FILES = 8192
"""A connection to the proxy and one to the upstream for each request, both ends of them in this process."""


@asynccontextmanager
async def running_on(directory: Path, simulator: Simulator, refresh_tokens: str = "refresh-a") -> AsyncIterator[Proxy]:
    """A proxy with its states in ``directory``."""
    store = open_file_store(directory, STATE_KEY)
    supply = Supply(loaded=Loaded(credentials=parse_refresh_tokens(refresh_tokens)), store=store)
    async with running_proxy(simulator, supply=supply) as proxy:
        yield proxy
    await store.aclose()


def list_shown(simulator: Simulator) -> list[str]:
    """The refresh tokens that were shown, in their order."""
    return [json.loads(record.raw)["refreshToken"] for record in simulator.refreshes]


def answer(body: bytes | dict[str, object], status: int = 200) -> Script:
    """An answer to a refresh."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return [Respond(status, {"content-type": "application/json"}, data)]


def answer_one(simulator: Simulator, credential: str, script: Script) -> None:
    """Answers the refreshes of one credential by ``script`` from now on, and the others' as ever."""
    simulator.refresh_responder = lambda record: script if record.credential == credential else None


async def leave_during_a_refresh(proxy: Proxy, number: int) -> None:
    """A client that is gone between the rotation at the service and its answer; the next one is served with that."""
    simulator, answered = proxy.simulator, trio.Event()
    count = len(simulator.accounts.grants) + 1
    simulator.enqueue_refresh([Proceed(hold=(WaitFor(answered),))])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(proxy.client.post, "/v1/messages", json=greet(number)))
        await simulator.wait_grants(count)
        nursery.cancel_scope.cancel("the client leaves")
    await until(lambda: len(proxy.service.lives) == 0)
    answered.set()
    assert await ask(proxy) == [200]
    assert len(simulator.accounts.grants) == count


async def test_a_rotated_refresh_token_is_never_shown_twice(tmp_path: Path) -> None:
    """Through expiries, clients that leave during the refresh, and a restart: the account is never given up."""
    simulator = Simulator(accounts=Accounts(["refresh-a"], rotate=True, detect_reuse=True))
    for _ in range(2):
        async with running_on(tmp_path / "state", simulator) as proxy:
            for number in range(3):
                assert await ask(proxy) == [200]
                simulator.accounts.expire_access_tokens()
                await leave_during_a_refresh(proxy, number)
            simulator.accounts.expire_access_tokens()

    shown = list_shown(simulator)
    assert len(shown) == 2 * (1 + 3)
    assert len(set(shown)) == len(shown)
    assert not simulator.accounts.reuses


async def test_what_was_stored_counts_before_the_login_that_it_descends_from(tmp_path: Path) -> None:
    """After a restart with the old setting the rotated refresh token is shown; another setting takes its place."""
    simulator = Simulator(accounts=Accounts(["refresh-a", "refresh-b"], rotate=True, detect_reuse=True))
    async with running_on(tmp_path / "state", simulator) as proxy:
        assert await ask(proxy) == [200]
    async with running_on(tmp_path / "state", simulator) as proxy:
        assert await ask(proxy) == [200]
        assert len(simulator.refreshes) == 1  # the stored access token lives
        simulator.accounts.expire_access_tokens()
        assert await ask(proxy) == [200]
    async with running_on(tmp_path / "state", simulator, "refresh-b") as proxy:
        assert await ask(proxy) == [200]

    rotated = simulator.accounts.grants[0].refresh_token
    assert list_shown(simulator) == ["refresh-a", rotated, "refresh-b"]
    assert not simulator.accounts.reuses


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="missing"),
        pytest.param({"expiresIn": "3600"}, id="text"),
        pytest.param({"expiresIn": 0}, id="zero"),
        pytest.param({"expiresIn": -3600}, id="negative"),
        pytest.param({"expiresIn": 10**12}, id="endless"),
        pytest.param({"expiresIn": {"seconds": 3600}}, id="object"),
    ],
)
async def test_an_odd_lifetime_serves_everybody(fields: dict[str, object]) -> None:
    """Six requests, and at most seven refreshes."""
    simulator = Simulator()

    def respond(_record: Record) -> Script:
        access_token = simulator.accounts.issue("refresh-a", now=trio.current_time())
        return answer({"accessToken": access_token} | fields)

    simulator.refresh_responder = respond
    async with running_proxy(simulator) as proxy:
        assert await ask(proxy, 6) == [200] * 6
        assert len(simulator.refreshes) <= 7


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(answer(b"<html>Please log in</html>"), id="page"),
        pytest.param(answer({"expiresIn": 3600}), id="no access token"),
        pytest.param(answer({"accessToken": "", "expiresIn": 3600}), id="empty access token"),
        pytest.param(answer(b""), id="nothing"),
        pytest.param(answer(b"[" * 10_000_000), id="10 MB"),
        pytest.param([build_refresh_failure(429)], id="throttled"),
        pytest.param([build_refresh_failure(503)], id="unavailable"),
        pytest.param([CutBeforeHead()], id="reset"),
    ],
)
async def test_a_refresh_that_brings_nothing_concerns_one_credential(script: Script) -> None:
    """The other one serves, and the one without an access token is asked for one rarely."""
    simulator = Simulator()
    answer_one(simulator, "refresh-a", script)
    async with running_proxy(simulator, refresh_tokens="refresh-a,refresh-b") as proxy:
        assert await ask(proxy, 6) == [200] * 6
        assert {record.credential for record in simulator.generations} == {"refresh-b"}
        assert list_shown(simulator).count("refresh-a") <= 2
        assert (await proxy.client.get("/readyz")).status_code == 200


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_a_refused_refresh_token_leaves_the_others_in_use(status: int) -> None:
    """It is shown once in these seconds, whether or not the refusal is final; one error or warning tells of it."""
    simulator = Simulator()
    answer_one(simulator, "refresh-a", [build_refresh_failure(status)])
    async with running_proxy(simulator, refresh_tokens="refresh-a,refresh-b") as proxy:
        assert await ask(proxy, 6) == [200] * 6
        assert list_shown(simulator).count("refresh-a") == 1
        events = ["credential_revoked", "credential_refresh_failed"]
        assert [len(proxy.log.find(event)) for event in events] == ([1, 0] if status == 400 else [0, 1])


async def measure(proxy: Proxy, *, first: int, count: int = 20) -> float:
    """The median of the seconds that the beginnings of so many conversations take, one after the other."""
    seconds: list[float] = []
    for number in range(first, first + count):
        began = trio.current_time()
        await proxy.client.post("/v1/messages", json=greet(number))
        seconds.append(trio.current_time() - began)
    return statistics.median(seconds)


async def test_a_hanging_refresh_slows_nobody_else_down() -> None:
    """The access token of one of two has ended, and its refresh hangs: the other serves as fast as before."""
    simulator = Simulator()
    tokens = "refresh-a,refresh-b"
    async with running_proxy(simulator, refresh_tokens=tokens, kiro_refresh_timeout=3) as proxy:
        await simulator.wait_grants(2)
        before = await measure(proxy, first=0)
        answer_one(simulator, "refresh-a", [Hang()])
        simulator.accounts.expire_access_tokens("refresh-a")
        async with trio.open_nursery() as nursery:
            for number in (100, 101):
                nursery.start_soon(partial(proxy.client.post, "/v1/messages", json=greet(number)))
            await until(lambda: len(simulator.refreshes) == 3)
            after = await measure(proxy, first=200)
            assert after < before + 0.1
            assert {record.credential for record in simulator.generations[-20:]} == {"refresh-b"}
            nursery.cancel_scope.cancel("measured")


@pytest.mark.parametrize(
    "script",
    [
        pytest.param([build_error(500, "Oh no.")], id="fails"),
        pytest.param([Hang()], id="hangs"),
        pytest.param(
            answer({"usageBreakdownList": [{"resourceType": "CREDIT", "currentUsage": 50, "usageLimit": 50}]}),
            id="nothing left",
        ),
    ],
)
async def test_limits_are_advice(script: Script) -> None:
    """Whatever the service says of them, and however late, requests are served at once."""
    simulator = Simulator()
    simulator.control_responder = lambda _record: script
    async with running_proxy(simulator, limits_interval=0.05) as proxy:
        assert await ask(proxy) == [200]
        await simulator.wait_requests(1, path=USAGE_LIMITS_PATH)
        with trio.fail_after(5):
            assert await ask(proxy, 10) == [200] * 10
        assert (await proxy.client.get("/readyz")).status_code == 200


def raise_file_limit() -> None:
    """As many open files as the storm takes, if this machine allows them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < STORM_FILES:
        if hard < STORM_FILES:
            pytest.skip(f"needs {STORM_FILES} open files")
        resource.setrlimit(resource.RLIMIT_NOFILE, (STORM_FILES, hard))


@pytest.mark.slow
async def test_a_thousand_requests_that_meet_an_expired_access_token_cost_one_refresh() -> None:
    """All of them are under way before it is answered, and all of them get their answer."""
    raise_file_limit()
    simulator, statuses = Simulator(), list[int]()
    async with running_proxy(simulator, max_streams=STORM, max_connections=2 * STORM) as proxy:
        assert await ask(proxy) == [200]
        simulator.accounts.expire_access_tokens()
        answered = trio.Event()
        simulator.enqueue_refresh([WaitFor(answered), Proceed()])
        body = json.dumps(HELLO).encode()
        fields = {"x-api-key": CLIENT_KEY, "content-length": str(len(body)), "connection": "close"}
        request = render_head("POST", "/v1/messages", fields) + body
        async with trio.open_nursery() as nursery:

            async def call() -> None:
                head, _, _ = (await exchange(proxy.url, request, seconds=60)).partition(b"\r\n")
                statuses.append(int(head.split()[1]))

            for _ in range(STORM):
                nursery.start_soon(call)
            await until(lambda: len(proxy.service.lives) == STORM)
            answered.set()
        assert statuses == [200] * STORM
        assert len(simulator.refreshes) == 2
