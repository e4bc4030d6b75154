"""Errors in the words of OpenAI's API: status, ``type``, ``code`` and headers by the kind of the error.

No upstream credential's failure may look like the client's own (401, 403), and what a repetition cannot cure says
``x-should-retry: false``, since OpenAI's libraries repeat every 429 and 5xx.
"""

import math
from dataclasses import dataclass
from typing import assert_never

from kiro2api.errors import ErrorKind, Kiro2ApiError
from kiro2api.protocol.errors import InvalidRequestError, RenderedError, UnknownModelError
from kiro2api.protocol.jsontext import encode_json
from kiro2api.protocol.kiro.overflow import ContextOverflowError

INTERNAL_MESSAGE = (
    "The proxy failed to answer because of a defect of its own; its log has more under the id of this request."
)
KEY_PHRASE = "Incorrect API key provided"
"""LiteLLM reports a bad request unless a 401 says this."""
OVERFLOW_PHRASE = "prompt is too long"
"""Agents look for these words to compact the conversation."""


@dataclass(frozen=True, slots=True)
class _Shape:
    status: int
    type: str
    code: str | None = None
    retry_after: bool = False
    """Whether the header of that name is sent when the time is known."""
    permanent: bool = False
    """Whether clients are told not to repeat the request."""
    close: bool = False
    """Whether the connection ends here, as the rest of the request's body was not read."""


def render_error(error: Kiro2ApiError, *, request_id: str) -> RenderedError:
    """``error`` as an HTTP answer."""
    shape = _shape(error)
    headers = {"content-type": "application/json", "x-request-id": request_id}
    if shape.retry_after and error.retry_after is not None:
        headers["retry-after"] = str(math.ceil(error.retry_after))
    if shape.permanent:
        headers["x-should-retry"] = "false"
    if shape.close:
        headers["connection"] = "close"
    return RenderedError(status=shape.status, headers=headers, body=encode_error_body(error))


def encode_error_body(error: Kiro2ApiError) -> bytes:
    """The JSON text of ``error``, for a body as well as for the last event of a broken stream."""
    shape = _shape(error)
    param = error.path or None if isinstance(error, InvalidRequestError) else None
    fields = {"message": _message(error), "type": shape.type, "param": param, "code": shape.code}
    return encode_json({"error": fields})


def _message(error: Kiro2ApiError) -> str:
    message = error.message
    if error.kind is ErrorKind.INTERNAL:
        return INTERNAL_MESSAGE
    if error.kind is ErrorKind.CLIENT_KEY and KEY_PHRASE not in message:
        return f"{KEY_PHRASE}. {message}"
    if isinstance(error, ContextOverflowError) and error.context_window is not None:
        return f"{message.removesuffix('.')}. This model's maximum context length is {error.context_window} tokens."
    if error.kind is ErrorKind.CONTEXT_OVERFLOW and OVERFLOW_PHRASE not in message:
        return f"{OVERFLOW_PHRASE}: {message}"
    if isinstance(error, UnknownModelError):
        return f"The model {error.model!r} does not exist; GET /v1/models lists those that do."
    return message


def _shape(  # noqa: C901, PLR0912  a table, in the form whose completeness the type checker proves
    error: Kiro2ApiError,
) -> _Shape:
    match error.kind:
        case ErrorKind.BAD_REQUEST:
            code = error.code if isinstance(error, InvalidRequestError) else None
            shape = _Shape(400, "invalid_request_error", code)
        case ErrorKind.CONTEXT_OVERFLOW:
            shape = _Shape(400, "invalid_request_error", "context_length_exceeded")
        case ErrorKind.CLIENT_KEY:
            shape = _Shape(401, "invalid_request_error", "invalid_api_key")
        case ErrorKind.NOT_FOUND:
            code = error.code if isinstance(error, InvalidRequestError) else "unknown_url"
            shape = _Shape(404, "invalid_request_error", code)
        case ErrorKind.MODEL_NOT_FOUND:
            shape = _Shape(404, "invalid_request_error", "model_not_found")
        case ErrorKind.METHOD_NOT_ALLOWED:
            shape = _Shape(405, "invalid_request_error")
        case ErrorKind.BODY_TIMEOUT:
            shape = _Shape(408, "invalid_request_error", "request_timeout", close=True)
        case ErrorKind.BODY_TOO_LARGE:
            shape = _Shape(413, "invalid_request_error", "request_too_large", close=True)
        case ErrorKind.QUOTA_EXHAUSTED:
            shape = _Shape(429, "insufficient_quota", "insufficient_quota", permanent=True)
        case ErrorKind.RATE_LIMITED:
            shape = _Shape(429, "rate_limit_error", "rate_limit_exceeded", retry_after=True)
        case ErrorKind.OVERLOADED:
            shape = _Shape(503, "server_error", "overloaded", retry_after=True)
        case ErrorKind.NO_CREDENTIAL:
            shape = _Shape(503, "server_error", "upstream_auth", permanent=True)
        case ErrorKind.UPSTREAM:
            shape = _Shape(502, "server_error", "upstream_error")
        case ErrorKind.ANSWER_FORMAT:
            shape = _Shape(502, "server_error", "answer_format", permanent=True)
        case ErrorKind.UPSTREAM_TIMEOUT:
            shape = _Shape(504, "server_error", "upstream_timeout")
        case ErrorKind.INTERNAL:
            shape = _Shape(500, "server_error")
        case _:
            assert_never(error.kind)
    return shape
