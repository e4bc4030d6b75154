"""Credentials, access tokens and leases."""

from kiro2api.auth.credentials import AccessToken, AuthMethod, Credential, Lease, build_credential_id

SECRET = "very-secret"
ACCESS_TOKEN = AccessToken(value=SECRET, expires_at=1.0, generation=1, profile_arn=None)


def test_no_repr_holds_a_secret() -> None:
    """Neither a credential nor an access token nor a lease shows its secret when printed."""
    credential_id = build_credential_id(SECRET)
    credential = Credential(
        credential_id=credential_id, label="social-1", method=AuthMethod.SOCIAL, refresh_token=SECRET
    )
    lease = Lease(credential_id=credential_id, label="social-1", access_token=ACCESS_TOKEN, leased_at=0.0)

    assert SECRET not in f"{credential!r} {credential} {ACCESS_TOKEN!r} {lease!r} {credential_id}"


def test_a_credential_id_is_short_and_stable() -> None:
    """The id is the beginning of the refresh token's SHA-256, as it was in every earlier run."""
    assert build_credential_id("abc") == "ba7816bf8f01cfea"


def test_leases_are_told_apart_though_they_are_alike() -> None:
    """Two leases of one credential taken at one instant are two leases."""
    first, second = (
        Lease(credential_id="x", label="social-1", access_token=ACCESS_TOKEN, leased_at=0.0) for _ in range(2)
    )

    assert len({first, second}) == 2
