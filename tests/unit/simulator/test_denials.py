"""What the state of an account forbids."""

import pytest

from kiro2api.simulator.account import PROFILE_ARN, Account, AccountKind, Quota, RetryHint, Throttle
from kiro2api.simulator.denials import (
    INVALID_BEARER,
    INVALID_TOKEN_TYPE,
    NO_PROFILE,
    NO_QUOTA_THIS_MONTH,
    NO_QUOTA_TODAY,
    Denial,
    find_identity_denial,
    find_model_denial,
    find_profile_denial,
    find_quota_denial,
    find_throttle_denial,
)
from tests.unit.simulator.records import IDC_ARN, build_account


@pytest.mark.parametrize(
    ("kind", "token_type", "region", "denial"),
    [
        (AccountKind.SOCIAL, "", None, None),
        (AccountKind.SOCIAL, "", "us-east-1", None),
        (AccountKind.SOCIAL, "", "eu-central-1", INVALID_BEARER),
        (AccountKind.SOCIAL, "EXTERNAL_IDP", None, INVALID_TOKEN_TYPE),
        (AccountKind.IDC, "", "eu-central-1", None),
        (AccountKind.EXTERNAL_IDP, "EXTERNAL_IDP", None, None),
        (AccountKind.EXTERNAL_IDP, "", None, INVALID_TOKEN_TYPE),
        (AccountKind.API_KEY, "API_KEY", "eu-central-1", None),
        (AccountKind.API_KEY, "", None, INVALID_BEARER),
    ],
)
def test_a_bearer_comes_with_its_type_to_its_region(
    kind: AccountKind, token_type: str, region: str | None, denial: Denial | None
) -> None:
    """Each kind has its ``TokenType``, and its region if the host has one."""
    account = build_account(kind)
    assert find_identity_denial(account, token_type=token_type, region=region) == denial


@pytest.mark.parametrize(
    ("kind", "profile_arn", "denial"),
    [
        (AccountKind.SOCIAL, None, None),
        (AccountKind.SOCIAL, IDC_ARN, None),
        (AccountKind.IDC, None, NO_PROFILE),
        (AccountKind.IDC, PROFILE_ARN, INVALID_BEARER),
        (AccountKind.IDC, IDC_ARN, None),
    ],
)
def test_a_profile_is_shown_by_those_who_need_one(
    kind: AccountKind, profile_arn: str | None, denial: Denial | None
) -> None:
    """Without one the request is wrong, with another's the bearer is."""
    assert find_profile_denial(build_account(kind), profile_arn) == denial


def test_a_model_that_is_not_the_accounts_does_not_exist_for_it() -> None:
    """The same refusal as for a model that nobody has."""
    denial = find_model_denial(Account(refresh_token="r", models=["auto"]), "claude-opus-5")
    assert denial is not None
    assert (denial.status, denial.reason) == (400, "INVALID_MODEL_ID")
    assert find_model_denial(Account(refresh_token="r", models=["auto"]), "auto") is None
    assert find_model_denial(Account(refresh_token="r"), "claude-opus-5") is None


@pytest.mark.parametrize(
    ("hint", "headers", "milliseconds"),
    [
        (RetryHint.NONE, {}, None),
        (RetryHint.HEADER, {"retry-after": "3"}, None),
        (RetryHint.BODY, {}, 2500),
    ],
)
def test_a_throttle_says_when_it_ends(hint: RetryHint, headers: dict[str, str], milliseconds: int | None) -> None:
    """In a header, rounded up to seconds; in the body; or nowhere. From that instant on there is none."""
    throttle = Throttle(until=10.0, hint=hint, reason="CREDIT_CONSUMPTION_RATE_EXCEEDED")
    account = Account(refresh_token="r", throttle=throttle)
    assert find_throttle_denial(account, now=7.5) == Denial(
        status=429,
        error_type="ThrottlingException",
        message="Too many requests, please wait before trying again.",
        reason="CREDIT_CONSUMPTION_RATE_EXCEEDED",
        headers=headers,
        retry_after_milliseconds=milliseconds,
    )
    assert find_throttle_denial(account, now=10.0) is None
    assert find_throttle_denial(Account(refresh_token="r"), now=0.0) is None


@pytest.mark.parametrize(
    ("quota", "denial"),
    [
        (None, None),
        (Quota(limit=2.0, used=1.5), None),
        (Quota(limit=2.0, used=2.0), NO_QUOTA_THIS_MONTH),
        (Quota(limit=2.0, used=2.0, is_daily=True), NO_QUOTA_TODAY),
    ],
)
def test_a_quota_lasts_to_its_end(quota: Quota | None, denial: Denial | None) -> None:
    """The last credits may be too few for the call that takes them."""
    assert find_quota_denial(Account(refresh_token="r", quota=quota)) == denial
