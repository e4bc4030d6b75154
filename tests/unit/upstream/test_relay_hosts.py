"""Which host and which credential the loop around the attempts turns to, under virtual time."""

from dataclasses import replace

import httpx
import pytest
import trio
from trio.testing import MockClock

from kiro2api.auth.credentials import ApiKey, Credential, Want
from kiro2api.auth.sources import parse_refresh_tokens
from kiro2api.errors import ErrorKind, Kiro2ApiError
from kiro2api.upstream import RetryBudget
from tests.support.upstream_service import ANSWER, EXPIRED, Client, Reply, Service, fail, open_client, refuse, stream

BUSY = refuse(500, reason="INSUFFICIENT_MODEL_CAPACITY")
UNREACHABLE = fail(httpx.ConnectError("refused"))
CUT = fail(httpx.RemoteProtocolError("cut"))
UNKNOWN = refuse(404, __type="com.amazon.coral.service#UnknownOperationException")
HOSTS = ("https://one.test", "https://two.test:8443/", "https://three.test")


async def _fail(client: Client) -> Kiro2ApiError:
    with pytest.raises(Kiro2ApiError) as caught:
        await client.ask()
    return caught.value


def _name(service: Service) -> list[str]:
    return [host.removesuffix(".test") for host in service.hosts]


@pytest.mark.parametrize(
    ("reply", "hosts", "pause"),
    [
        pytest.param(UNREACHABLE, ["one", "two"], 0, id="unreachable"),
        pytest.param(fail(httpx.ConnectTimeout("")), ["one", "two"], 0, id="no connection in time"),
        pytest.param(UNKNOWN, ["one", "two"], 0, id="unknown operation"),
        pytest.param(refuse(404), ["one", "two"], 0, id="not found"),
        pytest.param(refuse(408), ["one", "two"], 0, id="request timeout"),
        pytest.param(CUT, ["one", "two"], 0.3, id="cut"),
        pytest.param(refuse(502), ["one", "two"], 0.3, id="server"),
        pytest.param(stream(), ["one", "one"], 0.3, id="empty"),
        pytest.param(BUSY, ["one", "one"], 5, id="capacity"),
        pytest.param(EXPIRED, ["one", "one"], 0, id="expired"),
        pytest.param(refuse(429, headers={"retry-after": "1"}), ["one", "one"], 1.01, id="throttled"),
    ],
)
async def test_the_next_host_is_asked_when_it_may_be_the_first_one_s_fault(
    autojump_clock: MockClock, reply: Reply, hosts: list[str], pause: float
) -> None:
    """At once if nothing was sent; the first one again if it is not its fault."""
    service = Service(replies=[reply])
    async with open_client(autojump_clock, service, base_urls=HOSTS) as client:
        await client.ask(whole=True)
        assert _name(service) == hosts
        assert service.times[1] - service.times[0] == pytest.approx(pause)
        assert client.attempts.host == f"{hosts[-1]}.test"


@pytest.mark.parametrize("status", [400, 402, 403, 307, 524])
async def test_no_other_host_is_asked_for_a_second_opinion(autojump_clock: MockClock, status: int) -> None:
    """About a request, a quota or a permission."""
    service = Service(by_host={"one.test": refuse(status)})
    async with open_client(autojump_clock, service, base_urls=HOSTS) as client:
        await _fail(client)
        assert _name(service) == ["one"]


@pytest.mark.parametrize(
    ("reply", "hosts", "metered"),
    [
        (UNREACHABLE, ["one", "two", "three"], 0),
        (UNKNOWN, ["one", "two", "three"], 0),
        (refuse(500), ["one", "two"], 2),
        (refuse(408), ["one", "two"], 2),
    ],
)
async def test_hosts_that_all_fail_are_asked_no_more_often_than_one(
    autojump_clock: MockClock, reply: Reply, hosts: list[str], metered: int
) -> None:
    """Each in its turn, and what nobody got costs nothing."""
    service = Service(by_credential={"a": reply})
    async with open_client(autojump_clock, service, base_urls=HOSTS) as client:
        began = trio.current_time()
        assert (await _fail(client)).kind is not ErrorKind.INTERNAL
        assert (_name(service), client.attempts.metered) == (hosts, metered)
        assert trio.current_time() - began < 0.5


@pytest.mark.parametrize("reply", [UNREACHABLE, UNKNOWN], ids=["unreachable", "unknown operation"])
async def test_a_host_that_is_gone_is_passed_over_for_a_minute(autojump_clock: MockClock, reply: Reply) -> None:
    """By all requests but the one that finds out; and comes back with its first answer."""
    service = Service(by_host={"one.test": reply})
    async with open_client(autojump_clock, service, base_urls=HOSTS[:2]) as client:
        for _ in range(3):
            await client.ask()
        await trio.sleep(60)
        await client.ask()
        del service.by_host["one.test"]
        await client.ask()
        assert _name(service) == ["one", "two", "two", "two", "one", "two", "two"]
        await trio.sleep(60)
        await client.ask()
        await client.ask()
        assert _name(service)[7:] == ["one", "one"]


async def test_an_error_answer_brings_a_host_back(autojump_clock: MockClock) -> None:
    """It is there, and knows the operation."""
    service = Service(replies=[UNREACHABLE, ANSWER, refuse(400)])
    async with open_client(autojump_clock, service, base_urls=HOSTS) as client:
        await client.ask()
        await trio.sleep(60)
        await _fail(client)
        await client.ask()
        assert _name(service) == ["one", "two", "one", "one"]


async def test_another_host_is_asked_though_the_budget_is_empty(autojump_clock: MockClock) -> None:
    """What is sick is left alone by that; a server's failure may be that of all hosts."""
    service = Service(replies=[UNREACHABLE, ANSWER, refuse(500)], budget=RetryBudget(share=0, floor=0))
    async with open_client(autojump_clock, service, base_urls=HOSTS) as client:
        await client.ask()
        await _fail(client)
        assert _name(service) == ["one", "two", "two"]


@pytest.mark.parametrize(
    ("region", "hosts"),
    [
        ("us-east-1", ["runtime.us-east-1.kiro.dev", "q.us-east-1.amazonaws.com"]),
        ("eu-west-1", ["runtime.eu-central-1.kiro.dev", "q.eu-central-1.amazonaws.com"]),
        ("us-gov-west-1", ["q.us-gov-west-1.amazonaws.com", "q.us-gov-west-1.amazonaws.com"]),
    ],
)
async def test_without_a_setting_the_hosts_are_the_credential_s(
    autojump_clock: MockClock, region: str, hosts: list[str]
) -> None:
    """Those of the region where its access token is good."""
    (credential,) = parse_refresh_tokens("a")
    service = Service(replies=[UNREACHABLE])
    async with open_client(autojump_clock, service, [replace(credential, api_region=region)], base_urls=()) as client:
        await client.ask()
        assert service.hosts == hosts


async def test_the_upstream_is_told_what_kind_of_key_it_gets(autojump_clock: MockClock) -> None:
    """And nobody trades that for an access token."""
    key = Credential(credential_id="k", origin="k", label="api-key-1", source="KIRO_API_KEY", login=ApiKey(key="ksk_1"))
    service = Service()
    async with open_client(autojump_clock, service, [key]) as client:
        await client.ask()
        headers = service.requests[0].headers
        assert (headers["authorization"], headers["tokentype"]) == ("Bearer ksk_1", "API_KEY")
        assert service.refreshes == []


async def test_a_model_that_is_refused_is_not_asked_of_the_same_credential_again(autojump_clock: MockClock) -> None:
    """As long as another may have it; other models are."""
    service = Service(by_credential={"a": refuse(400, reason="INVALID_MODEL_ID")})
    async with open_client(autojump_clock, service, "ab") as client:
        for _ in range(3):
            await client.ask(want=Want(model="rare"))
        assert service.asked == "abbb"


async def test_a_conversation_stays_with_its_credential(autojump_clock: MockClock) -> None:
    """Whatever others do; and the tally says why."""
    service = Service()
    async with open_client(autojump_clock, service, "ab") as client:
        for session in ("s", "t", "t", "s", "t"):
            await client.ask(want=Want(session=session))
            assert client.attempts.choice
        assert service.asked in {"abbab", "baaba"}
