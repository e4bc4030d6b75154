"""Each kind of login from its entry to the upstream: where it is refreshed, what is said of it, and its profile."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from kiro2api.auth.sources import parse_auth_entries
from kiro2api.provision import Supply
from kiro2api.simulator.account import BUILDER_ID_PROFILE_ARN, PROFILE_ARN, Account, AccountKind
from kiro2api.simulator.accounts import Accounts
from kiro2api.simulator.addresses import IDP_PATH, OIDC_PATH, PROFILES_PATH
from kiro2api.simulator.server import Simulator
from kiro2api.simulator.service import REFRESH_PATH
from tests.support.greetings import ask
from tests.support.proxy import Proxy, running_proxy

OIDC_REGION = "eu-north-1"
EUROPEAN_PROFILE = "arn:aws:codewhisperer:eu-central-1:123456789012:profile/SIMULATED456"
SECRETS = {"refreshToken": "refresh-a", "clientId": "client-a", "clientSecret": "client-secret-a"}
API_KEY = "ksk_for_tests_only"


def build_account(kind: AccountKind, profile_arn: str | None = None) -> Account:
    """The account of that kind whose secrets are those of these tests."""
    if kind is AccountKind.API_KEY:
        return Account(kind=kind, api_key=API_KEY)
    client_secret = "" if kind is AccountKind.EXTERNAL_IDP else SECRETS["clientSecret"]
    return Account(
        kind=kind,
        refresh_token=SECRETS["refreshToken"],
        client_id=SECRETS["clientId"],
        client_secret=client_secret,
        region=OIDC_REGION,
        profile_arn=profile_arn,
    )


@asynccontextmanager
async def running_with(account: Account, word: str) -> AsyncIterator[Proxy]:
    """A proxy with one entry, whose method ``word`` names; it has the members of all methods."""
    accounts = Accounts([], rotate=True, detect_reuse=True)
    accounts.add(account)
    simulator = Simulator(accounts=accounts)
    async with trio.open_nursery() as nursery:
        # It listens twice: the address of the identity provider has to be known before the proxy starts.
        await nursery.start(simulator.serve)
        entry = {"auth": word, "region": OIDC_REGION, "tokenEndpoint": simulator.idp_url, "kiroApiKey": API_KEY}
        supply = Supply(loaded=parse_auth_entries(json.dumps([entry | SECRETS])))
        async with running_proxy(simulator, supply=supply) as proxy:
            yield proxy
        nursery.cancel_scope.cancel("the test is over")


@pytest.mark.parametrize(
    ("kind", "word", "refreshed", "token_type", "profile_arn"),
    [
        pytest.param(AccountKind.SOCIAL, "Social", (REFRESH_PATH, None), None, PROFILE_ARN, id="social"),
        pytest.param(AccountKind.IDC, "IdC", (OIDC_PATH, OIDC_REGION), None, PROFILE_ARN, id="idc"),
        pytest.param(
            AccountKind.BUILDER_ID,
            "builder-id",
            (OIDC_PATH, OIDC_REGION),
            None,
            BUILDER_ID_PROFILE_ARN,
            id="builder-id",
        ),
        pytest.param(
            AccountKind.EXTERNAL_IDP, "external_idp", (IDP_PATH, None), "EXTERNAL_IDP", PROFILE_ARN, id="external-idp"
        ),
        pytest.param(AccountKind.API_KEY, "api_key", None, "API_KEY", None, id="api-key"),
    ],
)
async def test_each_kind_of_login_serves(
    kind: AccountKind,
    word: str,
    refreshed: tuple[str, str | None] | None,
    token_type: str | None,
    profile_arn: str | None,
) -> None:
    """Refreshed where its kind is, twice by a rotated token, and used with the type and the profile that it needs."""
    async with running_with(build_account(kind), word) as proxy:
        assert await ask(proxy) == [200]
        proxy.simulator.accounts.expire_access_tokens()
        assert await ask(proxy) == [200]
        asked = [(record.path, record.region) for record in proxy.simulator.refreshes]
        assert asked == ([] if refreshed is None else [refreshed] * 2)
        for record in proxy.simulator.generations:
            assert isinstance(record.body, dict)
            assert (record.headers.get("tokentype"), record.body.get("profileArn")) == (token_type, profile_arn)
        assert not proxy.simulator.accounts.reuses


@pytest.mark.parametrize(
    ("kind", "word", "asked"),
    [
        pytest.param(AccountKind.SOCIAL, "Social", 0, id="told with the refresh"),
        pytest.param(AccountKind.IDC, "IdC", 1, id="looked up"),
    ],
)
async def test_the_profile_of_another_region_is_sent(kind: AccountKind, word: str, asked: int) -> None:
    """It is asked for once, before the first request, and not at all if the refresh has told it."""
    async with running_with(build_account(kind, EUROPEAN_PROFILE), word) as proxy:
        assert await ask(proxy, 3) == [200] * 3
        bodies = [record.body for record in proxy.simulator.generations]
        assert [body["profileArn"] for body in bodies if isinstance(body, dict)] == [EUROPEAN_PROFILE] * 3
        assert len(proxy.simulator.find_requests(PROFILES_PATH)) == asked
