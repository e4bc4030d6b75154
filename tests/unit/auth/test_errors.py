"""The errors of auth."""

import pytest

from kiro2api.auth.errors import CredentialSourceError, NoCredentialError, RefreshFailedError, RefreshRejectedError
from kiro2api.errors import ErrorKind


@pytest.mark.parametrize(
    ("kind", "retry_after", "words"),
    [
        (ErrorKind.RATE_LIMITED, 7.2, "try again in 8 s"),
        (ErrorKind.RATE_LIMITED, None, "try again in 1 s"),
        (ErrorKind.QUOTA_EXHAUSTED, None, "quota"),
        (ErrorKind.NO_CREDENTIAL, 5.0, "client key is not the cause"),
        (ErrorKind.OVERLOADED, None, "shutting down"),
    ],
)
def test_a_missing_credential_is_told_to_the_client(kind: ErrorKind, retry_after: float | None, words: str) -> None:
    """The message fits the kind, and names no credential; that is left to the detail."""
    error = NoCredentialError(kind, retry_after=retry_after, detail="social-1 revoked")

    assert (error.kind, error.retry_after, error.detail) == (kind, retry_after, "social-1 revoked")
    assert words in error.message
    assert "social" not in str(error)


@pytest.mark.parametrize("error_class", [RefreshRejectedError, RefreshFailedError])
def test_a_refresh_error_is_the_proxys_fault(error_class: type[RefreshFailedError | RefreshRejectedError]) -> None:
    """A client is never told that a refresh failed by anything but the want of a credential."""
    error = error_class("status 503", retry_after=3.0)

    assert (error.kind, error.detail, error.retry_after) == (ErrorKind.NO_CREDENTIAL, "status 503", 3.0)
    assert "503" not in str(error)


@pytest.mark.parametrize(("position", "text"), [(None, "too bad"), (3, "entry 3: too bad")])
def test_a_source_error_says_where(position: int | None, text: str) -> None:
    """The entry at fault is named by its position."""
    error = CredentialSourceError("too bad", position=position)

    assert (str(error), error.position) == (text, position)
