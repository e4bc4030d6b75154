"""Errors: what they tell the client, and what stays in the log."""

import pytest

from kiro2api.errors import ErrorKind, Kiro2ApiError
from kiro2api.protocol.errors import InvalidRequestError, RenderedError, UnknownModelError, UpstreamProtocolError
from kiro2api.protocol.turn.machine import EmptyAnswerError, TruncatedToolUseError
from kiro2api.upstream.errors import UpstreamBrokenError


def test_base() -> None:
    """An error shows its message only; unless told otherwise it is our own defect and nothing to try again."""
    error = Kiro2ApiError("Sorry.", retry_after=2.5, detail="class=x")
    assert str(error) == error.message == "Sorry."
    assert (error.retry_after, error.detail) == (2.5, "class=x")
    assert (error.kind, error.retry_safe) == (ErrorKind.INTERNAL, False)


def test_defaults() -> None:
    """Time and detail are optional."""
    error = Kiro2ApiError("Sorry.")
    assert (error.retry_after, error.detail) == (None, "")


@pytest.mark.parametrize(
    ("path", "message"), [("messages[2].content", "messages[2].content: no list"), ("", "no list")]
)
def test_invalid_request(path: str, message: str) -> None:
    """The path stands before the words, if there is one."""
    error = InvalidRequestError("no list", path=path, code="thread_unsupported_request")
    assert (error.message, error.path, error.code) == (message, path, "thread_unsupported_request")
    assert (error.kind, InvalidRequestError("no list").code) == (ErrorKind.BAD_REQUEST, None)


def test_unknown_model() -> None:
    """The model's name is what the client sees."""
    error = UnknownModelError("gpt-9")
    assert (error.kind, error.message, error.model) == (ErrorKind.MODEL_NOT_FOUND, "model: gpt-9", "gpt-9")


def test_upstream_protocol() -> None:
    """What exactly was damaged is for the log, not for the client."""
    error = UpstreamProtocolError("prelude checksum 1, calculated 2")
    assert (error.kind, error.detail) == (ErrorKind.UPSTREAM, "prelude checksum 1, calculated 2")
    assert "checksum" not in error.message


def test_rendered_error() -> None:
    """A rendered error is a value."""
    rendered = RenderedError(status=502, headers={"retry-after": "1"}, body=b"{}")
    assert rendered == RenderedError(status=502, headers={"retry-after": "1"}, body=b"{}")


@pytest.mark.parametrize(
    "error",
    [
        UpstreamProtocolError("frame"),
        UpstreamBrokenError(OSError("reset")),
        TruncatedToolUseError(name="read", size=3, stopped=False),
        EmptyAnswerError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_end_of_a_stream_says_that_it_may_be_tried_again(error: Kiro2ApiError) -> None:
    """There the words are all that a client has to go by: opencode and pi repeat a request for these."""
    assert error.message.endswith(("server error, please try again.", "please try again, or ask for smaller steps."))
    assert "server error" in error.message
