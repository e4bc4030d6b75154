"""What is held of a credential, from its configuration and its record."""

from dataclasses import replace

import pytest

from kiro2api.auth.credentials import ApiKey, Credential, FoundAccess, SocialLogin, build_fingerprint
from kiro2api.auth.holdings import Holding, build_found_record, build_record, is_from, settle
from kiro2api.auth.refresh import Refreshed
from kiro2api.auth.state.record import Record

FIRST, SECOND, THIRD = "aor-first", "aor-second", "aor-third"
ORIGIN = build_fingerprint(FIRST)
CREDENTIAL = Credential(
    credential_id=ORIGIN, origin=ORIGIN, label="social-1", source="test", login=SocialLogin(refresh_token=FIRST)
)
RECORD = Record(
    generation=4,
    origin=ORIGIN,
    refresh_token=THIRD,
    previous_refresh_token=SECOND,
    access_token="aoa-4",
    expires_at=2000.0,
    profile_arn="arn",
    refreshed_at=1000.0,
    is_rotating=True,
)


def test_without_a_record_the_configured_login_is_all_there_is() -> None:
    """With the access token that stood beside it, if one did."""
    found = FoundAccess(value="aoa", expires_at=5.0)

    assert settle(replace(CREDENTIAL, access=found), None) == Holding(
        login=SocialLogin(refresh_token=FIRST), access=found
    )


def test_what_descends_from_the_configured_login_is_newer() -> None:
    """The record's tokens are used; the older refresh tokens are kept for the worst case, the newest first."""
    assert settle(CREDENTIAL, RECORD) == Holding(
        login=SocialLogin(refresh_token=THIRD),
        spares=(SECOND, FIRST),
        generation=4,
        access=FoundAccess(value="aoa-4", expires_at=2000.0),
        is_recorded=True,
        profile_arn="arn",
        refreshed_at=1000.0,
        is_rotating=True,
    )


def test_a_login_that_was_put_in_its_place_is_newer_than_the_record() -> None:
    """The record's access token and profile are another login's; its refresh token is the last resort."""
    other = replace(RECORD, origin="another")

    assert settle(CREDENTIAL, other) == Holding(
        login=SocialLogin(refresh_token=FIRST), spares=(THIRD,), generation=4, access=None
    )
    assert not is_from(other, CREDENTIAL)


def test_a_file_to_which_we_wrote_back_is_as_new_as_the_record() -> None:
    """Its refresh token is the record's, whatever it was called before."""
    written = replace(CREDENTIAL, origin=build_fingerprint(THIRD), login=SocialLogin(refresh_token=THIRD))

    holding = settle(written, RECORD)

    assert (holding.access, holding.spares) == (FoundAccess(value="aoa-4", expires_at=2000.0), (SECOND,))
    assert is_from(RECORD, written)


def test_a_newer_access_token_beside_the_login_counts() -> None:
    """Another program refreshed without rotating."""
    found = FoundAccess(value="aoa-ide", expires_at=2001.0)

    holding = settle(replace(CREDENTIAL, access=found), RECORD)

    assert (holding.access, holding.is_recorded, holding.login.refresh_token) == (found, False, THIRD)


def test_the_configured_profile_comes_first() -> None:
    """Before what a refresh brought."""
    assert settle(replace(CREDENTIAL, profile_arn="mine"), RECORD).profile_arn == "mine"


def test_an_api_key_is_not_settled() -> None:
    """Nothing ever descends from one."""
    key = replace(CREDENTIAL, login=ApiKey(key="ksk_x"))

    assert not is_from(RECORD, key)
    with pytest.raises(TypeError):
        settle(key, None)


@pytest.mark.parametrize(
    ("brought", "kept", "previous", "is_rotating"),
    [("aor-new", "aor-new", FIRST, True), (None, FIRST, None, False), (FIRST, FIRST, None, False)],
)
def test_a_refresh_becomes_a_record(brought: str | None, kept: str, previous: str | None, is_rotating: bool) -> None:  # noqa: FBT001 - a row of the table
    """With the refresh token that is good from now on, and the one before it."""
    holding = Holding(login=SocialLogin(refresh_token=FIRST), generation=2, profile_arn="old")
    refreshed = Refreshed(access_token="aoa", refresh_token=brought, expires_in=60.0, profile_arn=None)

    assert build_record(holding, refreshed, origin=ORIGIN, generation=3, wall=1000.0) == Record(
        generation=3,
        origin=ORIGIN,
        refresh_token=kept,
        previous_refresh_token=previous,
        access_token="aoa",
        expires_at=1060.0,
        profile_arn="old",
        refreshed_at=1000.0,
        is_rotating=is_rotating,
    )


def test_another_program_s_refresh_becomes_a_record_too() -> None:
    """So that other processes need not read its file."""
    holding = Holding(login=SocialLogin(refresh_token=FIRST), profile_arn="arn", is_rotating=True)
    found = FoundAccess(value="aoa-ide", expires_at=2001.0)

    assert build_found_record(holding, found, origin=ORIGIN, generation=7, wall=1000.0) == Record(
        generation=7,
        origin=ORIGIN,
        refresh_token=FIRST,
        access_token="aoa-ide",
        expires_at=2001.0,
        profile_arn="arn",
        refreshed_at=1000.0,
        is_rotating=True,
    )
