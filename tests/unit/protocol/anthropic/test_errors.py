"""Errors as Anthropic's clients read them."""

import json

import pytest

from kiro2api.errors import ErrorKind, Kiro2ApiError
from kiro2api.protocol.anthropic.errors import INTERNAL_MESSAGE, error_type, render_error
from kiro2api.protocol.errors import InvalidRequestError, RenderedError, UnknownModelError
from kiro2api.protocol.jsontext import encode_json

FINAL = {"x-should-retry": "false"}
CLOSE = {"connection": "close"}
RETRY = {"retry-after": "8"}
TABLE: dict[ErrorKind, tuple[int, str, dict[str, str]]] = {
    ErrorKind.BAD_REQUEST: (400, "invalid_request_error", {}),
    ErrorKind.CONTEXT_OVERFLOW: (400, "invalid_request_error", {}),
    ErrorKind.CLIENT_KEY: (401, "authentication_error", {}),
    ErrorKind.QUOTA_EXHAUSTED: (402, "billing_error", FINAL),
    ErrorKind.NOT_FOUND: (404, "not_found_error", {}),
    ErrorKind.MODEL_NOT_FOUND: (404, "not_found_error", {}),
    ErrorKind.METHOD_NOT_ALLOWED: (405, "invalid_request_error", {}),
    ErrorKind.BODY_TIMEOUT: (408, "timeout_error", CLOSE),
    ErrorKind.BODY_TOO_LARGE: (413, "request_too_large", CLOSE),
    ErrorKind.RATE_LIMITED: (429, "rate_limit_error", RETRY),
    ErrorKind.INTERNAL: (500, "api_error", {}),
    ErrorKind.UPSTREAM: (502, "api_error", {}),
    ErrorKind.ANSWER_FORMAT: (502, "api_error", FINAL),
    ErrorKind.NO_CREDENTIAL: (503, "api_error", FINAL),
    ErrorKind.UPSTREAM_TIMEOUT: (504, "timeout_error", {}),
    ErrorKind.OVERLOADED: (529, "overloaded_error", RETRY),
}


def make_error(kind: ErrorKind, message: str, retry_after: float | None = None) -> Kiro2ApiError:
    """An error of this kind."""
    error = Kiro2ApiError(message, retry_after=retry_after, detail="for the log")
    error.kind = kind
    return error


def read_message(error: Kiro2ApiError) -> str:
    """What a client is told."""
    message = json.loads(render_error(error, request_id="req_1").body)["error"]["message"]
    assert isinstance(message, str)
    return message


@pytest.mark.parametrize("kind", ErrorKind)
def test_kind_decides_status_type_and_headers(kind: ErrorKind) -> None:
    """Every kind has its row."""
    status, name, headers = TABLE[kind]
    error = make_error(kind, "Words.", retry_after=7.2)
    rendered = render_error(error, request_id="req_1")
    body = json.loads(rendered.body)
    common = {"content-type": "application/json", "request-id": "req_1"}
    assert (rendered.status, rendered.headers) == (status, common | headers)
    assert (body["error"]["type"], error_type(error)) == (name, name)
    assert b"for the log" not in rendered.body


def test_body_is_that_of_the_messages_api() -> None:
    """Type, error and request id, and no more."""
    expected: dict[str, object] = {
        "type": "error",
        "error": {"type": "not_found_error", "message": "model: gpt-17"},
        "request_id": "req_1",
    }
    assert render_error(UnknownModelError("gpt-17"), request_id="req_1") == RenderedError(
        status=404,
        headers={"content-type": "application/json", "request-id": "req_1"},
        body=encode_json(expected),
    )


def test_code_that_sdks_act_on_stands_among_the_details() -> None:
    """An error with a code has details, another one has none."""
    error = InvalidRequestError("no threads", path="thread", code="thread_unsupported_request")
    assert json.loads(render_error(error, request_id="req_1").body)["error"] == {
        "type": "invalid_request_error",
        "message": "thread: no threads",
        "details": {"error_code": "thread_unsupported_request"},
    }
    assert "details" not in json.loads(render_error(InvalidRequestError("no"), request_id="req_1").body)["error"]


@pytest.mark.parametrize(
    ("kind", "message", "expected"),
    [
        (ErrorKind.INTERNAL, "KeyError: 'secret'", INTERNAL_MESSAGE),
        (ErrorKind.CLIENT_KEY, "It is missing.", "invalid x-api-key: It is missing."),
        (ErrorKind.CLIENT_KEY, "invalid x-api-key", "invalid x-api-key"),
        (ErrorKind.CONTEXT_OVERFLOW, "Compact it.", "prompt is too long: Compact it."),
        (
            ErrorKind.CONTEXT_OVERFLOW,
            "prompt is too long: 250000 tokens > 200000 maximum",
            "prompt is too long: 250000 tokens > 200000 maximum",
        ),
        (ErrorKind.UPSTREAM, "Try again.", "Try again."),
    ],
)
def test_message_has_the_words_that_clients_look_for(kind: ErrorKind, message: str, expected: str) -> None:
    """A defect of our own says nothing of itself."""
    assert read_message(make_error(kind, message)) == expected


@pytest.mark.parametrize(
    ("retry_after", "expected"), [(None, None), (0.0, "1"), (0.2, "1"), (30.0, "30"), (30.1, "31")]
)
def test_retry_after_is_whole_seconds_or_absent(retry_after: float | None, expected: str | None) -> None:
    """A time that nobody knows is not invented."""
    error = make_error(ErrorKind.OVERLOADED, "Busy.", retry_after)
    assert render_error(error, request_id="req_1").headers.get("retry-after") == expected
