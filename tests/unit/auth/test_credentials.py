"""Credentials, access tokens and leases."""

import pytest

from kiro2api.auth.credentials import (
    AccessToken,
    ApiKey,
    Credential,
    ExternalIdpLogin,
    FoundAccess,
    IdcLogin,
    Lease,
    Login,
    SocialLogin,
    TokenType,
    build_fingerprint,
)

SECRET = "very-secret"
ACCESS_TOKEN = AccessToken(value=SECRET, expires_at=1.0, generation=1, profile_arn=None)


LOGINS: dict[str, tuple[Login, TokenType]] = {
    "social": (SocialLogin(refresh_token=SECRET), TokenType.BEARER),
    "idc": (IdcLogin(refresh_token=SECRET, client_id=SECRET, client_secret=SECRET, region="r"), TokenType.BEARER),
    "external-idp": (
        ExternalIdpLogin(refresh_token=SECRET, client_id=SECRET, token_endpoint="https://idp.test/"),
        TokenType.EXTERNAL_IDP,
    ),
    "api-key": (ApiKey(key=SECRET), TokenType.API_KEY),
}


def build_credential(login: Login) -> Credential:
    """One whose every part is secret."""
    fingerprint = build_fingerprint(SECRET)
    access = FoundAccess(value=SECRET, expires_at=1.0)
    return Credential(
        credential_id=fingerprint, origin=fingerprint, label="x-1", source="test", login=login, access=access
    )


def build_lease() -> Lease:
    """The same lease each time."""
    return Lease(credential_id="x", label="x-1", access_token=ACCESS_TOKEN, leased_at=0.0, region="us-east-1")


@pytest.mark.parametrize("kind", LOGINS)
def test_no_repr_holds_a_secret(kind: str) -> None:
    """Neither a credential nor an access token nor a lease shows its secret when printed."""
    credential = build_credential(LOGINS[kind][0])

    assert SECRET not in f"{credential!r} {credential} {ACCESS_TOKEN!r} {build_lease()!r} {credential.origin}"


@pytest.mark.parametrize("kind", LOGINS)
def test_a_credential_says_what_it_is(kind: str) -> None:
    """The kind for people, the token type for the upstream."""
    login, token_type = LOGINS[kind]
    credential = build_credential(login)

    assert (credential.kind, credential.token_type) == (kind, token_type)


def test_a_fingerprint_is_short_and_stable() -> None:
    """It is the beginning of the secret's SHA-256, as it was in every earlier run: stored states go by it."""
    assert build_fingerprint("abc") == "ba7816bf8f01cfea"


def test_leases_are_told_apart_though_they_are_alike() -> None:
    """Two leases of one credential taken at one instant are two leases."""
    assert len({build_lease(), build_lease()}) == 2
