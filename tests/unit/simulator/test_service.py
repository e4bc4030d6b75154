"""Generate calls of accounts in each state."""

import json

import pytest

from kiro2api.simulator.account import Account, AccountKind, Quota, RetryHint, Throttle
from kiro2api.simulator.accounts import Accounts
from kiro2api.simulator.record import Record
from kiro2api.simulator.script import Respond
from kiro2api.simulator.service import GENERATE_PATH, charge_generate, refuse_generate
from tests.unit.simulator.bodies import MODEL_ID, request, user
from tests.unit.simulator.records import IDC_ARN, authorize, build_account, build_record


def call(accounts: Accounts, account: Account, *, profile_arn: str | None = None, model_id: str = MODEL_ID) -> Record:
    """A call that ``account`` makes."""
    body = request(user(modelId=model_id), profileArn=profile_arn)
    return build_record(GENERATE_PATH, body, headers=authorize(accounts, account))


def read(refusal: Respond | None) -> tuple[int, str, str | None]:
    """Status, name and reason of a refusal."""
    assert refusal is not None
    name = refusal.headers["x-amzn-errortype"].partition(":")[0]
    return refusal.status, name, json.loads(refusal.body)["reason"]


@pytest.mark.parametrize(
    ("account", "expected"),
    [
        (Account(refresh_token="r", suspended=True), (403, "AccessDeniedException", "TEMPORARILY_SUSPENDED")),
        (Account(refresh_token="r", forbidden=True), (403, "AccessDeniedException", "FEATURE_NOT_SUPPORTED")),
        (Account(refresh_token="r", models=["auto"]), (400, "ValidationException", "INVALID_MODEL_ID")),
        (
            Account(refresh_token="r", throttle=Throttle(until=5.0)),
            (429, "ThrottlingException", "USER_REQUEST_RATE_EXCEEDED"),
        ),
        (
            Account(refresh_token="r", quota=Quota(limit=0.0)),
            (402, "ServiceQuotaExceededException", "MONTHLY_REQUEST_COUNT"),
        ),
        (
            Account(refresh_token="r", quota=Quota(limit=0.0, is_daily=True)),
            (429, "ThrottlingException", "DAILY_REQUEST_COUNT"),
        ),
        (build_account(AccountKind.IDC), (400, "ValidationException", None)),
    ],
)
def test_the_state_of_an_account_refuses_its_calls(account: Account, expected: tuple[int, str, str | None]) -> None:
    """In the service's form; no rule about bodies is broken, and the record knows whose call it was."""
    accounts = Accounts([])
    accounts.add(account)
    record = call(accounts, account)
    assert read(refuse_generate(accounts, record, now=0.0)) == expected
    assert (record.credential, record.rule) == (account.name, None)


@pytest.mark.parametrize("kind", list(AccountKind))
def test_every_kind_of_account_may_call(kind: AccountKind) -> None:
    """With its bearer, its token type and its profile."""
    accounts = Accounts([])
    account = accounts.add(build_account(kind))
    assert refuse_generate(accounts, call(accounts, account, profile_arn=account.profile or None), now=0.0) is None


def test_a_wrong_profile_looks_like_a_bad_bearer() -> None:
    """Of two accounts neither may use the other's."""
    accounts = Accounts([])
    account = accounts.add(build_account(AccountKind.EXTERNAL_IDP))
    refusal = refuse_generate(accounts, call(accounts, account, profile_arn=IDC_ARN), now=0.0)
    assert read(refusal) == (403, "AccessDeniedException", None)
    assert refusal is not None
    assert b"bearer token" in refusal.body


def test_an_account_may_use_its_models() -> None:
    """And ``auto`` if a request names none."""
    accounts = Accounts([])
    account = accounts.add(Account(refresh_token="r", models=["auto", "claude-sonnet-5"]))
    assert refuse_generate(accounts, call(accounts, account, model_id="claude-sonnet-5"), now=0.0) is None
    record = build_record(GENERATE_PATH, request(user(modelId=None)), headers=authorize(accounts, account))
    assert refuse_generate(accounts, record, now=0.0) is None


def test_a_call_is_paid_once() -> None:
    """What is left refuses the next call, and not the same one when it is looked at again."""
    accounts = Accounts([])
    account = accounts.add(Account(refresh_token="r", quota=Quota(limit=2.0, price=2.0)))
    first, second = call(accounts, account), call(accounts, account)
    assert refuse_generate(accounts, first, now=0.0) is None
    charge_generate(accounts, first)
    assert account.quota is not None
    assert (account.quota.used, first.charged) == (2.0, True)
    assert refuse_generate(accounts, first, now=0.0) is None
    assert read(refuse_generate(accounts, second, now=0.0))[0] == 402


def test_calls_without_a_quota_cost_nothing() -> None:
    """The record says that nobody paid."""
    accounts = Accounts()
    record = call(accounts, accounts["r"])
    assert refuse_generate(accounts, record, now=0.0) is None
    charge_generate(accounts, record)
    assert not record.charged


def test_a_throttle_can_speak_in_the_body() -> None:
    """Milliseconds stand beside message and reason."""
    accounts = Accounts()
    account = accounts["r"]
    account.throttle = Throttle(until=5.0, hint=RetryHint.BODY)
    refusal = refuse_generate(accounts, call(accounts, account), now=0.0)
    assert refusal is not None
    assert json.loads(refusal.body)["retryAfterMilliseconds"] == 5000
