"""What follows from an account's kind."""

from datetime import UTC, datetime

import pytest

from kiro2api.simulator.account import BUILDER_ID_PROFILE_ARN, PROFILE_ARN, Account, AccountKind, Quota

SECRETS = {
    AccountKind.SOCIAL: {"refresh_token": "r"},
    AccountKind.IDC: {"refresh_token": "r", "client_id": "c", "client_secret": "s"},
    AccountKind.BUILDER_ID: {"refresh_token": "r", "client_id": "c", "client_secret": "s"},
    AccountKind.EXTERNAL_IDP: {"refresh_token": "r", "client_id": "c"},
    AccountKind.API_KEY: {"api_key": "k"},
}


def build(kind: AccountKind, *, without: str = "") -> Account:
    """An account with the secrets that its kind needs."""
    secrets = {name: value for name, value in SECRETS[kind].items() if name != without}
    return Account(
        kind=kind,
        refresh_token=secrets.get("refresh_token", ""),
        api_key=secrets.get("api_key", ""),
        client_id=secrets.get("client_id", ""),
        client_secret=secrets.get("client_secret", ""),
    )


@pytest.mark.parametrize(
    ("kind", "name", "profile", "needs_profile"),
    [
        (AccountKind.SOCIAL, "r", PROFILE_ARN, False),
        (AccountKind.IDC, "r", PROFILE_ARN, True),
        (AccountKind.BUILDER_ID, "r", BUILDER_ID_PROFILE_ARN, True),
        (AccountKind.EXTERNAL_IDP, "r", PROFILE_ARN, True),
        (AccountKind.API_KEY, "k", "", False),
    ],
)
def test_the_kind_decides_what_is_not_said(kind: AccountKind, name: str, profile: str, needs_profile: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Name, profile, and whether calls have to show it."""
    account = build(kind)
    assert (account.name, account.profile, account.needs_profile) == (name, profile, needs_profile)


def test_what_is_said_has_precedence() -> None:
    """A profile may be missing, and needed all the same."""
    account = Account(refresh_token="r", profile_arn="", profile_required=True)
    assert (account.profile, account.profile_region, account.needs_profile) == ("", None, True)


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in SECRETS.items() for name in names])
def test_every_kind_needs_its_secrets(kind: AccountKind, name: str) -> None:
    """An account without one of them is a mistake in the test that makes it."""
    with pytest.raises(ValueError, match=f"{kind.value} needs {name}"):
        build(kind, without=name)


@pytest.mark.parametrize(
    ("api_region", "profile_arn", "served"),
    [
        (None, None, ["us-east-1"]),
        ("eu-central-1", None, ["eu-central-1"]),
        (None, "", ["us-east-1", "eu-central-1"]),
    ],
)
def test_access_tokens_are_good_in_one_region(
    api_region: str | None, profile_arn: str | None, served: list[str]
) -> None:
    """The one that is said, else the profile's; a host that says nothing of regions takes all."""
    account = Account(refresh_token="r", api_region=api_region, profile_arn=profile_arn)
    assert [region for region in ("us-east-1", "eu-central-1") if account.is_served_in(region)] == served
    assert account.is_served_in(None)


def test_a_quota_never_has_less_than_nothing_left() -> None:
    """What was used may be more than the limit."""
    resets_at = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    assert Quota(limit=2.0, used=0.5, resets_at=resets_at).left == 1.5
    assert Quota(limit=2.0, used=2.5).left == 0.0
