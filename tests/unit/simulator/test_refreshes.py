"""The forms of a refresh, and what refuses it."""

import json
from collections.abc import Mapping

import pytest

from kiro2api.protocol.jsontext import JSON, JSONObject
from kiro2api.simulator.account import PROFILE_ARN, Account, AccountKind
from kiro2api.simulator.accounts import Accounts
from kiro2api.simulator.addresses import IDP_PATH, OIDC_PATH
from kiro2api.simulator.record import Record
from kiro2api.simulator.refreshes import answer_refresh, find_refreshed, read_refresh_token
from kiro2api.simulator.service import REFRESH_PATH, build_oauth_failure
from tests.unit.simulator.records import build_account, build_form, build_record

OIDC: JSONObject = {
    "clientId": "client",
    "clientSecret": "secret",
    "grantType": "refresh_token",
    "refreshToken": "idc",
}
IDP = {"client_id": "client", "grant_type": "refresh_token", "refresh_token": "external-idp"}


@pytest.fixture
def accounts() -> Accounts:
    """One account of each kind, rotating under detection; the one of IAM Identity Center is of eu-west-1."""
    accounts = Accounts(["social"], rotate=True, detect_reuse=True, expires_in=60)
    accounts.add(build_account(AccountKind.IDC, region="eu-west-1"))
    accounts.add(build_account(AccountKind.BUILDER_ID, client_id="builder"))
    accounts.add(build_account(AccountKind.EXTERNAL_IDP))
    return accounts


def ask(accounts: Accounts, record: Record) -> tuple[int, JSONObject]:
    """Status and body of the answer at time 0."""
    answer = answer_refresh(accounts, record, now=0.0)
    return answer.status, json.loads(answer.body)


def build_oidc(changes: Mapping[str, JSON], *, region: str | None = None) -> Record:
    """A refresh by OIDC that differs from a good one; a member that becomes ``None`` is left out."""
    body: JSONObject = {name: value for name, value in {**OIDC, **changes}.items() if value is not None}
    return build_record(OIDC_PATH, body, region=region)


@pytest.mark.parametrize("region", [None, "eu-west-1"])
def test_oidc_trades_a_refresh_token(accounts: Accounts, region: str | None) -> None:
    """In camelCase, in the region of the registration or without one; the record keeps what was brought."""
    record = build_oidc({}, region=region)
    status, body = ask(accounts, record)
    assert record.grant is accounts.grants[0]
    assert status == 200
    assert body == {
        "accessToken": record.grant.access_token,
        "tokenType": "Bearer",
        "expiresIn": 60,
        "refreshToken": record.grant.refresh_token,
        "idToken": None,
    }
    assert (record.grant.credential, record.grant.shown) == ("idc", "idc")


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"grantType": None}, 400, "invalid_request"),
        ({"clientId": None}, 400, "invalid_request"),
        ({"clientSecret": None}, 400, "invalid_request"),
        ({"refreshToken": None}, 400, "invalid_request"),
        ({"refreshToken": 1}, 400, "invalid_request"),
        ({"grantType": "authorization_code"}, 400, "unsupported_grant_type"),
        ({"clientId": "nobody"}, 401, "invalid_client"),
        ({"clientSecret": "guessed"}, 401, "invalid_client"),
        ({"refreshToken": "unknown"}, 400, "invalid_grant"),
        ({"refreshToken": "social"}, 400, "invalid_grant"),
        ({"refreshToken": "builder-id"}, 400, "invalid_grant"),
    ],
)
def test_oidc_refuses(accounts: Accounts, changes: Mapping[str, JSON], status: int, error: str) -> None:
    """Each fault with its own code, in OAuth's form; nothing is traded."""
    record = build_oidc(changes)
    answered, body = ask(accounts, record)
    assert (answered, body["error"]) == (status, error)
    assert set(body) == {"error", "error_description"}
    assert (accounts.grants, record.grant) == ([], None)


def test_oidc_refuses_another_region(accounts: Accounts) -> None:
    """A region that did not issue the registration knows nothing of it, and traded nothing."""
    status, body = ask(accounts, build_oidc({}, region="us-east-1"))
    assert (status, body["error"]) == (400, "invalid_grant")
    assert accounts.list_live("idc") == ["idc"]


def test_an_expired_registration_is_refused(accounts: Accounts) -> None:
    """The refresh token lives on, but nobody can trade it."""
    accounts["idc"].client_expired = True
    status, body = ask(accounts, build_oidc({}))
    assert (status, body["error"], accounts.list_live("idc")) == (401, "invalid_client", ["idc"])


def test_reuse_by_oidc_is_detected(accounts: Accounts) -> None:
    """The second trade of one refresh token ends the family; a foreign client's attempt would not."""
    ask(accounts, build_oidc({}))
    foreign = {"clientId": "builder", "refreshToken": "idc"}
    assert ask(accounts, build_oidc(foreign))[1]["error"] == "invalid_grant"
    assert not accounts.reuses
    assert ask(accounts, build_oidc({}))[1]["error"] == "invalid_grant"
    assert (accounts.reuses, accounts.list_live("idc")) == ({"idc": 1}, [])


def test_an_identity_provider_trades_a_refresh_token(accounts: Accounts) -> None:
    """A form in snake_case, from a public client."""
    status, body = ask(accounts, build_form(IDP_PATH, **IDP))
    [grant] = accounts.grants
    assert status == 200
    assert body == {
        "token_type": "Bearer",
        "expires_in": 60,
        "access_token": grant.access_token,
        "refresh_token": grant.refresh_token,
    }


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"grant_type": ""}, "invalid_request"),
        ({"client_id": "builder"}, "invalid_client"),
        ({"refresh_token": "idc"}, "invalid_grant"),
    ],
)
def test_an_identity_provider_refuses(accounts: Accounts, changes: dict[str, str], error: str) -> None:
    """As OIDC does."""
    assert ask(accounts, build_form(IDP_PATH, **(IDP | changes)))[1]["error"] == error


def test_an_identity_provider_takes_forms_only(accounts: Accounts) -> None:
    """A form that does not say that it is one is refused, and so is JSON."""
    form = build_form(IDP_PATH, **IDP)
    form.headers["content-type"] = "application/json"
    for record in (form, build_record(IDP_PATH, dict(IDP))):
        assert ask(accounts, record)[1]["error"] == "invalid_request"


@pytest.mark.parametrize(("shown", "expected"), [("social", 200), ("idc", 400), ("unknown", 400), ("builder-id", 400)])
def test_the_desktop_service_knows_social_accounts_only(accounts: Accounts, shown: str, expected: int) -> None:
    """Others' refresh tokens are unknown there."""
    assert ask(accounts, build_record(REFRESH_PATH, {"refreshToken": shown}))[0] == expected


@pytest.mark.parametrize(("profile_arn", "expected"), [(None, PROFILE_ARN), ("", None)])
def test_a_social_refresh_brings_the_profile(profile_arn: str | None, expected: str | None) -> None:
    """If the account has one."""
    accounts = Accounts([])
    accounts.add(Account(refresh_token="r", profile_arn=profile_arn))
    _, body = ask(accounts, build_record(REFRESH_PATH, {"refreshToken": "r"}))
    assert body.get("profileArn") == expected


def test_a_refresh_is_read_in_its_own_form(accounts: Accounts) -> None:
    """Refresh token and credential, whichever service is asked; strangers and traded ones have no credential."""
    records = [build_record(REFRESH_PATH, {"refreshToken": "social"}), build_oidc({}), build_form(IDP_PATH, **IDP)]
    assert [read_refresh_token(record) for record in records] == ["social", "idc", "external-idp"]
    assert [find_refreshed(accounts, record) for record in records] == ["social", "idc", "external-idp"]
    for record in records:
        answer_refresh(accounts, record, now=0.0)
    assert [find_refreshed(accounts, record) for record in records] == [None, None, None]
    assert find_refreshed(Accounts(), build_oidc({})) is None


@pytest.mark.parametrize(
    ("error", "status"), [("invalid_grant", 400), ("invalid_client", 401), ("server_error", 500), ("slow_down", 400)]
)
def test_failures_by_oauth_have_their_status(error: str, status: int) -> None:
    """Any code can be sent; those without a sentence of their own get a general one."""
    answer = build_oauth_failure(error)
    body = json.loads(answer.body)
    assert (answer.status, body["error"]) == (status, error)
    assert body["error_description"]
