"""``/admin/credentials`` over real sockets: who may see it, and what it shows right after something has happened."""

import json
from dataclasses import replace

import pytest

from kiro2api.auth.sources import parse_refresh_tokens
from kiro2api.auth.state.memory import MemoryStore
from kiro2api.provision import Supply
from kiro2api.simulator.record import Record
from kiro2api.simulator.script import Respond, Script
from kiro2api.simulator.server import Simulator
from tests.support.proxy import CLIENT_KEY, HELLO, Proxy, running_proxy

ADMIN_KEY = "an-admin-key-for-tests-only"
PATH = "/admin/credentials"
DENIALS = {
    "refresh-b": (429, {"message": "Too many requests.", "reason": "USER_REQUEST_RATE_EXCEEDED"}),
    "refresh-c": (403, {"message": "Your User ID (1234) is suspended.", "reason": "TEMPORARILY_SUSPENDED"}),
    "refresh-d": (402, {"message": "You have reached the limit.", "reason": "MONTHLY_REQUEST_COUNT"}),
}


class TroubledStore(MemoryStore):
    """Keeps what it is given, and has something to say."""

    trouble = "write: ENOSPC: No space left on device"


async def _look(proxy: Proxy) -> dict[str, dict[str, object]]:
    """What is shown of each credential, by its label."""
    response = await proxy.client.get(PATH, headers={"authorization": f"Bearer {ADMIN_KEY}"})
    assert response.status_code == 200
    return {credential["label"]: credential for credential in response.json()["credentials"]}


def _deny(record: Record) -> Script | None:
    if record.credential not in DENIALS:
        return None
    status, body = DENIALS[record.credential]
    return [Respond(status, {"content-type": "application/json"}, json.dumps(body).encode())]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({"authorization": f"Bearer {ADMIN_KEY}"}, 200, id="bearer"),
        pytest.param({"authorization": "", "x-api-key": ADMIN_KEY}, 200, id="x-api-key"),
        pytest.param({"authorization": f"Bearer {CLIENT_KEY}"}, 401, id="the clients' key"),
        pytest.param({"authorization": f"Bearer {ADMIN_KEY}x"}, 401, id="wrong"),
        pytest.param({"authorization": "", "x-api-key": ""}, 401, id="empty"),
        pytest.param({"authorization": ""}, 401, id="none"),
    ],
)
async def test_only_the_operators_key_opens_it(headers: dict[str, str], status: int) -> None:
    """Nothing of the answer may be stored on its way; a refusal is in OpenAI's words and repeats no key."""
    async with running_proxy(kiro_admin_token=ADMIN_KEY) as proxy:
        response = await proxy.client.get(PATH, headers=headers)
        assert response.status_code == status
        if status == 200:
            assert response.headers["cache-control"] == "no-store"
        else:
            assert response.json()["error"]["code"] == "invalid_api_key"
            assert not {ADMIN_KEY, CLIENT_KEY} & {*response.text.split()}


async def test_the_operators_key_opens_nothing_else() -> None:
    """It is no clients' key."""
    async with running_proxy(kiro_admin_token=ADMIN_KEY) as proxy:
        for path in ("/v1/models", "/nothing"):
            response = await proxy.client.get(path, headers={"authorization": f"Bearer {ADMIN_KEY}"})
            assert response.status_code == 401


@pytest.mark.parametrize("key", [CLIENT_KEY, ADMIN_KEY, ""])
async def test_without_a_key_there_is_nothing(key: str) -> None:
    """The same for whoever asks, and by whatever method: nothing tells that there could be something."""
    async with running_proxy() as proxy:
        for method in ("GET", "POST", "OPTIONS"):
            response = await proxy.client.request(method, PATH, headers={"x-api-key": key, "authorization": ""})
            assert (response.status_code, response.json()["error"]["code"]) == (404, "unknown_url")


async def test_below_admin_there_is_nothing_else() -> None:
    """With the right key only: a stranger does not learn that."""
    async with running_proxy(kiro_admin_token=ADMIN_KEY) as proxy:
        statuses = [
            (await proxy.client.request(method, path, headers={"authorization": f"Bearer {key}"})).status_code
            for key in (ADMIN_KEY, CLIENT_KEY)
            for method, path in (("GET", "/admin/nothing"), ("POST", PATH))
        ]
        assert statuses == [404, 405, 401, 401]


async def test_it_shows_at_once_what_has_happened() -> None:
    """Each credential's state with the reason, and until when; one that is well is ready."""
    simulator = Simulator()
    simulator.responder = _deny
    dead = Respond(400, {"content-type": "application/json"}, b'{"error": "invalid_grant"}')
    simulator.refresh_responder = lambda record: [dead] if record.credential == "refresh-a" else None
    tokens = "refresh-a,refresh-b,refresh-c,refresh-d,refresh-e"
    async with running_proxy(simulator, refresh_tokens=tokens, kiro_admin_token=ADMIN_KEY) as proxy:
        for _ in range(4):
            assert (await proxy.client.post("/v1/messages", json=HELLO)).status_code == 200
        shown = await _look(proxy)
        states = {label: credential["state"] for label, credential in shown.items()}
        assert states == {
            "social-1": "revoked",
            "social-2": "rate_limited",
            "social-3": "suspended",
            "social-4": "quota_exhausted",
            "social-5": "usable",
        }
        assert "invalid_grant" in str(shown["social-1"]["why"])
        assert "AWS_REFRESHTOKEN" in str(shown["social-1"]["why"])
        assert [label for label, credential in shown.items() if credential["until"] is None] == ["social-1", "social-5"]
        assert (shown["social-5"]["used"], shown["social-5"]["in_flight"]) == (4, 0)
        assert isinstance(shown["social-5"]["expires_at"], float)


async def test_nothing_of_it_is_secret() -> None:
    """No refresh token, no access token, no profile, not the account's number."""
    simulator = Simulator()
    simulator.responder = _deny
    async with running_proxy(simulator, refresh_tokens="refresh-c,refresh-e", kiro_admin_token=ADMIN_KEY) as proxy:
        await proxy.client.post("/v1/messages", json=HELLO)
        text = str(await _look(proxy))
        access_tokens = [grant.access_token for grant in simulator.accounts.grants]
        assert len(access_tokens) == 2
        hidden = ["refresh-", *access_tokens, "arn:", "1234", ADMIN_KEY, CLIENT_KEY]
        assert [secret for secret in hidden if secret in text] == []


async def test_trouble_with_the_store_is_told_and_refuses_nothing() -> None:
    """By the operator's answer, and by ``/readyz``, which stays at 200."""
    supply = replace(Supply.of(parse_refresh_tokens("refresh-a")), store=TroubledStore())
    async with running_proxy(supply=supply, kiro_admin_token=ADMIN_KEY) as proxy:
        await proxy.client.post("/v1/messages", json=HELLO)
        ready = await proxy.client.get("/readyz")
        answer = await proxy.client.get(PATH, headers={"x-api-key": ADMIN_KEY})
        assert (ready.status_code, ready.json()) == (
            200,
            {"status": "ready", "warnings": ["write: ENOSPC: No space left on device"]},
        )
        assert answer.status_code == 200
        assert answer.json()["state_store"] == {"trouble": "write: ENOSPC: No space left on device"}


async def test_without_trouble_there_is_no_warning() -> None:
    """The answer of a proxy that is well has nothing to add."""
    async with running_proxy(kiro_admin_token=ADMIN_KEY) as proxy:
        await proxy.client.post("/v1/messages", json=HELLO)
        assert (await proxy.client.get("/readyz")).json() == {"status": "ready"}
