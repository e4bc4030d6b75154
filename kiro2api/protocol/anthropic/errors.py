"""Errors in the words of the Messages API: status, type and headers by the kind of the error.

401 is for the client's own key and for nothing else, and what a repetition cannot cure says
``x-should-retry: false``, since the makers' SDKs repeat every 429 and 5xx.
"""

import math
from dataclasses import dataclass
from typing import assert_never

from kiro2api.errors import ErrorKind, Kiro2ApiError
from kiro2api.protocol.errors import InvalidRequestError, RenderedError
from kiro2api.protocol.jsontext import JSONObject, encode_json

INTERNAL_MESSAGE = "Internal server error: a defect of this proxy; its log knows this request's id."
KEY_PHRASE = "invalid x-api-key"
"""Claude Code tells a wrong key from other failures by the header's name."""
OVERFLOW_PHRASE = "prompt is too long"
"""Agents look for these words to compact the conversation."""


@dataclass(frozen=True, slots=True)
class _Shape:
    status: int
    type: str
    permanent: bool = False
    """Whether clients are told not to repeat the request."""
    retry_after: bool = False
    """Whether the header of that name is sent, if the time is known."""
    close: bool = False
    """Whether the connection ends here, as the rest of the request's body was not read."""


def render_error(error: Kiro2ApiError, *, request_id: str) -> RenderedError:
    """``error`` as an HTTP answer; ``allow`` of a 405 is the router's to add."""
    shape = _shape(error.kind)
    headers = {"content-type": "application/json", "request-id": request_id}
    if shape.permanent:
        headers["x-should-retry"] = "false"
    if shape.retry_after and error.retry_after is not None:
        # SDKs take 0 for no header at all.
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after)))
    if shape.close:
        headers["connection"] = "close"
    body = build_error(error) | {"request_id": request_id}
    return RenderedError(status=shape.status, headers=headers, body=encode_json(body))


def build_error(error: Kiro2ApiError) -> JSONObject:
    """The object that tells of ``error``, in a body as well as in a broken stream's last event."""
    fields: JSONObject = {"type": error_type(error), "message": _message(error)}
    if isinstance(error, InvalidRequestError) and error.code is not None:
        fields["details"] = {"error_code": error.code}
    return {"type": "error", "error": fields}


def error_type(error: Kiro2ApiError) -> str:
    """The word for ``error``, from the closed list of the Messages API."""
    return _shape(error.kind).type


def _message(error: Kiro2ApiError) -> str:
    match error.kind:
        case ErrorKind.INTERNAL:
            return INTERNAL_MESSAGE
        case ErrorKind.CLIENT_KEY:
            return _begin_with(KEY_PHRASE, error.message)
        case ErrorKind.CONTEXT_OVERFLOW:
            return _begin_with(OVERFLOW_PHRASE, error.message)
        case _:
            return error.message


def _begin_with(phrase: str, message: str) -> str:
    return message if message.startswith(phrase) else f"{phrase}: {message}"


def _shape(kind: ErrorKind) -> _Shape:  # noqa: C901, PLR0911, PLR0912  a table that mypy proves whole
    match kind:
        case ErrorKind.BAD_REQUEST | ErrorKind.CONTEXT_OVERFLOW:
            return _Shape(400, "invalid_request_error")
        case ErrorKind.CLIENT_KEY:
            return _Shape(401, "authentication_error")
        case ErrorKind.QUOTA_EXHAUSTED:
            return _Shape(402, "billing_error", permanent=True)
        case ErrorKind.NOT_FOUND | ErrorKind.MODEL_NOT_FOUND:
            return _Shape(404, "not_found_error")
        case ErrorKind.METHOD_NOT_ALLOWED:
            return _Shape(405, "invalid_request_error")
        case ErrorKind.BODY_TIMEOUT:
            return _Shape(408, "timeout_error", close=True)
        case ErrorKind.BODY_TOO_LARGE:
            return _Shape(413, "request_too_large", close=True)
        case ErrorKind.RATE_LIMITED:
            return _Shape(429, "rate_limit_error", retry_after=True)
        case ErrorKind.INTERNAL:
            return _Shape(500, "api_error")
        case ErrorKind.UPSTREAM:
            return _Shape(502, "api_error")
        case ErrorKind.ANSWER_FORMAT:
            return _Shape(502, "api_error", permanent=True)
        case ErrorKind.NO_CREDENTIAL:
            return _Shape(503, "api_error", permanent=True)
        case ErrorKind.UPSTREAM_TIMEOUT:
            return _Shape(504, "timeout_error")
        case ErrorKind.OVERLOADED:
            return _Shape(529, "overloaded_error", retry_after=True)
        case _:
            assert_never(kind)
