"""Failures inside a stream."""

import pytest

from kiro2api.errors import ErrorKind, Kiro2ApiError
from kiro2api.protocol.errors import InvalidRequestError, UnknownModelError
from kiro2api.protocol.responses.errors import INTERNAL_MESSAGE, Failure, describe_failure

CODES = {
    ErrorKind.BAD_REQUEST: "invalid_prompt",
    ErrorKind.CONTEXT_OVERFLOW: "context_length_exceeded",
    ErrorKind.CLIENT_KEY: "invalid_prompt",
    ErrorKind.NOT_FOUND: "invalid_prompt",
    ErrorKind.MODEL_NOT_FOUND: "invalid_prompt",
    ErrorKind.METHOD_NOT_ALLOWED: "invalid_prompt",
    ErrorKind.BODY_TIMEOUT: "invalid_prompt",
    ErrorKind.BODY_TOO_LARGE: "invalid_prompt",
    ErrorKind.QUOTA_EXHAUSTED: "insufficient_quota",
    ErrorKind.RATE_LIMITED: "rate_limit_exceeded",
    ErrorKind.OVERLOADED: "server_error",
    ErrorKind.NO_CREDENTIAL: "invalid_prompt",
    ErrorKind.UPSTREAM: "server_error",
    ErrorKind.ANSWER_FORMAT: "invalid_prompt",
    ErrorKind.UPSTREAM_TIMEOUT: "server_error",
    ErrorKind.INTERNAL: "server_error",
}
MESSAGES = {
    ErrorKind.CONTEXT_OVERFLOW: "prompt is too long: Oh.",
    ErrorKind.RATE_LIMITED: "Oh. Please try again in 3s.",
    ErrorKind.INTERNAL: INTERNAL_MESSAGE,
}


def build_error(kind: ErrorKind, message: str = "Oh.", *, retry_after: float | None = 2.1) -> Kiro2ApiError:
    """An error of ``kind``."""
    error = Kiro2ApiError(message, retry_after=retry_after, detail="for the log only")
    error.kind = kind
    return error


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_kind(kind: ErrorKind) -> None:
    """Each has the code that makes Codex do the right thing, and the words that agents look for."""
    expected = Failure(code=CODES[kind], message=MESSAGES.get(kind, "Oh."), param=None)
    assert describe_failure(build_error(kind)) == expected


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (build_error(ErrorKind.CONTEXT_OVERFLOW, "The prompt is too long."), "The prompt is too long."),
        (build_error(ErrorKind.RATE_LIMITED, retry_after=None), "Oh."),
        (UnknownModelError("gpt-17"), "The model 'gpt-17' does not exist; GET /v1/models lists those that do."),
    ],
)
def test_message(error: Kiro2ApiError, message: str) -> None:
    """Words are added only where they are missing, no time is invented, an unknown model is named."""
    assert describe_failure(error).message == message


@pytest.mark.parametrize(
    ("error", "param"),
    [(InvalidRequestError("is wrong.", path="input[0]"), "input[0]"), (InvalidRequestError("Wrong."), None)],
)
def test_param(error: InvalidRequestError, param: str | None) -> None:
    """The place of the fault is told if there is one."""
    assert describe_failure(error) == Failure(code="invalid_prompt", message=error.message, param=param)
