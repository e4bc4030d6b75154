"""The simulated service over real sockets: its own answers."""

import json
from functools import partial

import httpx
import pytest
import trio
import trio.testing

from kiro2api.simulator.account import AccountKind, Quota
from kiro2api.simulator.accounts import PROFILE_ARN, Accounts
from kiro2api.simulator.addresses import MODELS_PATH, OIDC_PATH, PROFILES_PATH, USAGE_LIMITS_PATH
from kiro2api.simulator.model import answer
from kiro2api.simulator.script import Cut, Proceed, Respond, Step, WaitFor, encode_frame
from kiro2api.simulator.server import Simulator
from kiro2api.simulator.service import GENERATE_PATH, REFRESH_PATH, build_refresh_failure
from tests.unit.simulator.bodies import encode, request, tool, user
from tests.unit.simulator.records import FORM, build_account

INVALID_BEARER = {
    "message": "The bearer token included in the request is invalid.",
    "reason": None,
}
BODY = encode(request())
FRAMES = b"".join(encode_frame(event) for event in answer(request(), new_id=str))


async def test_a_good_call_is_answered_by_the_model(simulator: Simulator, client: httpx.AsyncClient) -> None:
    """The answer is the model's frames, chunked, with the service's headers; the record says who asked what."""
    response = await client.post(GENERATE_PATH, content=BODY)
    [record] = simulator.requests
    await record.finished.wait()
    assert (response.status_code, response.content) == (200, FRAMES)
    assert response.headers["content-type"] == "application/vnd.amazon.eventstream"
    assert response.headers["transfer-encoding"] == "chunked"
    assert len(response.headers["x-amzn-requestid"]) == 36
    assert (record.method, record.path, record.raw) == ("POST", GENERATE_PATH, BODY)
    assert (record.body, record.credential, record.rule) == (request(), "mine", None)
    assert record.headers["content-type"] == "application/json"
    assert (record.status, record.outcome) == (200, "whole")
    assert record.finished_at is not None
    assert record.time <= record.finished_at <= trio.current_time()


async def test_only_the_newest_requests_are_kept(nursery: trio.Nursery) -> None:
    """With ``keep`` older ones are forgotten, and still counted."""
    simulator = Simulator(keep=2)
    await nursery.start(simulator.serve)
    async with httpx.AsyncClient(base_url=simulator.base_url, trust_env=False) as client:
        for content in (b"1", b"2", b"3"):
            await client.post(GENERATE_PATH, content=content)
    assert [record.raw for record in simulator.requests] == [b"2", b"3"]
    assert simulator.counts == {GENERATE_PATH: 3}


async def test_tool_uses_have_new_ids_each_time(client: httpx.AsyncClient) -> None:
    """Two answers to the same request do not share a tool-use id."""
    body = encode(request(user("use get_time", context={"tools": [tool()]})))
    answers = [(await client.post(GENERATE_PATH, content=body)).content for _ in range(2)]
    assert all(b"tooluse_" in answer for answer in answers)
    assert answers[0] != answers[1]


@pytest.mark.parametrize("authorization", ["", "Bearer nobody", "Basic bWluZQ==", "Bearer"])
async def test_a_bad_access_token_is_refused(
    simulator: Simulator, client: httpx.AsyncClient, authorization: str
) -> None:
    """Without a good access token the answer is 403 in the service's words, whatever the body is."""
    response = await client.post(GENERATE_PATH, content=b"", headers={"authorization": authorization})
    assert (response.status_code, response.json()) == (403, INVALID_BEARER)
    assert response.headers["x-amzn-errortype"].startswith("AccessDeniedException:http")
    assert simulator.requests[0].credential is None


async def test_an_expired_access_token_is_refused(simulator: Simulator, client: httpx.AsyncClient) -> None:
    """After expiry the same call that was good is refused like one of a stranger."""
    before = await client.post(GENERATE_PATH, content=BODY)
    simulator.accounts.expire_access_tokens()
    after = await client.post(GENERATE_PATH, content=BODY)
    assert (before.status_code, after.status_code, after.json()) == (200, 403, INVALID_BEARER)


async def test_a_bad_body_is_refused(simulator: Simulator, client: httpx.AsyncClient) -> None:
    """A body that breaks a rule brings 400 with the reason; the record keeps the rule's name."""
    response = await client.post(GENERATE_PATH, content=encode(request(user(modelId="claude-opus-4-6"))))
    assert (response.status_code, response.json()) == (
        400,
        {
            "message": "Invalid model ID. Please select a different model to continue.",
            "reason": "INVALID_MODEL_ID",
        },
    )
    assert response.headers["x-amzn-errortype"].startswith("ValidationException:http")
    assert simulator.requests[0].rule == "model_id_known"


async def test_another_media_type_is_refused(simulator: Simulator, client: httpx.AsyncClient) -> None:
    """A body that does not claim to be JSON is refused; parameters of the media type do not matter."""
    types = ["text/plain", "", "application/json; charset=utf-8", "application/x-amz-json-1.0"]
    statuses = [
        (await client.post(GENERATE_PATH, content=BODY, headers={"content-type": kind})).status_code for kind in types
    ]
    assert statuses == [400, 400, 200, 200]
    assert simulator.requests[0].rule == "media_type"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/"),
        ("GET", GENERATE_PATH),
        ("POST", "/ListAvailableModels"),
        ("PUT", REFRESH_PATH),
        ("GET", "/oidc/us-east-1/token"),
        ("POST", "/api/us-east-1/refreshToken"),
    ],
)
async def test_an_unknown_operation_is_not_found(client: httpx.AsyncClient, method: str, path: str) -> None:
    """What is no operation brings 404 with the service's name for it, in the body and in the header."""
    response = await client.request(method, path)
    assert response.status_code == 404
    assert response.json()["__type"].endswith("#UnknownOperationException")
    assert response.headers["x-amzn-errortype"].startswith("UnknownOperationException:")


async def test_a_refresh_buys_an_access_token(simulator: Simulator, client: httpx.AsyncClient) -> None:
    """The access token of a refresh is good for calls, and its calls go on the refreshed credential's account."""
    response = await client.post(simulator.refresh_url, json={"refreshToken": "aor-1"})
    body = response.json()
    assert response.status_code == 200
    assert body == {
        "accessToken": body["accessToken"],
        "refreshToken": "aor-1",
        "expiresIn": 3600,
        "profileArn": PROFILE_ARN,
    }
    bearer = {"authorization": f"Bearer {body['accessToken']}"}
    await client.post(f"{GENERATE_PATH}?x=1", content=BODY, headers=bearer)
    assert [record.credential for record in simulator.requests] == ["aor-1", "aor-1"]
    assert [record.path for record in simulator.refreshes] == [REFRESH_PATH]
    assert [record.status for record in simulator.generations] == [200]


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"refreshToken": 1}', b"[" * 200_000])
async def test_a_refresh_without_a_refresh_token_is_refused(client: httpx.AsyncClient, content: bytes) -> None:
    """No refresh token is as bad as an unknown one."""
    response = await client.post(REFRESH_PATH, content=content)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")


async def test_rotation_over_the_wire(nursery: trio.Nursery) -> None:
    """The rotated refresh token works once more, the old one brings 401, an unknown one 400; all are counted."""
    simulator = Simulator(accounts=Accounts(["a"], rotate=True, expires_in=5))
    await nursery.start(simulator.serve)
    async with httpx.AsyncClient(trust_env=False) as client:
        url = simulator.refresh_url
        first = (await client.post(url, json={"refreshToken": "a"})).json()
        second = await client.post(url, json={"refreshToken": first["refreshToken"]})
        old = await client.post(url, json={"refreshToken": "a"})
        unknown = await client.post(url, json={"refreshToken": "b"})
    assert first["expiresIn"] == 5
    assert [second.status_code, old.status_code, unknown.status_code] == [200, 401, 400]
    assert simulator.accounts.refreshes == {"a": 2, first["refreshToken"]: 1, "b": 1}
    credentials = [record.credential for record in simulator.requests]
    assert credentials == ["a", "a", None, None]


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500, 503])
async def test_a_refresh_fails_on_demand(simulator: Simulator, client: httpx.AsyncClient, status: int) -> None:
    """A failure that is enqueued answers one refresh; the next one is good again."""
    simulator.enqueue_refresh(build_refresh_failure(status))
    answers = [(await client.post(REFRESH_PATH, json={"refreshToken": "a"})).status_code for _ in range(2)]
    assert answers == [status, 200]


async def test_a_refresh_fails_for_one_credential_only(simulator: Simulator, client: httpx.AsyncClient) -> None:
    """The responder for refreshes sees whose refresh it is."""
    failure: list[Step] = [build_refresh_failure(429)]
    simulator.refresh_responder = lambda record: failure if record.credential == "a" else None
    answers = [(await client.post(REFRESH_PATH, json={"refreshToken": name})).status_code for name in ("a", "b", "a")]
    assert answers == [429, 200, 429]


async def test_the_model_speaks_slowly_in_the_demo(nursery: trio.Nursery) -> None:
    """With a delay the frames are the same, and the time they take is at least the delays' sum."""
    simulator = Simulator(demo_delay=0.002)
    await nursery.start(simulator.serve)
    access_token = simulator.accounts.issue("a", now=trio.current_time())
    headers = {"authorization": f"Bearer {access_token}", "content-type": "application/json"}
    async with httpx.AsyncClient(trust_env=False, headers=headers) as client:
        response = await client.post(simulator.base_url + GENERATE_PATH, content=BODY)
    [record] = simulator.requests
    await record.finished.wait()
    assert response.content == FRAMES
    assert record.finished_at is not None
    assert record.finished_at - record.time >= 8 * 0.002


async def test_a_port_can_be_chosen(nursery: trio.Nursery) -> None:
    """The demo listens where it is told to; a second one there cannot start."""
    first = Simulator()
    await nursery.start(first.serve)
    port = int(first.base_url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        await Simulator(port=port).serve()


async def test_a_scripted_answer_can_be_plain(simulator: Simulator, client: httpx.AsyncClient) -> None:
    """A status with headers and a body goes out as it is, with its length and a request id."""
    simulator.enqueue([Respond(429, {"retry-after": "7"}, json.dumps({"message": "x"}).encode())])
    response = await client.post(GENERATE_PATH, content=BODY)
    assert (response.status_code, response.json()) == (429, {"message": "x"})
    assert response.headers["retry-after"] == "7"
    assert response.headers["content-length"] == "16"
    assert simulator.requests[0].status == 429


async def test_a_refresh_by_oidc_over_the_wire(simulator: Simulator, client: httpx.AsyncClient) -> None:
    """The region is in the address and in the record; all refreshes are counted, waited for and found together."""
    account = simulator.accounts.add(build_account(AccountKind.IDC, region="eu-west-1"))
    body = {"clientId": "client", "clientSecret": "secret", "grantType": "refresh_token", "refreshToken": "idc"}
    good = await client.post(simulator.oidc_url.format(region="eu-west-1"), json=body)
    foreign = await client.post(simulator.oidc_url.format(region="us-east-1"), json=body)
    [grant] = await simulator.wait_grants(1)
    assert [good.status_code, foreign.status_code] == [200, 400]
    assert good.json()["accessToken"] == grant.access_token
    assert [(x.region, x.credential) for x in simulator.find_requests(OIDC_PATH)] == [
        ("eu-west-1", account.name),
        ("us-east-1", account.name),
    ]
    assert (simulator.refreshes, simulator.accounts.refreshes) == (list(simulator.requests), {"idc": 2})


async def test_a_refresh_at_an_identity_provider_over_the_wire(simulator: Simulator, client: httpx.AsyncClient) -> None:
    """A form, as OAuth says."""
    simulator.accounts.add(build_account(AccountKind.EXTERNAL_IDP))
    form = {"client_id": "client", "grant_type": "refresh_token", "refresh_token": "external-idp"}
    response = await client.post(simulator.idp_url, data=form, headers=FORM)
    [grant] = simulator.accounts.grants
    assert (response.status_code, response.json()["access_token"]) == (200, grant.access_token)
    assert simulator.accounts.refreshes == {"external-idp": 1}


async def test_the_control_plane_over_the_wire(simulator: Simulator, client: httpx.AsyncClient) -> None:
    """Everyone who may call has limits, models and a profile; the query and the region are in the record."""
    url = simulator.control_url
    limits = await client.get(f"{url}{USAGE_LIMITS_PATH}?origin=AI_EDITOR&resourceType=AGENTIC_REQUEST")
    models = await client.get(f"{url}{MODELS_PATH}", params={"origin": "AI_EDITOR"})
    regional = simulator.api_url.format(region="eu-central-1") + PROFILES_PATH
    elsewhere = await client.post(regional, json={"maxResults": 10})
    assert [answer.status_code for answer in (limits, models, elsewhere)] == [200, 200, 200]
    assert elsewhere.json()["profiles"] == []
    assert [record.credential for record in simulator.requests] == ["mine"] * 3
    [asked] = simulator.find_requests(USAGE_LIMITS_PATH)
    assert (asked.query, asked.region) == ({"origin": "AI_EDITOR", "resourceType": "AGENTIC_REQUEST"}, None)
    assert [record.region for record in simulator.find_requests(PROFILES_PATH)] == ["eu-central-1"]


async def test_the_control_plane_fails_on_demand(simulator: Simulator, client: httpx.AsyncClient) -> None:
    """Its responder sees whose call it is, and may leave the answer to the simulator."""
    failure: list[Step] = [Respond(500)]
    simulator.control_responder = lambda record: failure if record.path == MODELS_PATH else None
    bad = await client.get(MODELS_PATH, params={"origin": "AI_EDITOR"})
    good = await client.get(USAGE_LIMITS_PATH)
    assert (bad.status_code, good.status_code) == (500, 200)


async def test_a_scripted_answer_is_paid_too(simulator: Simulator, client: httpx.AsyncClient) -> None:
    """The quota counts calls that were not refused; the model's answer is not refused for what the call itself took."""
    simulator.accounts["mine"].quota = Quota(limit=2.0)
    simulator.enqueue([Respond(500)], [Proceed()])
    statuses = [(await client.post(GENERATE_PATH, content=BODY)).status_code for _ in range(3)]
    assert statuses == [500, 200, 402]


async def test_a_grant_is_written_when_the_answer_is(simulator: Simulator, client: httpx.AsyncClient) -> None:
    """A refresh takes effect while its answer is held; the history says so, and later that the answer went out."""
    gate = trio.Event()
    simulator.enqueue_refresh([Proceed(hold=[WaitFor(gate)])])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(client.post, REFRESH_PATH, json={"refreshToken": "a"}))
        [grant] = await simulator.wait_grants(1)
        written_before = grant.written
        gate.set()
    [record] = simulator.refreshes
    await record.finished.wait()
    assert (written_before, grant.written, record.grant) == (False, True, grant)


@pytest.mark.parametrize("takes_effect", [False, True])
async def test_a_peer_that_leaves_changes_nothing(nursery: trio.Nursery, takes_effect: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Before a refresh takes effect its sender can leave without harm; afterwards the answer is lost."""
    simulator = Simulator(accounts=Accounts(["a"], rotate=True, detect_reuse=True))
    await nursery.start(simulator.serve)
    gate = WaitFor(trio.Event())
    simulator.enqueue_refresh([Proceed(hold=[gate])] if takes_effect else [gate, Proceed()])
    async with httpx.AsyncClient(trust_env=False) as client:
        with trio.move_on_after(30) as scope:
            nursery.start_soon(cancel_at_arrival, simulator, scope, int(takes_effect))
            await client.post(simulator.refresh_url, json={"refreshToken": "a"})
    assert scope.cancelled_caught
    [record] = simulator.refreshes
    await record.finished.wait()
    gate.event.set()
    await trio.testing.wait_all_tasks_blocked()
    assert record.outcome == "cut_by_peer"
    assert [grant.written for grant in simulator.accounts.grants] == [False] * takes_effect
    assert (simulator.accounts.list_live("a") == ["a"]) is not takes_effect


async def cancel_at_arrival(simulator: Simulator, scope: trio.CancelScope, grants: int) -> None:
    """Cancels ``scope`` when a refresh has arrived, and so many grants were made."""
    await simulator.wait_requests(1, path=REFRESH_PATH)
    await simulator.wait_grants(grants)
    scope.cancel("the test's client leaves")


async def test_an_answer_can_be_lost_after_it_took_effect(nursery: trio.Nursery) -> None:
    """The connection breaks between the rotation and the first byte of the answer."""
    simulator = Simulator(accounts=Accounts(["a"], rotate=True, detect_reuse=True))
    await nursery.start(simulator.serve)
    simulator.enqueue_refresh([Proceed(hold=[Cut()])])
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.ReadError):
            await client.post(simulator.refresh_url, json={"refreshToken": "a"})
        again = await client.post(simulator.refresh_url, json={"refreshToken": "a"})
    assert (again.status_code, simulator.accounts.reuses) == (401, {"a": 1})
    assert [grant.written for grant in simulator.accounts.grants] == [False]
