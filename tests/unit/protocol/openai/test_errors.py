"""Errors in OpenAI's words."""

import json

import pytest

from kiro2api.errors import ErrorKind, Kiro2ApiError
from kiro2api.protocol.errors import InvalidRequestError, RenderedError, UnknownModelError
from kiro2api.protocol.openai.errors import INTERNAL_MESSAGE, encode_error_body, render_error

PLAIN = {"content-type": "application/json", "x-request-id": "req_1"}
FINAL = {**PLAIN, "x-should-retry": "false"}
CLOSING = {**PLAIN, "connection": "close"}
LATER = {**PLAIN, "retry-after": "3"}

CONTRACT = {
    ErrorKind.BAD_REQUEST: (400, PLAIN, "invalid_request_error", None, "Oh."),
    ErrorKind.CONTEXT_OVERFLOW: (
        400,
        PLAIN,
        "invalid_request_error",
        "context_length_exceeded",
        "prompt is too long: Oh.",
    ),
    ErrorKind.CLIENT_KEY: (401, PLAIN, "invalid_request_error", "invalid_api_key", "Incorrect API key provided. Oh."),
    ErrorKind.NOT_FOUND: (404, PLAIN, "invalid_request_error", "unknown_url", "Oh."),
    ErrorKind.MODEL_NOT_FOUND: (404, PLAIN, "invalid_request_error", "model_not_found", "Oh."),
    ErrorKind.METHOD_NOT_ALLOWED: (405, PLAIN, "invalid_request_error", None, "Oh."),
    ErrorKind.BODY_TIMEOUT: (408, CLOSING, "invalid_request_error", "request_timeout", "Oh."),
    ErrorKind.BODY_TOO_LARGE: (413, CLOSING, "invalid_request_error", "request_too_large", "Oh."),
    ErrorKind.QUOTA_EXHAUSTED: (429, FINAL, "insufficient_quota", "insufficient_quota", "Oh."),
    ErrorKind.RATE_LIMITED: (429, LATER, "rate_limit_error", "rate_limit_exceeded", "Oh."),
    ErrorKind.OVERLOADED: (503, LATER, "server_error", "overloaded", "Oh."),
    ErrorKind.NO_CREDENTIAL: (503, FINAL, "server_error", "upstream_auth", "Oh."),
    ErrorKind.UPSTREAM: (502, PLAIN, "server_error", "upstream_error", "Oh."),
    ErrorKind.ANSWER_FORMAT: (502, FINAL, "server_error", "answer_format", "Oh."),
    ErrorKind.UPSTREAM_TIMEOUT: (504, PLAIN, "server_error", "upstream_timeout", "Oh."),
    ErrorKind.INTERNAL: (500, PLAIN, "server_error", None, INTERNAL_MESSAGE),
}


def build_error(kind: ErrorKind, message: str = "Oh.", *, retry_after: float | None = 2.1) -> Kiro2ApiError:
    """An error of ``kind``."""
    error = Kiro2ApiError(message, retry_after=retry_after, detail="for the log only")
    error.kind = kind
    return error


@pytest.mark.parametrize("kind", ErrorKind)
def test_contract(kind: ErrorKind) -> None:
    """Every kind has its status, headers, type and code, and a body with all four keys."""
    status, headers, type_, code, message = CONTRACT[kind]
    body = {"error": {"message": message, "type": type_, "param": None, "code": code}}
    rendered = render_error(build_error(kind), request_id="req_1")
    expected = RenderedError(status=status, headers=headers, body=rendered.body)
    assert (rendered, json.loads(rendered.body)) == (expected, body)


def test_unknown_waiting_time() -> None:
    """Without a known time no ``retry-after`` is invented."""
    rendered = render_error(build_error(ErrorKind.RATE_LIMITED, retry_after=None), request_id="req_1")
    assert rendered.headers == PLAIN


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            build_error(ErrorKind.CONTEXT_OVERFLOW, "The prompt is too long by far."),
            "The prompt is too long by far.",
        ),
        (build_error(ErrorKind.CLIENT_KEY, "Incorrect API key provided."), "Incorrect API key provided."),
        (UnknownModelError("gpt-17"), "The model 'gpt-17' does not exist; GET /v1/models lists those that do."),
    ],
)
def test_message(error: Kiro2ApiError, message: str) -> None:
    """Words that clients look for are added only where they are missing; an unknown model is named."""
    assert json.loads(encode_error_body(error))["error"]["message"] == message


@pytest.mark.parametrize(
    ("error", "param", "code"),
    [
        (InvalidRequestError("is wrong.", path="messages[0].role"), "messages[0].role", None),
        (InvalidRequestError("Wrong.", code="invalid_value"), None, "invalid_value"),
    ],
)
def test_param_and_code(error: InvalidRequestError, param: str | None, code: str | None) -> None:
    """The place of the fault is the ``param``; a code that an error brings is handed on."""
    body = json.loads(encode_error_body(error))
    assert body == {"error": {"message": error.message, "type": "invalid_request_error", "param": param, "code": code}}
