"""Credentials at work over real sockets: refresh, failover, and what clients are told."""

import json
from collections.abc import Mapping

import pytest
import trio

from kiro2api import __version__
from kiro2api.simulator.accounts import Accounts
from kiro2api.simulator.record import Record
from kiro2api.simulator.script import CutBeforeHead, Event, Hang, Respond, Script
from kiro2api.simulator.server import Simulator
from tests.support.greetings import ask, greet
from tests.support.proxy import HELLO, running_proxy

SUSPENDED = {"message": "Your User ID (1234) is suspended. We locked it.", "reason": "TEMPORARILY_SUSPENDED"}
THROTTLED = {"message": "Too many requests, please wait.", "reason": "USER_REQUEST_RATE_EXCEEDED"}
MONTHLY = {"message": "You have reached the limit.", "reason": "MONTHLY_REQUEST_COUNT"}
OVERAGE = {"message": "You have reached the limit.", "reason": "OVERAGE_REQUEST_LIMIT_EXCEEDED"}
DAILY = {"message": "Limit.", "reason": "DAILY_REQUEST_COUNT"}
UNKNOWN_MODEL = {"message": "Invalid model ID.", "reason": "INVALID_MODEL_ID"}
MALFORMED = {"message": "Improperly formed request.", "reason": None}
TOO_LONG = {"message": "Input is too long.", "reason": "CONTENT_LENGTH_EXCEEDS_THRESHOLD"}
FORBIDDEN = {"message": "The bearer token included in the request is invalid.", "reason": None}


def _respond(status: int, body: Mapping[str, object], **headers: str) -> list[Respond]:
    return [Respond(status, {"content-type": "application/json", **headers}, json.dumps(body).encode())]


def _refuse_credential(simulator: Simulator, credential: str, script: Script) -> None:
    """Answers one credential's calls by ``script``; the others reach the model."""

    def respond(record: Record) -> Script | None:
        return script if record.credential == credential else None

    simulator.responder = respond


async def test_an_expired_access_token_costs_one_refresh_and_no_error() -> None:
    """The client of the refused request gets its answer; the refresh happens once."""
    async with running_proxy() as proxy:
        await proxy.client.post("/v1/messages", json=HELLO)
        proxy.simulator.accounts.expire_access_tokens()
        response = await proxy.client.post("/v1/messages", json=HELLO)
        assert response.status_code == 200
        assert len(proxy.simulator.refreshes) == 2
        assert [record.status for record in proxy.simulator.generations] == [200, 403, 200]


async def test_thirty_refused_requests_cost_one_refresh() -> None:
    """Requests that run into the same expiry share the refresh."""
    async with running_proxy() as proxy:
        await proxy.client.post("/v1/messages", json=HELLO)
        proxy.simulator.accounts.expire_access_tokens()
        statuses: list[int] = []

        async def call() -> None:
            statuses.append((await proxy.client.post("/v1/messages", json=HELLO)).status_code)

        async with trio.open_nursery() as nursery:
            for _ in range(30):
                nursery.start_soon(call)
        assert statuses == [200] * 30
        assert len(proxy.simulator.refreshes) == 2


async def test_a_credential_refused_twice_is_left_for_the_next() -> None:
    """One forced refresh, then another credential; the client notices nothing."""
    simulator = Simulator()
    _refuse_credential(simulator, "refresh-a", _respond(403, FORBIDDEN))
    async with running_proxy(simulator, refresh_tokens="refresh-a,refresh-b") as proxy:
        assert await ask(proxy, 3) == [200] * 3
        refused = [record for record in simulator.generations if record.credential == "refresh-a"]
        assert len(refused) == 2
        assert proxy.broker.statistics().in_flight == 0


@pytest.mark.parametrize(
    ("script", "calls"),
    [
        pytest.param(_respond(429, THROTTLED), 1, id="throttled"),
        pytest.param(_respond(402, MONTHLY), 1, id="quota as 402"),
        pytest.param(_respond(400, MONTHLY), 1, id="quota as 400"),
        pytest.param(_respond(403, MONTHLY), 1, id="quota as 403"),
        pytest.param(_respond(429, MONTHLY), 1, id="quota as 429"),
        pytest.param(_respond(400, OVERAGE), 1, id="overage"),
        pytest.param(_respond(429, DAILY), 1, id="daily quota"),
        pytest.param(_respond(403, SUSPENDED), 1, id="suspended"),
        pytest.param(_respond(403, {"message": "User is not authorized to make this call."}), 1, id="forbidden"),
    ],
)
async def test_a_credential_at_fault_fails_over_before_the_first_byte(script: Script, calls: int) -> None:
    """The next credential answers; the one at fault is not asked again while it rests."""
    simulator = Simulator()
    _refuse_credential(simulator, "refresh-a", script)
    async with running_proxy(simulator, refresh_tokens="refresh-a,refresh-b") as proxy:
        for number in range(4):
            response = await proxy.client.post("/v1/messages", json=greet(number, stream=True))
            assert "event: message_stop" in response.text
        asked = [record for record in simulator.generations if record.credential == "refresh-a"]
        assert len(asked) == calls
        assert len(simulator.refreshes) == 2


@pytest.mark.parametrize(
    ("script", "status", "kind", "retry"),
    [
        pytest.param(_respond(400, MALFORMED), 400, "invalid_request_error", None, id="malformed"),
        pytest.param(_respond(400, TOO_LONG), 400, "invalid_request_error", None, id="too long"),
        pytest.param(_respond(400, UNKNOWN_MODEL), 404, "not_found_error", None, id="model"),
        pytest.param(_respond(429, THROTTLED), 429, "rate_limit_error", None, id="throttled"),
        pytest.param(_respond(402, MONTHLY), 402, "billing_error", "false", id="quota"),
        pytest.param(_respond(429, DAILY), 429, "rate_limit_error", None, id="daily quota"),
        pytest.param(_respond(403, SUSPENDED), 503, "api_error", "false", id="suspended"),
        pytest.param(_respond(403, FORBIDDEN), 503, "api_error", "false", id="access token"),
        pytest.param(
            _respond(500, {"message": "Encountered unexpectedly high load when processing the request."}),
            529,
            "overloaded_error",
            None,
            id="capacity",
        ),
        pytest.param(_respond(500, {}), 502, "api_error", None, id="server"),
        pytest.param([Respond(502, {"content-type": "text/html"}, b"<html>")], 502, "api_error", None, id="edge"),
        pytest.param([Respond(302, {"location": "http://127.0.0.1:9/"})], 502, "api_error", None, id="redirect"),
        pytest.param([CutBeforeHead()], 502, "api_error", None, id="closed"),
    ],
)
async def test_what_the_client_is_told_when_nothing_helps(
    script: Script, status: int, kind: str, retry: str | None
) -> None:
    """Never 401 or 403 for our own credential; permanent failures say that repeating does not help."""
    simulator = Simulator()
    simulator.responder = lambda _record: script
    async with running_proxy(simulator) as proxy:
        response = await proxy.client.post("/v1/messages", json=HELLO)
        assert (response.status_code, response.json()["error"]["type"]) == (status, kind)
        assert response.headers.get("x-should-retry") == retry
        assert "1234" not in response.text
        assert len(simulator.generations) <= 3
        assert proxy.broker.statistics().in_flight == 0


@pytest.mark.parametrize(
    ("script", "status", "calls", "serving"),
    [
        pytest.param(_respond(400, MALFORMED), 400, 1, 3, id="malformed"),
        pytest.param(_respond(400, TOO_LONG), 400, 1, 3, id="too long"),
        pytest.param(_respond(400, UNKNOWN_MODEL), 404, 2, 3, id="model"),
        pytest.param(_respond(500, {}), 502, 2, 1, id="poisoned prompt"),
    ],
)
async def test_a_request_at_fault_is_asked_rarely_and_harms_no_credential(
    script: Script, status: int, calls: int, serving: int
) -> None:
    """Four in a row do not cool the pool: the next ones are answered, by all of the credentials unless they failed."""
    simulator = Simulator()
    async with running_proxy(simulator, refresh_tokens="refresh-a,refresh-b,refresh-c") as proxy:
        for number in range(1, 5):
            simulator.enqueue(*[script] * calls)
            assert await ask(proxy, first=number) == [status]
            assert len(simulator.generations) == number * calls
        states = {state.standing.value for state in proxy.broker.statistics().credentials}
        assert states <= {"usable", "passed_over"}
        assert await ask(proxy, 3, first=10) == [200] * 3
        assert len({record.credential for record in simulator.generations[-3:]}) >= serving


async def test_a_401_costs_one_refresh_as_a_403_does() -> None:
    """Some hosts say it that way; the repeated call shows the new access token."""
    async with running_proxy() as proxy:
        proxy.simulator.enqueue(_respond(401, {"message": "Unauthorized"}))
        assert (await proxy.client.post("/v1/messages", json=HELLO)).status_code == 200
        assert len(proxy.simulator.refreshes) == 2
        shown = [record.headers["authorization"] for record in proxy.simulator.generations]
        assert len(set(shown)) == 2


async def test_a_suspended_credential_is_not_refreshed() -> None:
    """Its account is locked: neither the first answer nor later requests cause a refresh or another call."""
    simulator = Simulator()
    simulator.responder = lambda _record: _respond(403, SUSPENDED)
    async with running_proxy(simulator) as proxy:
        for _ in range(3):
            assert (await proxy.client.post("/v1/messages", json=HELLO)).status_code == 503
        assert (len(simulator.refreshes), len(simulator.generations)) == (1, 1)


async def test_a_throttled_pool_is_asked_once_each_and_then_not_at_all() -> None:
    """The second request is refused with our own figure, and nothing is sent."""
    simulator = Simulator()
    simulator.responder = lambda _record: _respond(429, THROTTLED)
    async with running_proxy(simulator, refresh_tokens="refresh-a,refresh-b,refresh-c") as proxy:
        for _ in range(2):
            response = await proxy.client.post("/v1/messages", json=HELLO)
            assert response.status_code == 429
            assert 1 <= int(response.headers["retry-after"]) <= 6
            assert len(simulator.generations) == 3


@pytest.mark.parametrize(
    "script", [pytest.param([CutBeforeHead()], id="always reset"), pytest.param(_respond(500, {}), id="always 500")]
)
async def test_a_credential_that_always_fails_is_soon_passed_over(script: Script) -> None:
    """All requests are answered by the other one, and the bad one is not asked for ever."""
    simulator = Simulator()
    _refuse_credential(simulator, "refresh-a", script)
    async with running_proxy(simulator, refresh_tokens="refresh-a,refresh-b") as proxy:
        assert await ask(proxy, 12) == [200] * 12
        assert 2 <= sum(record.credential == "refresh-a" for record in simulator.generations) <= 7


async def test_a_pool_that_is_out_in_four_ways_answers_fast() -> None:
    """Suspended, used up, revoked, and refused: five calls at the most, and then none."""
    simulator = Simulator()
    ways = {
        "refresh-a": _respond(403, SUSPENDED),
        "refresh-b": _respond(402, MONTHLY),
        "refresh-d": _respond(403, FORBIDDEN),
    }
    simulator.responder = lambda record: ways[record.credential or ""]
    simulator.accounts.revoke("refresh-c")
    async with running_proxy(simulator, refresh_tokens="refresh-a,refresh-b,refresh-c,refresh-d") as proxy:
        for _ in range(2):
            response = await proxy.client.post("/v1/messages", json=HELLO)
            assert (response.status_code, response.headers["x-should-retry"]) == (503, "false")
            assert len(simulator.generations) == 4


async def test_one_request_makes_no_more_than_eight_calls() -> None:
    """However many credentials there are."""
    simulator = Simulator()
    simulator.responder = lambda _record: _respond(403, {"message": "User is not authorized to make this call."})
    tokens = ",".join(f"refresh-{letter}" for letter in "abcdefghij")
    async with running_proxy(simulator, refresh_tokens=tokens) as proxy:
        assert (await proxy.client.post("/v1/messages", json=HELLO)).status_code == 503
        assert len(simulator.generations) == 8


async def test_nothing_is_asked_again_after_the_first_byte() -> None:
    """A stream that breaks is not replayed, on no credential."""
    simulator = Simulator()
    simulator.responder = lambda _record: [
        Event("assistantResponseEvent", {"content": "Hello"}),
        Event("toolUseEvent", {"toolUseId": "t", "name": "f", "input": "nonsense", "stop": True}),
    ]
    async with running_proxy(simulator, refresh_tokens="refresh-a,refresh-b") as proxy:
        response = await proxy.client.post("/v1/messages", json=HELLO | {"stream": True})
        assert "event: error" in response.text
        assert len(simulator.generations) == 1


async def test_a_throttled_pool_says_how_long_to_wait() -> None:
    """With a figure of the upstream's it is passed on; the next request is refused without asking."""
    simulator = Simulator()
    simulator.responder = lambda _record: _respond(429, THROTTLED, **{"retry-after": "30"})
    async with running_proxy(simulator) as proxy:
        first = await proxy.client.post("/v1/messages", json=HELLO)
        second = await proxy.client.post("/v1/messages", json=HELLO)
        assert first.headers["retry-after"] == "30"
        assert (second.status_code, len(simulator.generations)) == (429, 1)
        assert 25 <= int(second.headers["retry-after"]) <= 31


async def test_a_revoked_refresh_token_is_told_as_an_upstream_credential() -> None:
    """503 that is not to be repeated, ``/readyz`` says so, and the auth service is asked once."""
    simulator = Simulator()
    simulator.enqueue_refresh(*_respond(400, {"error": "invalid_grant", "message": "Invalid refresh token provided"}))
    async with running_proxy(simulator) as proxy:
        for _ in range(2):
            response = await proxy.client.post("/v1/messages", json=HELLO)
            assert (response.status_code, response.headers["x-should-retry"]) == (503, "false")
        assert (await proxy.client.get("/readyz")).status_code == 503
        assert (await proxy.client.get("/healthz")).status_code == 200
        assert len(simulator.refreshes) == 1


async def test_a_hanging_refresh_does_not_hold_up_the_other_credential() -> None:
    """The credential that has an access token serves meanwhile."""
    simulator = Simulator()
    simulator.refresh_responder = lambda record: [Hang()] if record.credential == "refresh-a" else None
    async with running_proxy(simulator, refresh_tokens="refresh-a,refresh-b") as proxy:
        with trio.fail_after(5):
            response = await proxy.client.post("/v1/messages", json=HELLO)
        assert response.status_code == 200


async def test_it_starts_without_a_network() -> None:
    """Nothing listens at the refresh URL: the process runs, and says that it is not ready."""
    async with running_proxy(kiro_refresh_url="http://127.0.0.1:9/refreshToken") as proxy:
        assert (await proxy.client.get("/healthz")).status_code == 200
        assert (await proxy.client.get("/readyz")).status_code == 503
        assert (await proxy.client.post("/v1/messages", json=HELLO)).status_code == 503


async def test_an_unreachable_upstream_is_no_fault_of_a_credential() -> None:
    """502, and the credential is as usable as before."""
    async with running_proxy(kiro_upstream_url="http://127.0.0.1:9") as proxy:
        response = await proxy.client.post("/v1/messages", json=HELLO)
        assert (response.status_code, response.json()["error"]["type"]) == (502, "api_error")
        assert (await proxy.client.get("/readyz")).status_code == 200


async def test_the_rotated_refresh_token_is_used_next() -> None:
    """The second refresh shows the token that the first one brought."""
    async with running_proxy(Simulator(accounts=Accounts(rotate=True))) as proxy:
        await proxy.client.post("/v1/messages", json=HELLO)
        proxy.simulator.accounts.expire_access_tokens()
        await proxy.client.post("/v1/messages", json=HELLO)
        shown = [json.loads(record.raw)["refreshToken"] for record in proxy.simulator.refreshes]
        assert shown[0] == "refresh-a"
        assert shown[1] != shown[0]


async def test_the_upstream_learns_nothing_of_the_client_s_headers() -> None:
    """Its request is built from nothing: no client key, one honest user agent."""
    async with running_proxy() as proxy:
        await proxy.client.post("/v1/messages", json=HELLO, headers={"x-canary": "canary", "user-agent": "canary"})
        [record] = proxy.simulator.generations
        assert "canary" not in str(record.headers)
        assert "a-key-for-tests-only" not in str(record.headers)
        assert {asked.headers["user-agent"] for asked in proxy.simulator.requests} == {f"kiro2api/{__version__}"}
