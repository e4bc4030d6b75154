"""What is asked of the control plane, and what becomes of its answers."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise

import httpx
import pytest
import trio
from trio.testing import MockClock

from kiro2api.auth.broker import CredentialBroker
from kiro2api.auth.clocks import Clocks
from kiro2api.auth.control import BUILDER_ID_PROFILE_ARN
from kiro2api.auth.credentials import ApiKey, Credential, IdcLogin, Login, Outcome, SocialLogin, Want
from kiro2api.auth.survey import Surveyor
from tests.unit.auth.fakes import EPOCH, LogBook, build_wire, grant

ARN = "arn:aws:codewhisperer:eu-central-1:123456789012:profile/ABCDEFGHIJKL"
IDC = IdcLogin(refresh_token="a", client_id="id", client_secret="hidden", region="eu-west-1")
CONTROL_URL = "https://control.test"

type Responder = Callable[[httpx.Request], httpx.Response]


@dataclass
class FakeServices:
    """Grants every refresh, and answers the control plane's questions as it is told to."""

    profiles: list[Responder] = field(default_factory=list)
    """In turn, the last one again and again."""
    limits: Responder = lambda _: httpx.Response(403, text="{}")
    models: Responder = lambda _: httpx.Response(403, text="{}")
    is_granting: bool = True
    asked: list[tuple[float, str, str]] = field(default_factory=list)
    """When, path, host; refreshes left out."""

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        await trio.sleep(0.5)
        if path in {"/refreshToken", "/token"}:
            return grant("aoa") if self.is_granting else httpx.Response(503)
        self.asked.append((trio.current_time(), path, request.url.host))
        if path == "/getUsageLimits":
            return self.limits(request)
        if path == "/ListAvailableModels":
            return self.models(request)
        return (self.profiles.pop(0) if len(self.profiles) > 1 else self.profiles[0])(request)

    def count(self, path: str) -> int:
        return sum(asked == path for _, asked, _ in self.asked)


@asynccontextmanager
async def open_broker(
    clock: MockClock,
    services: FakeServices,
    login: Login,
    *,
    pause: float = 900.0,
    control_url: str | None = CONTROL_URL,
    uses_builder_id_profile: bool = True,
    profile_arn: str | None = None,
) -> AsyncIterator[CredentialBroker]:
    """A running broker that surveys its one credential, whose refreshes have not begun yet."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(services)) as client, trio.open_nursery() as nursery:
        wire = build_wire(client)

        def now() -> float:
            return EPOCH + clock.current_time()

        broker = CredentialBroker(
            [
                Credential(
                    credential_id="x", origin="o", label="x-1", source="test", login=login, profile_arn=profile_arn
                )
            ],
            wire=wire,
            log=LogBook(),
            surveyor=Surveyor(
                wire,
                wall=now,
                control_url=control_url,
                pause=pause,
                uses_builder_id_profile=uses_builder_id_profile,
                draw=lambda: 0.5,
            ),
            clocks=Clocks(now=now, wall=now, jitter=lambda: 0.5),
        )
        await nursery.start(broker.run)
        yield broker
        nursery.cancel_scope.cancel("the test is over")


def answer(status: int = 200, **body: object) -> Responder:
    """Answers every question so."""
    return lambda _: httpx.Response(status, json=body)


def list_arns(*arns: str) -> Responder:
    """Answers with active profiles."""
    return answer(profiles=[{"arn": arn, "status": "ACTIVE"} for arn in arns])


@pytest.mark.parametrize(
    ("profiles", "arn", "region"),
    [
        ([list_arns(ARN)], ARN, "eu-central-1"),
        ([list_arns(), list_arns(ARN)], ARN, "eu-central-1"),
        ([answer(403, message="no"), list_arns(ARN)], ARN, "eu-central-1"),
        ([answer(500), list_arns(ARN)], None, "eu-central-1"),
        ([answer(profiles="x"), list_arns()], None, "eu-central-1"),
        (
            [answer(403, message="AWS Builder ID is not supported for this operation.")],
            BUILDER_ID_PROFILE_ARN,
            "us-east-1",
        ),
    ],
)
async def test_a_profile_is_looked_up_where_one_is_needed(
    autojump_clock: MockClock, profiles: list[Responder], arn: str | None, region: str
) -> None:
    """Region after region, until one has it; the API's region follows from it, else from the login's."""
    async with open_broker(autojump_clock, FakeServices(profiles=profiles), IDC, pause=0) as broker:
        lease = await broker.lease()

        assert (lease.access_token.profile_arn, lease.region) == (arn, region)


@pytest.mark.parametrize(
    ("login", "profile_arn"),
    [(SocialLogin(refresh_token="a"), None), (ApiKey(key="ksk_x"), None), (IDC, ARN)],
)
async def test_nobody_asks_for_a_profile_that_is_known_or_never_is(
    autojump_clock: MockClock, login: Login, profile_arn: str | None
) -> None:
    """Social logins are told theirs, API keys have none, and what is configured counts."""
    services = FakeServices()
    async with open_broker(autojump_clock, services, login, pause=0, profile_arn=profile_arn) as broker:
        lease = await broker.lease()
        await trio.sleep(1000)

        assert lease.access_token.profile_arn == profile_arn
        assert services.asked == []


async def test_a_builder_id_s_placeholder_can_be_switched_off(autojump_clock: MockClock) -> None:
    """Then nothing is sent in its place."""
    refusal = answer(403, message="AWS Builder ID is not supported for this operation.")
    async with open_broker(
        autojump_clock, FakeServices(profiles=[refusal]), IDC, pause=0, uses_builder_id_profile=False
    ) as broker:
        assert (await broker.lease()).access_token.profile_arn is None


async def test_a_profile_that_was_looked_up_is_looked_up_again_after_a_403(autojump_clock: MockClock) -> None:
    """It may have been moved; the next lease has the new one."""
    services = FakeServices(profiles=[list_arns("old"), list_arns(ARN)])
    async with open_broker(autojump_clock, services, IDC, pause=0) as broker:
        broker.release(await broker.lease(), Outcome.FORBIDDEN)
        await trio.sleep(601)

        assert (await broker.lease()).access_token.profile_arn == ARN


async def test_a_profile_list_that_hangs_does_not_hold_up_for_long(autojump_clock: MockClock) -> None:
    """The upstream may do without."""

    class Hanging(FakeServices):
        async def __call__(self, request: httpx.Request) -> httpx.Response:
            if request.url.path == "/ListAvailableProfiles":
                await trio.sleep(1000)
            return await super().__call__(request)

    async with open_broker(autojump_clock, Hanging(profiles=[list_arns()]), IDC, pause=0) as broker:
        await broker.lease()

        assert trio.current_time() == 8.5


async def test_each_region_has_its_own_host(autojump_clock: MockClock) -> None:
    """Unless one address is configured for all."""
    services = FakeServices(profiles=[list_arns(), list_arns(ARN)])
    async with open_broker(autojump_clock, services, IDC, control_url=None) as broker:
        await broker.lease()
        await trio.sleep(60)

    profiles = [host for _, path, host in services.asked if path == "/ListAvailableProfiles"]
    others = {host for _, path, host in services.asked if path != "/ListAvailableProfiles"}
    assert profiles == ["q.us-east-1.amazonaws.com", "q.eu-central-1.amazonaws.com"]
    assert others == {"q.eu-central-1.amazonaws.com"}


async def test_limits_and_models_are_looked_at_again_and_again(autojump_clock: MockClock) -> None:
    """They show in the report and in the list of models; the pages of a list are put together."""

    def list_models(request: httpx.Request) -> httpx.Response:
        page = request.url.params.get("nextToken")
        body = {"models": [{"modelId": f"model-{page or 1}"}], "nextToken": None if page else "2"}
        return httpx.Response(200, json=body)

    usage = {"resourceType": "CREDIT", "usageLimit": 50, "currentUsage": 8}
    services = FakeServices(
        limits=answer(usageBreakdownList=[usage], nextDateReset=1_780_000_000, subscriptionInfo={"type": "FREE"}),
        models=list_models,
    )
    async with open_broker(autojump_clock, services, SocialLogin(refresh_token="a")) as broker:
        assert broker.list_models() is None
        await trio.sleep(3000)

        (report,) = broker.describe()
        models = broker.list_models()
        assert (report.quota_left, report.quota_resets_at, report.plan) == (42.0, 1_780_000_000.0, "FREE")
        assert models is not None
        assert [model.model_id for model in models] == ["model-1", "model-2"]
    times = [at for at, path, _ in services.asked if path == "/getUsageLimits"]
    assert all(900 < later - earlier < 910 for earlier, later in pairwise(times))
    assert (len(times), times[0]) == (4, 1.0)


async def test_the_list_of_models_is_known_when_that_of_each_credential_is(autojump_clock: MockClock) -> None:
    """An API key has no list: what it may use besides must neither be hidden nor replaced."""
    services = FakeServices(models=answer(models=[{"modelId": "auto"}]))
    async with open_broker(autojump_clock, services, SocialLogin(refresh_token="a")) as broker:
        await trio.sleep(10)
        known = broker.list_models()
        assert known is not None
        assert broker.list_models() is known
        (credential,) = (actor.credential for actor in broker._roster)
        broker.replace([credential, replace(credential, credential_id="key", login=ApiKey(key="ksk_x"))])
        await trio.sleep(10)

        assert broker.list_models() is None
        broker.replace([credential])
        assert broker.list_models() is not None


@pytest.mark.parametrize(
    "respond",
    [answer(500), answer(403), answer(429), lambda _: httpx.Response(200, text="<html>"), answer(models=7)],
)
async def test_a_control_plane_that_fails_changes_nothing(autojump_clock: MockClock, respond: Responder) -> None:
    """Nothing is known, and everything can be used."""
    services = FakeServices(limits=respond, models=respond)
    async with open_broker(autojump_clock, services, SocialLogin(refresh_token="a")) as broker:
        await trio.sleep(100)

        assert broker.list_models() is None
        assert broker.describe()[0].quota_left is None
        assert (await broker.lease(want=Want(model="anything"))).label == "x-1"
    assert services.count("/getUsageLimits") == 1


async def test_limits_are_asked_for_without_the_profile_too(autojump_clock: MockClock) -> None:
    """For some accounts naming it is an error."""

    def respond(request: httpx.Request) -> httpx.Response:
        if "profileArn" in request.url.params:
            return httpx.Response(400, json={"message": "Invalid profileArn."})
        usage = {"resourceType": "CREDIT", "usageLimit": 5, "currentUsage": 0}
        return httpx.Response(200, text=json.dumps({"usageBreakdownList": [usage]}))

    services = FakeServices(limits=respond)
    async with open_broker(autojump_clock, services, IDC, profile_arn=ARN) as broker:
        await trio.sleep(100)

        assert broker.describe()[0].quota_left == 5
    assert services.count("/getUsageLimits") == 2


async def test_a_credential_without_an_access_token_is_not_asked_about(autojump_clock: MockClock) -> None:
    """Nor is one refreshed for the survey's sake; an API key is asked for its limits only."""
    services = FakeServices(is_granting=False)
    async with open_broker(autojump_clock, services, SocialLogin(refresh_token="a"), pause=10):
        await trio.sleep(29)
        assert services.asked == []
    async with open_broker(autojump_clock, services, ApiKey(key="ksk_x"), pause=10):
        await trio.sleep(15)

    assert {path for _, path, _ in services.asked} == {"/getUsageLimits"}
