"""Credentials from lists."""

import pytest

from kiro2api.auth.credentials import ApiKey, Credential, SocialLogin, build_fingerprint
from kiro2api.auth.errors import CredentialSourceError
from kiro2api.auth.sources import parse_api_keys, parse_refresh_tokens


@pytest.mark.parametrize(
    ("value", "refresh_tokens"),
    [
        ("a", ["a"]),
        ("b,a", ["b", "a"]),
        (" a ,\tb\n", ["a", "b"]),
        ("a\r\nb\n", ["a", "b"]),
        (",a,, ,b,", ["a", "b"]),
        ("a,b, a,b", ["a", "b"]),
        ("aorA:B/c+d=_-.~", ["aorA:B/c+d=_-.~"]),
    ],
)
def test_a_list_is_trimmed_and_free_of_doubles(value: str, refresh_tokens: list[str]) -> None:
    """Entries keep their order; blank and repeated ones are dropped; labels count what remains."""
    assert parse_refresh_tokens(value) == tuple(
        Credential(
            credential_id=build_fingerprint(refresh_token),
            origin=build_fingerprint(refresh_token),
            label=f"social-{number}",
            source="AWS_REFRESHTOKEN",
            login=SocialLogin(refresh_token=refresh_token),
        )
        for number, refresh_token in enumerate(refresh_tokens, start=1)
    )


def test_api_keys() -> None:
    """They are listed as refresh tokens are."""
    assert parse_api_keys("ksk_a, ksk_b,ksk_a", source="HERE") == tuple(
        Credential(
            credential_id=build_fingerprint(key),
            origin=build_fingerprint(key),
            label=f"api-key-{number}",
            source="HERE",
            login=ApiKey(key=key),
        )
        for number, key in enumerate(["ksk_a", "ksk_b"], start=1)
    )


@pytest.mark.parametrize("value", ["", " ", " , ,"])
def test_a_list_without_an_entry_is_refused(value: str) -> None:
    """A proxy without a credential cannot work, so it is told before it starts."""
    with pytest.raises(CredentialSourceError, match="no refresh token") as caught:
        parse_refresh_tokens(value)
    with pytest.raises(CredentialSourceError, match="no API key"):
        parse_api_keys(value)

    assert (caught.value.position, caught.value.source) == (None, "AWS_REFRESHTOKEN")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("aorHidden...", "shortened"),
        ("aorHi...dden", "shortened"),
        ("aorHidden…", "shortened"),
        ("aorHidden more", "character"),
        ("aorHidden\x00", "character"),
        ("aorHidden\udcff", "character"),
        ("aorHiddenä", "character"),
        ('"aorHidden"', "quotation mark"),
        ("'aorHidden'", "quotation mark"),
    ],
)
def test_a_damaged_secret_is_refused_by_position(entry: str, words: str) -> None:
    """The fault names which entry it is, blank ones counted, and never shows it."""
    with pytest.raises(CredentialSourceError, match=words) as caught:
        parse_refresh_tokens(f"good,,{entry}", source="HERE")

    assert (caught.value.position, caught.value.source) == (3, "HERE")
    assert "Hidden" not in str(caught.value)


def test_something_else_is_no_api_key() -> None:
    """A refresh token in the place of an API key is told at the start."""
    with pytest.raises(CredentialSourceError, match="entry 2: the API key does not begin with ksk_"):
        parse_api_keys("ksk_a,aorHidden")
