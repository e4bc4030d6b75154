"""What the log learns of a failure on the way to the upstream."""

import ssl

import httpx
import pytest

from kiro2api.errors import ErrorKind, Kiro2ApiError
from kiro2api.upstream.errors import (
    MAX_CAUSE_LENGTH,
    AnswerTooLongError,
    NoFirstByteError,
    UpstreamBrokenError,
    UpstreamStalledError,
    UpstreamUnreachableError,
    describe_cause,
)


def test_an_empty_text_is_explained_by_what_caused_it() -> None:
    """TLS failures reach us as an error without a word."""
    outer = httpx.ConnectError("")
    outer.__cause__ = httpx.ConnectError("")
    outer.__cause__.__cause__ = ssl.SSLError(1, "wrong version number")
    assert UpstreamUnreachableError(outer).detail == ("ConnectError('') from SSLError(1, 'wrong version number')")


def test_a_context_counts_though_it_is_suppressed() -> None:
    """Httpcore raises what it has caught once more, from nothing."""
    error = httpx.ReadError("outer")
    error.__context__ = KeyError("k")
    error.__suppress_context__ = True
    assert describe_cause(error) == "ReadError('outer') from KeyError('k')"


def test_a_long_chain_and_a_long_text_are_cut() -> None:
    """A damaged answer may be quoted in them."""
    error: Exception = httpx.ReadError("x" * 10_000)
    assert len(UpstreamBrokenError(error).detail) == MAX_CAUSE_LENGTH
    for number in range(20):
        cause, error = error, KeyError(number)
        error.__context__ = cause
    assert describe_cause(error).count("KeyError") == 6


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (NoFirstByteError(120), "first byte limit: 120 s"),
        (UpstreamStalledError(0.5), "idle limit: 0.5 s"),
        (AnswerTooLongError(3600), "total limit: 3600 s"),
    ],
)
def test_each_limit_is_named(error: Kiro2ApiError, detail: str) -> None:
    """The client is told of the silence, the log of the setting."""
    assert (error.kind, error.detail) == (ErrorKind.UPSTREAM_TIMEOUT, detail)
