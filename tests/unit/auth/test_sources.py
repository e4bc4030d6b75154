"""Credentials from configuration text."""

import pytest

from kiro2api.auth.credentials import AuthMethod, Credential, build_credential_id
from kiro2api.auth.errors import CredentialSourceError
from kiro2api.auth.sources import parse_refresh_tokens


@pytest.mark.parametrize(
    ("value", "refresh_tokens"),
    [
        ("a", ["a"]),
        ("b,a", ["b", "a"]),
        (" a ,\tb\n", ["a", "b"]),
        (",a,, ,b,", ["a", "b"]),
        ("a,b, a,b", ["a", "b"]),
        ("aorA:B/c+d=_-.~", ["aorA:B/c+d=_-.~"]),
    ],
)
def test_a_list_is_trimmed_and_free_of_doubles(value: str, refresh_tokens: list[str]) -> None:
    """Entries keep their order; blank and repeated ones are dropped; labels count what remains."""
    assert parse_refresh_tokens(value) == tuple(
        Credential(
            credential_id=build_credential_id(refresh_token),
            label=f"social-{number}",
            method=AuthMethod.SOCIAL,
            refresh_token=refresh_token,
        )
        for number, refresh_token in enumerate(refresh_tokens, start=1)
    )


@pytest.mark.parametrize("value", ["", " ", " , ,"])
def test_a_list_without_a_refresh_token_is_refused(value: str) -> None:
    """A proxy without a credential cannot work, so it is told before it starts."""
    with pytest.raises(CredentialSourceError, match="no refresh token") as caught:
        parse_refresh_tokens(value)

    assert caught.value.position is None


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
    ],
)
def test_a_damaged_refresh_token_is_refused_by_position(entry: str, words: str) -> None:
    """The fault names which entry it is, blank ones counted, and never shows it."""
    with pytest.raises(CredentialSourceError, match=words) as caught:
        parse_refresh_tokens(f"good,,{entry}")

    assert caught.value.position == 3
    assert "Hidden" not in str(caught.value)
